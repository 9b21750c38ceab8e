package trireme.interop;

import java.util.LinkedHashMap;
import java.util.Map;

/** The table of contents: every scenario by the name it has on the command line. */
final class Scenarios {
    private Scenarios() {
    }

    static Map<String, Scenario> all() {
        Map<String, Scenario> all = new LinkedHashMap<>();
        SendScenarios.into(all);
        ConsumeScenarios.into(all);
        OrderScenarios.into(all);
        LaterScenarios.into(all);
        FeatureScenarios.into(all);
        RebalanceScenarios.into(all);
        AdminScenarios.into(all);
        AdminMessageScenarios.into(all);
        RestartScenarios.into(all);
        HandOverScenarios.into(all);
        FailoverScenarios.into(all);
        MasterScenarios.into(all);
        return all;
    }
}
