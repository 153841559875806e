/* flywheel sim: the factory and its units in one process, from one seed (src/sim/sim.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/args.h"
#include "cli/cli.h"
#include "cli/sim_many.h"
#include "cli/stop.h"
#include "sim/sim.h"

static const char help_text[] =
    "usage: flywheel sim [OPTIONS]\n\n"
    "Runs the factory and units in one process, in simulated time, from one seed: bad networks, power\n"
    "cuts, full disks, jumping clocks, units that lie. Looks at every promise all the time, and says\n"
    "which one was broken first. The same seed tells the same story. Training and TLS are not in it.\n\n"
    "  --seed S          the seed (default 1)\n"
    "  --seeds A..B      all of these, one after another; with --jobs J in J processes\n"
    "  --jobs J          1 to 256 (default 1)\n"
    "  --units N         1 to 4000 (default 3)\n"
    "  --hours H         of simulated time with faults (default 1); then until all is done\n"
    "  --replay-check    each seed twice; the stories must be the same\n"
    "  --story           prints everything that happens, on stderr\n"
    "  --scratch DIR     where the machines' files lie meanwhile (default /dev/shm, else /tmp)\n"
    "  --json            one JSON object a seed, and one for all with --seeds\n\n"
    "Exit: 0 every promise kept, 1 one was broken (with the command that replays it).\n";

static fw_status read_seeds(const char *text, fw_sim_many *many, fw_error *error) {
    char *end;
    many->first = strtoull(text, &end, 10);
    bool good = end > text && strncmp(end, "..", 2) == 0 && end[2] >= '0' && end[2] <= '9';
    if (good) many->last = strtoull(end + 2, &end, 10);
    if (!good || *end || many->last < many->first || many->last - many->first > 10000000)
        return fw_fail(error, FW_INVALID, "--seeds wants A..B, for example 1..50");
    return FW_OK;
}

static fw_status read_options(int argc, char **argv, fw_sim_many *many, fw_error *error) {
    const char *hours = "1", *seeds = NULL;
    uint64_t seed = 1, units = 3, jobs = 1;
    const fw_arg table[] = {{"--seed", FW_ARG_U64, &seed, 0, UINT64_MAX},
                            {"--seeds", FW_ARG_TEXT, &seeds, 1, 60},
                            {"--jobs", FW_ARG_U64, &jobs, 1, 256},
                            {"--units", FW_ARG_U64, &units, 1, FW_SIM_UNITS_MAX},
                            {"--hours", FW_ARG_TEXT, &hours, 1, 20},
                            {"--scratch", FW_ARG_TEXT, &many->scratch, 1, 200},
                            {"--replay-check", FW_ARG_FLAG, &many->twice, 0, 0},
                            {"--story", FW_ARG_FLAG, &many->story, 0, 0},
                            {"--json", FW_ARG_FLAG, &many->json, 0, 0}};
    char *end;
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    many->hours = strtod(hours, &end);
    if (*end || !(many->hours > 0) || many->hours > 10000)
        return fw_fail(error, FW_INVALID, "--hours wants a number over 0, for example 0.5");
    many->first = many->last = seed;
    many->units = (uint32_t)units;
    many->jobs = (unsigned)jobs;
    many->range = seeds != NULL;
    return seeds ? read_seeds(seeds, many, error) : FW_OK;
}

int fw_cmd_sim(int argc, char **argv) {
    fw_sim_many many = {.scratch = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"};
    fw_error error = {""};
    bool kept = false;
    if (fw_cli_asks_help(argc, argv, help_text)) return FW_CLI_DONE;
    if (read_options(argc, argv, &many, &error) != FW_OK) return fw_cli_usage("sim", &error);
    fw_cli_catch_stop();
    if (fw_sim_many_run(&many, &kept, &error) != FW_OK) return fw_cli_fail(&error);
    return kept ? FW_CLI_DONE : FW_CLI_FAILED;
}
