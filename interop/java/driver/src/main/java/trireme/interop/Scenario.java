package trireme.interop;

/** One promise of the broker, shown with the unmodified client. It throws, or reports what it found broken. */
interface Scenario {
    void run(World world, Report report) throws Exception;
}
