/* flywheel evaluate: drivers on the same drives, in each kind of traffic, as tables with intervals. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "cli/cli.h"
#include "cli/evaluate.h"

static const char help_text[] =
    "usage: flywheel evaluate --suite FILE|FOLDER... [--model FILE]... [OPTIONS]\n\n"
    "Drives every scenario of a suite with every driver, and prints what came of it with 95 % intervals\n"
    "that resample whole groups of scenes; below, each driver less another on the same drives.\n"
    "What the columns mean: docs/metrics.md.\n\n"
    "  --suite FILE         a suite (docs/formats/suite.md), a recording, or a folder whose *.mcap are taken;\n"
    "                       more may follow, and it may be given again\n"
    "  --model FILE         a row for this model; may be given again\n"
    "  --baseline LIST      rows without a model: log, constant, pursuit, idm (default log,constant,idm)\n"
    "  --guard              each row but the log's once more with the guard\n"
    "  --traffic LIST       replayed, reactive, self-play, or all (default all)\n"
    "  --against NAME       the row that the others are compared with (default idm)\n"
    "  --slices             figures by site, manoeuvre, vehicle and light as well\n"
    "  --limit-per-group N  at most so many drives of a group, evenly spread; not in self-play\n"
    "  --seed N             of the traffic's drivers (default 1)\n"
    "  --threads N          1 to 16 (default: the processors); changes nothing but the time\n"
    "  --csv FILE           a line for each drive of each row\n"
    "  --json               everything as JSON\n";

/* A suite is a word like those that follow it: --suite may come again, before other options too. */
static fw_status take_suites(int *argc, char **argv, fw_error *error) {
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--suite") != 0) argv[kept++] = argv[i];
        else if (i + 1 == *argc || !*argv[i + 1] || argv[i + 1][0] == '-')
            return fw_fail(error, FW_INVALID, "--suite needs a value");
    }
    *argc = kept;
    return FW_OK;
}

static fw_status read_words(int argc, char **argv, fw_evaluation *e, fw_error *error) {
    static const char *const flags[] = {"--json", "--guard", "--slices", "--help", NULL};
    *e = (fw_evaluation){.baselines = "log,constant,idm", .traffics = "all", .seed = 1};
    const fw_arg table[] = {{"--baseline", FW_ARG_TEXT, &e->baselines, 0, 100},
                            {"--traffic", FW_ARG_TEXT, &e->traffics, 1, 100},
                            {"--against", FW_ARG_TEXT, &e->against, 1, FW_DRIVER_NAME_MAX - 1},
                            {"--csv", FW_ARG_TEXT, &e->csv, 1, 500},
                            {"--limit-per-group", FW_ARG_U64, &e->per_group, 1, 1000000},
                            {"--seed", FW_ARG_U64, &e->seed, 0, INT64_MAX},
                            {"--threads", FW_ARG_U64, &e->threads, 1, 16},
                            {"--guard", FW_ARG_FLAG, &e->guard, 0, 0},
                            {"--slices", FW_ARG_FLAG, &e->slices, 0, 0},
                            {"--json", FW_ARG_FLAG, &e->json, 0, 0},
                            {"--help", FW_ARG_FLAG, &e->help, 0, 0}};
    FW_TRY(take_suites(&argc, argv, error));
    FW_TRY(fw_evaluate_take_models(&argc, argv, e, error));
    FW_TRY(fw_cli_words(&argc, argv, flags, e->sources, FW_EVALUATE_SOURCES_MAX, &e->source_count, error));
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    if (e->help) return FW_OK;
    if (e->source_count == 0) return fw_fail(error, FW_INVALID, "say --suite FILE or FOLDER");
    return fw_evaluate_words(e, error);
}

static fw_status evaluate(fw_evaluation *e, fw_error *error) {
    if (e->csv) FW_TRY(fw_cli_check_place(e->csv, error));
    FW_TRY(fw_evaluate_run(e, error));
    if (e->csv) FW_TRY(fw_evaluate_write_csv(e, error));
    return e->json ? fw_evaluate_print_json(e, error) : fw_evaluate_print_tables(e, error);
}

int fw_cmd_evaluate(int argc, char **argv) {
    fw_error error = {""};
    int exit_status = FW_CLI_DONE;
    fw_evaluation *e = malloc(sizeof *e);
    if (!e) return fw_cli_fail(&(fw_error){"no memory"});
    fw_status status = read_words(argc, argv, e, &error);
    if (status != FW_OK) {
        exit_status = fw_cli_usage("evaluate", &error);
    } else if (e->help) {
        fputs(help_text, stdout);
    } else {
        status = evaluate(e, &error);
        fw_evaluate_clear(e);
        if (status != FW_OK) exit_status = fw_cli_fail(&error);
    }
    free(e);
    return exit_status;
}
