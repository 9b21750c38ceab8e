package trireme.interop;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;

/** Message bodies that know what they must be: "id|size|" and then bytes that follow from the id alone. */
final class Bodies {
    private Bodies() {
    }

    static byte[] make(String id, int size) {
        byte[] head = (id + "|" + size + "|").getBytes(StandardCharsets.UTF_8);
        byte[] body = new byte[Math.max(size, head.length)];
        new Random(id.hashCode()).nextBytes(body);
        System.arraycopy(head, 0, body, 0, head.length);
        return body;
    }

    /** A body that zlib makes much smaller, so that the client compresses it. */
    static byte[] makeCompressible(String id, int size) {
        byte[] body = new byte[size];
        Arrays.fill(body, (byte) 'x');
        byte[] head = (id + "|-" + size + "|").getBytes(StandardCharsets.UTF_8);
        System.arraycopy(head, 0, body, 0, head.length);
        return body;
    }

    /** The id a body carries, or null when any byte of it is not as it was made. */
    static String idOf(byte[] body) {
        int first = indexOf(body, 0);
        int second = first < 0 ? -1 : indexOf(body, first + 1);
        if (second < 0) {
            return null;
        }
        String id = new String(body, 0, first, StandardCharsets.UTF_8);
        int size = Integer.parseInt(new String(body, first + 1, second - first - 1, StandardCharsets.UTF_8));
        byte[] expected = size < 0 ? makeCompressible(id, -size) : make(id, size);
        return Arrays.equals(expected, body) ? id : null;
    }

    private static int indexOf(byte[] body, int from) {
        for (int i = from; i < Math.min(body.length, from + 200); i++) {
            if (body[i] == '|') {
                return i;
            }
        }
        return -1;
    }
}
