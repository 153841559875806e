/* flywheel gate: what was decided and why, and how far its decisions can be trusted. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/gate.h"

static const char help_text[] =
    "usage: flywheel gate decide --champion FILE --candidate FILE RECORDING... [OPTIONS]\n"
    "       flywheel gate trials [--short] [--record FILE] [--model FILE RECORDING...] [OPTIONS]\n"
    "       flywheel gate drills RECORDING... [OPTIONS]\n"
    "       flywheel gate list [--json] [--url URL]\n"
    "       flywheel gate show N [--json] [--url URL]\n\n"
    "The decision promote or refuse: on files, and how often it errs. docs/gate.md.\n\n"
    "decide: champion and candidate on recordings that neither was trained on; exit 1: refused\n"
    "  --champion FILE, --candidate FILE   two models\n"
    "  --place T           place in the epoch, from 1 (default 1): its level is alpha / (T (T + 1))\n"
    "  --promotions N      in the epoch so far (default 0)\n"
    "  --deadline-us N     of a decision, 99 of 100, CPU time (default 1000)\n"
    "trials: false promotions of candidates that are no better, and the power curve\n"
    "  --trials N          of each kind (default 2000; of the same weights 500)\n"
    "  --record FILE       a decision's record (decide --json): its pairs are drawn from\n"
    "  --model FILE        with recordings: two copies of this model on independent seeds as well\n"
    "  --short             a tenth of all of it: a smoke test\n"
    "  --seed S            default 1\n"
    "drills: candidates made to be refused, each for its reason; exit 1 when one is promoted\n"
    "  --champion FILE     who is to be beaten (default: a network trained on two thirds of the recordings)\n"
    "  --agent-steps N     of each training (default 1000000)\n"
    "  --short             a tenth of that\n"
    "  --seed S            default 1\n"
    "list, show: the factory's book of decisions; one of them with its slices and limits\n"
    "all\n"
    "  --threads N         1 to 16 (default 1); changes nothing but the time\n"
    "  --json              figures as JSON\n";

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
} verbs[] = {{"list", fw_gate_list_verb}, {"show", fw_gate_show_verb}, {"decide", fw_gate_decide_verb}, {"trials", fw_gate_trials_verb}, {"drills", fw_gate_drills_verb}};

int fw_cmd_gate(int argc, char **argv) {
    if (fw_cli_asks_help(argc, argv, help_text)) return FW_CLI_DONE;
    for (size_t i = 0; argc > 0 && i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(argv[0], verbs[i].name) == 0) return verbs[i].run(argc - 1, argv + 1);
    return fw_cli_usage("gate", &(fw_error){"want list, show, decide, trials or drills"});
}
