/* flywheel gate list, show: the factory's book of decisions, through the API. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/args.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/gate.h"

int fw_gate_list_verb(int argc, char **argv) {
    static const fw_ask_column columns[] = {{"#", "n", FW_ASK_NUMBER, 4},
                                            {"generation", "generation", FW_ASK_NUMBER, 10},
                                            {"candidate", "candidate", FW_ASK_HASH, -12},
                                            {"suite", "suite", FW_ASK_HASH, -12},
                                            {"epoch", "epoch", FW_ASK_NUMBER, 5},
                                            {"place", "place", FW_ASK_NUMBER, 5},
                                            {"alpha", "alpha", FW_ASK_NUMBER, 9},
                                            {"log e", "log_e", FW_ASK_NUMBER, 8},
                                            {"promoted", "promoted", FW_ASK_TEXT, -8},
                                            {"reason", "reason", FW_ASK_TEXT, -1}};
    return fw_ask_list("gate", "", argc, argv, "/v1/gate/decisions", columns, (int)(sizeof columns / sizeof *columns));
}

static fw_status show(const fw_ask *ask, uint64_t n, fw_error *error) {
    char path[64], *text = NULL;
    fw_http_call call = {.method = "GET", .reply_max_bytes = 4 << 20, .timeout_ms = 20000};
    snprintf(path, sizeof path, "/v1/gate/decisions/%" PRIu64, n);
    FW_TRY(fw_ask_perform(ask, &call, path, &text, error));
    json_t *row = json_loads(text, 0, NULL);
    const json_t *record = json_object_get(row, "record");
    if (ask->json) puts(text);
    else if (record) fw_gate_print(record, stdout);
    fw_status status = record ? FW_OK : fw_fail(error, FW_CORRUPT, "the factory's answer is no decision");
    json_decref(row);
    free(text);
    return status;
}

int fw_gate_show_verb(int argc, char **argv) {
    static const char *const flags[] = {"--json", NULL};
    fw_error error = {""};
    fw_ask ask;
    const char *word = NULL;
    int count = 0;
    uint64_t n = 0;
    fw_status status = fw_cli_words(&argc, argv, flags, &word, 1, &count, &error);
    if (status == FW_OK) status = fw_ask_options(argc, argv, &ask, &error);
    if (status == FW_OK) status = word ? fw_parse_u64(word, &n, &error) : fw_fail(&error, FW_INVALID, "want show N");
    if (status != FW_OK) return fw_cli_usage("gate", &error);
    if (show(&ask, n, &error) != FW_OK) return fw_cli_fail(&error);
    return FW_CLI_DONE;
}
