package trireme.interop;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What one scenario saw and which promises it found broken; becomes one line of JSON. */
final class Report {
    private static final int BROKEN_MAX = 12;

    private final String scenario;
    private final long began = System.nanoTime();
    private final Map<String, Object> saw = new LinkedHashMap<>();
    private final List<String> broken = new ArrayList<>();
    private int brokenCount;
    private int kept;

    Report(String scenario) {
        this.scenario = scenario;
    }

    /** Counts a promise as kept, or writes down how it was broken. */
    synchronized boolean expect(boolean holds, String promise) {
        if (holds) {
            kept++;
        } else if (brokenCount++ < BROKEN_MAX) {
            broken.add(promise);
        }
        return holds;
    }

    boolean equal(Object expected, Object got, String what) {
        return expect(String.valueOf(expected).equals(String.valueOf(got)),
            what + ": expected " + expected + ", got " + got);
    }

    boolean has(String text, String part, String what) {
        return expect(text.contains(part),
            what + ": expected to find \"" + part + "\" in: " + shorten(text));
    }

    synchronized void saw(String name, Object value) {
        saw.put(name, value);
    }

    synchronized void died(Throwable error) {
        Throwable root = error;
        while (root.getCause() != null && root.getCause() != root) {
            root = root.getCause();
        }
        StringBuilder text = new StringBuilder("died: ").append(error);
        if (root != error) {
            text.append(" caused by ").append(root);
        }
        for (StackTraceElement frame : error.getStackTrace()) {
            if (frame.getClassName().startsWith("trireme.")) {
                text.append(" at ").append(frame.getFileName()).append(':').append(frame.getLineNumber());
                break;
            }
        }
        brokenCount++;
        broken.add(text.toString());
    }

    synchronized boolean ok() {
        return brokenCount == 0 && kept > 0;
    }

    synchronized String line() {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("scenario", scenario);
        line.put("ok", ok());
        line.put("ms", (System.nanoTime() - began) / 1_000_000);
        line.put("kept", kept);
        line.put("saw", saw);
        List<String> all = new ArrayList<>(broken);
        if (brokenCount > broken.size()) {
            all.add("and " + (brokenCount - broken.size()) + " more");
        }
        if (kept == 0 && brokenCount == 0) {
            all.add("checked nothing");
        }
        line.put("broken", all);
        return json(line);
    }

    static String shorten(String text) {
        String flat = text.strip();
        if (flat.contains("Caused by: ")) {
            flat = flat.lines().filter(line -> line.contains("Exception: ")).reduce((a, b) -> a + " | " + b).orElse(flat);
        }
        return flat.length() <= 600 ? flat : flat.substring(0, 400) + " … " + flat.substring(flat.length() - 180);
    }

    /** Enough JSON for maps, lists, strings, numbers and booleans. */
    static String json(Object value) {
        if (value instanceof Map<?, ?> map) {
            List<String> members = new ArrayList<>();
            map.forEach((key, member) -> members.add(json(String.valueOf(key)) + ":" + json(member)));
            return "{" + String.join(",", members) + "}";
        }
        if (value instanceof Iterable<?> items) {
            List<String> members = new ArrayList<>();
            items.forEach(item -> members.add(json(item)));
            return "[" + String.join(",", members) + "]";
        }
        if (value == null || value instanceof Boolean || value instanceof Number) {
            return String.valueOf(value);
        }
        StringBuilder out = new StringBuilder("\"");
        for (char c : value.toString().toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < 0x20) {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }
}
