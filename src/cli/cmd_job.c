/* flywheel job train|gate: started by serve alone (factory/generations/job.h). */
#include <stdio.h>
#include <string.h>

#include "base/args.h"
#include "cli/cli.h"
#include "factory/generations/job.h"

int fw_cmd_job(int argc, char **argv) {
    fw_error error = {""};
    const char *data = NULL, *name = NULL;
    uint64_t generation = 0, threads = 1;
    int count = 0;
    const char *const flags[] = {NULL};
    const fw_arg table[] = {{"--data", FW_ARG_TEXT, &data, 1, 400},
                            {"--generation", FW_ARG_U64, &generation, 0, INT64_MAX},
                            {"--threads", FW_ARG_U64, &threads, 1, 16}};
    if (fw_cli_words(&argc, argv, flags, &name, 1, &count, &error) != FW_OK ||
        fw_args_parse(argc, argv, table, sizeof table / sizeof *table, &error) != FW_OK)
        return fw_cli_usage("job", &error);
    if (!name || (strcmp(name, "train") != 0 && strcmp(name, "gate") != 0) || !data)
        return fw_cli_usage("job", &(fw_error){"want train or gate, and --data"});
    return fw_job_run(name, data, (int64_t)generation, (unsigned)threads);
}
