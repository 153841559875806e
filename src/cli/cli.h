/* cli.h - `flywheel`: one table of commands.
 *
 * stdout is data, stderr is talk. Exit status 0: done; 1: failed, or the answer is no; 2: wrong
 * usage. Commands that read take --json and print what the API answers. They find the factory by
 * --url, or FLYWHEEL_URL, or at http://127.0.0.1:8080.
 *
 * To add a command: 1. src/cli/cmd_NAME.c with `int fw_cmd_NAME(int argc, char **argv)` (argv
 * without the program's and the command's names), 2. a line in FW_COMMANDS, 3. a section
 * "## `flywheel NAME`" in docs/cli.md. A command with a NULL help prints its own for --help.
 */
#ifndef FW_CLI_CLI_H
#define FW_CLI_CLI_H

#include <stdbool.h>

#include "base/status.h"

enum { FW_CLI_DONE = 0, FW_CLI_FAILED = 1, FW_CLI_USAGE = 2 };

/* X(name, what it does in one line) in the order of the help. */
#define FW_COMMANDS(X)                                                                             \
    X(demo, "a fleet of cars in a real city gets better, on this machine")                         \
    X(experiment, "is the loop the cause? three arms in the same worlds")                          \
    X(serve, "the factory: uploads, data sets, training, gate, models, rollout, page")             \
    X(status, "what the factory is doing")                                                         \
    X(recordings, "what units uploaded")                                                           \
    X(query, "which recordings there are: by unit, time, event, place, figures")                   \
    X(slice, "many recordings, or the seconds around events, as one file")                         \
    X(catalogue, "make the catalogue again from the objects, or compare them")                     \
    X(retention, "how long recordings are kept")                                                   \
    X(erase, "forget one unit for good, with a signed tombstone")                                  \
    X(events, "moments that units flagged")                                                        \
    X(units, "what each unit last reported")                                                       \
    X(generations, "every turn of the loop, with its decision and figures")                        \
    X(models, "list, show, make and add models")                                                   \
    X(receipt, "how a failure became a fixed fleet, hop by hop, signed; does one hold?")                \
    X(rollout, "a model to the fleet ring by ring, and back; how soon harm is noticed")            \
    X(import, "other tools' data as recordings: CommonRoad, comma2k19, candump, CSV")              \
    X(suite, "scenes of a data set as suites: to train on, held out, by site")                     \
    X(scenario, "what there is to drive in recordings and scenes; as a picture")                   \
    X(campaign, "what units are asked to capture: add, list, show, end")                            \
    X(log, "look into recordings, mend them, make new ones of them")                               \
    X(train, "a model from recordings, without a factory; on many processes")                      \
    X(evaluate, "drivers on the same drives, side by side, with intervals")                        \
    X(gate, "promote or refuse: on files; how often it errs, and what it must refuse")             \
    X(sim, "the factory and its units in one process, from one seed, with every fault")            \
    X(replay, "a drive that one model failed and another passed, as pictures")                     \
    X(nn, "look into networks, measure them; to ONNX and back")                                    \
    X(enroll, "a certificate for a unit; list and revoke them")                                    \
    X(token, "tokens for people: create, list, revoke")                                            \
    X(trust, "keys and roots that units trust: status, rotate, delegate, sign, verify")            \
    X(version, "print the version")                                                                \
    X(help, "this list")

#define X(name, summary) int fw_cmd_##name(int argc, char **argv);
FW_COMMANDS(X)
#undef X
/* Hidden: serve starts it. */
int fw_cmd_job(int argc, char **argv);

/* argv as main has it. */
int fw_cli_main(int argc, char **argv);

/* "flywheel: TEXT" on stderr; returns FW_CLI_FAILED, or FW_CLI_USAGE for FW_INVALID arguments. */
int fw_cli_fail(const fw_error *error);
int fw_cli_usage(const char *command, const fw_error *error);
/* True when --help is among the words; then help was printed. */
bool fw_cli_asks_help(int argc, char **argv, const char *help);
/* Moves words that are no options to words (at most max; more is FW_INVALID); the rest stays in
 * argv for fw_args_parse. flags: options without a value, NULL-terminated. */
fw_status fw_cli_words(int *argc, char **argv, const char *const *flags, const char **words,
                       int max, int *count, fw_error *error) FW_MUST;
/* Whether a file can be written there, said before hours go into it. */
fw_status fw_cli_check_place(const char *path, fw_error *error) FW_MUST;

#endif
