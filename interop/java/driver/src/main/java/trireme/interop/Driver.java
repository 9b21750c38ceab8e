package trireme.interop;

import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The unmodified RocketMQ client, driven through scenarios.
 *
 * <pre>Driver --namesrv ADDR [--prefix P] [--jobs N] [--lie KIND] [--OPTION VALUE …] scenario[,scenario…] …</pre>
 *
 * Scenarios joined by commas run side by side, words one after the other.
 * Prints one line of JSON a scenario and, when a scenario wants something done to the servers, an "ask" line that the
 * runner answers on standard input with "ok …" or "error …". Exits 1 when a promise was broken, 2 when misused.
 */
public final class Driver {
    private Driver() {
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> options = new LinkedHashMap<>();
        List<String> wanted = new ArrayList<>();
        for (int i = 0; i < args.length; i++) {
            if (args[i].startsWith("--") && i + 1 < args.length) {
                options.put(args[i].substring(2), args[++i]);
            } else {
                wanted.add(args[i]);
            }
        }
        Map<String, Scenario> known = Scenarios.all();
        if (!options.containsKey("namesrv") || wanted.isEmpty() 
            || !known.keySet().containsAll(List.of(String.join(",", wanted).split(",")))) {
            System.err.println("usage: Driver --namesrv ADDR scenario[,scenario…] …\nscenarios: " + String.join(" ", known.keySet()));
            System.exit(2);
        }
        // Results own the real standard output; whatever the client library or mqadmin print goes elsewhere.
        PrintStream results = System.out;
        Console.install(noise(options.get("noise")));
        World.Asks asks = new World.Asks(results,
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)));
        boolean ok = run(wanted, known, options, asks);
        results.flush();
        // Client libraries leave threads behind that are no daemons.
        Runtime.getRuntime().halt(ok ? 0 : 1);
    }

    private static PrintStream noise(String path) throws Exception {
        return new PrintStream(path == null ? OutputStream.nullOutputStream() : new FileOutputStream(path, true), true);
    }

    /** Runs group after group; the scenarios of one group run side by side. */
    private static boolean run(List<String> groups, Map<String, Scenario> known, Map<String, String> options,
                               World.Asks asks) throws Exception {
        AtomicBoolean ok = new AtomicBoolean(true);
        ExecutorService pool = Executors.newFixedThreadPool(Integer.parseInt(options.getOrDefault("jobs", "6")));
        for (String group : groups) {
            List<Future<?>> running = new ArrayList<>();
            for (String name : group.split(",")) {
                running.add(pool.submit(() -> {
                    if (!runOne(name, known.get(name), options, asks)) {
                        ok.set(false);
                    }
                }));
            }
            for (Future<?> one : running) {
                one.get();
            }
        }
        pool.shutdown();
        return ok.get();
    }

    private static boolean runOne(String name, Scenario scenario, Map<String, String> options, World.Asks asks) {
        Report report = new Report(name);
        try (World world = new World(options.get("namesrv"), options.getOrDefault("prefix", "interop"), name,
            options.getOrDefault("lie", "none"), options, asks)) {
            scenario.run(world, report);
        } catch (Throwable error) {
            report.died(error);
        }
        asks.say(report.line());
        return report.ok();
    }
}
