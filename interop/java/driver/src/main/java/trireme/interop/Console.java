package trireme.interop;

import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * mqadmin speaks through System.out. This catches what it says on the thread that ran a command (and on threads which
 * that command started), while everybody else's noise goes to a file.
 */
final class Console extends OutputStream {
    private static final InheritableThreadLocal<ByteArrayOutputStream> CAUGHT = new InheritableThreadLocal<>();
    private final PrintStream noise;

    private Console(PrintStream noise) {
        this.noise = noise;
    }

    static void install(PrintStream noise) {
        PrintStream console = new PrintStream(new Console(noise), true, StandardCharsets.UTF_8);
        System.setOut(console);
        System.setErr(console);
    }

    static String during(Runnable deed) {
        ByteArrayOutputStream caught = new ByteArrayOutputStream();
        CAUGHT.set(caught);
        try {
            deed.run();
        } finally {
            CAUGHT.remove();
        }
        synchronized (caught) {
            return caught.toString(StandardCharsets.UTF_8);
        }
    }

    @Override
    public void write(int b) {
        write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int from, int len) {
        ByteArrayOutputStream caught = CAUGHT.get();
        if (caught == null) {
            noise.write(bytes, from, len);
        } else {
            synchronized (caught) {
                caught.write(bytes, from, len);
            }
        }
    }
}
