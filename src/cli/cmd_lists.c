/* flywheel status, recordings, events, units, generations: what the factory's lists say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cli.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
#define OPTIONS_HELP                                                                               \
    "  --json           print what the API answers\n"                                              \
    "  --url URL        the factory (default FLYWHEEL_URL or http://127.0.0.1:8080)\n"
#define LIMIT_HELP "  --limit N        at most N rows, newest first\n"

int fw_cmd_recordings(int argc, char **argv) {
    static const fw_ask_column columns[] = {{"recording", "sha256", FW_ASK_HASH, -12},
                                            {"unit", "unit", FW_ASK_TEXT, -10},
                                            {"role", "role", FW_ASK_TEXT, -8},
                                            {"received (UTC)", "received_ns", FW_ASK_TIME, -19},
                                            {"size", "size_bytes", FW_ASK_BYTES, 9},
                                            {"messages", "messages", FW_ASK_NUMBER, 8},
                                            {"events", "events", FW_ASK_NUMBER, 6},
                                            {"generation", "generation", FW_ASK_NUMBER, 10},
                                            {"state", "state", FW_ASK_TEXT, -7}};
    return fw_ask_list(
        "recordings",
        "usage: flywheel recordings [OPTIONS]\n\nLists what units uploaded.\n\n" LIMIT_HELP
            OPTIONS_HELP,
        argc, argv, "/v1/recordings", columns, COUNT(columns));
}

int fw_cmd_events(int argc, char **argv) {
    static const fw_ask_column columns[] = {{"received (UTC)", "received_ns", FW_ASK_TIME, -19},
                                            {"unit", "unit", FW_ASK_TEXT, -10},
                                            {"event", "kind", FW_ASK_TEXT, -12},
                                            {"value", "value", FW_ASK_NUMBER, 9},
                                            {"recording", "recording", FW_ASK_HASH, -12}};
    return fw_ask_list("events",
                       "usage: flywheel events [OPTIONS]\n\nLists moments that units flagged by "
                       "themselves.\n\n" LIMIT_HELP OPTIONS_HELP,
                       argc, argv, "/v1/events", columns, COUNT(columns));
}

int fw_cmd_units(int argc, char **argv) {
    static const fw_ask_column columns[] = {{"unit", "id", FW_ASK_TEXT, -10},
                                            {"role", "role", FW_ASK_TEXT, -8},
                                            {"active", "active", FW_ASK_HASH, -12},
                                            {"staged", "staged", FW_ASK_HASH, -12},
                                            {"tick", "tick", FW_ASK_NUMBER, 8},
                                            {"recordings", "recordings", FW_ASK_NUMBER, 10},
                                            {"spool", "spool_bytes", FW_ASK_BYTES, 9},
                                            {"lost", "lost_bytes", FW_ASK_BYTES, 9},
                                            {"reported (UTC)", "reported_ns", FW_ASK_TIME, -19}};
    return fw_ask_list(
        "units",
        "usage: flywheel units [OPTIONS]\n\nLists each unit's last report.\n\n" OPTIONS_HELP, argc,
        argv, "/v1/units", columns, COUNT(columns));
}

int fw_cmd_generations(int argc, char **argv) {
    static const fw_ask_column columns[] = {
        {"#", "index", FW_ASK_NUMBER, 3},
        {"stage", "stage", FW_ASK_TEXT, -8},
        {"decision", "decision", FW_ASK_TEXT, -8},
        {"model", "model", FW_ASK_HASH, -12},
        {"candidate", "candidate", FW_ASK_HASH, -12},
        {"recordings", "recordings", FW_ASK_NUMBER, 10},
        {"uploaded", "bytes_uploaded", FW_ASK_BYTES, 9},
        {"steps", "agent_steps", FW_ASK_NUMBER, 9},
        {"core s", "train_core_s", FW_ASK_NUMBER, 8},
        {"event to model s", "event_to_model_s", FW_ASK_NUMBER, 16},
        {"reason", "reason", FW_ASK_TEXT, -1}};
    return fw_ask_list(
        "generations",
        "usage: flywheel generations [OPTIONS]\n\nLists every turn of the loop.\n\n" OPTIONS_HELP,
        argc, argv, "/v1/generations", columns, COUNT(columns));
}

static const fw_ask_column status_rows[] = {
    {"version", "version", FW_ASK_TEXT, 0},
    {"stage", "stage", FW_ASK_TEXT, 0},
    {"generation", "generation", FW_ASK_NUMBER, 0},
    {"job", "job.kind", FW_ASK_TEXT, 0},
    {"job phase", "job.phase", FW_ASK_TEXT, 0},
    {"job done", "job.done", FW_ASK_NUMBER, 0},
    {"job total", "job.total", FW_ASK_NUMBER, 0},
    {"job counts", "job.unit", FW_ASK_TEXT, 0},
    {"job per s", "job.per_s", FW_ASK_NUMBER, 0},
    {"job s left", "job.left_s", FW_ASK_NUMBER, 0},
    {"champion", "champion", FW_ASK_HASH, 0},
    {"units", "units", FW_ASK_NUMBER, 0},
    {"units heard of", "units_recent", FW_ASK_NUMBER, 0},
    {"units on champion", "units_active", FW_ASK_NUMBER, 0},
    {"recordings", "recordings", FW_ASK_NUMBER, 0},
    {"bytes uploaded", "bytes", FW_ASK_BYTES, 0},
    {"events", "events", FW_ASK_NUMBER, 0},
    {"models", "models", FW_ASK_NUMBER, 0},
    {"disk used", "objects_bytes", FW_ASK_BYTES, 0},
    {"disk cap", "disk_cap_bytes", FW_ASK_BYTES, 0},
    {"confined", "confined", FW_ASK_TEXT, 0},
    {"up for s", "uptime_s", FW_ASK_NUMBER, 0},
};

int fw_cmd_status(int argc, char **argv) {
    fw_ask ask;
    fw_error error = {""};
    char *text = NULL, cell[200];
    if (fw_ask_options(argc, argv, &ask, &error) != FW_OK) return fw_cli_usage("status", &error);
    if (ask.help) {
        fputs(
            "usage: flywheel status [OPTIONS]\n\nSays what the factory is doing.\n\n" OPTIONS_HELP,
            stdout);
        return FW_CLI_DONE;
    }
    fw_http_call call = {.method = "GET"};
    if (fw_ask_perform(&ask, &call, "/v1/status", &text, &error) != FW_OK)
        return fw_cli_fail(&error);
    json_t *json = json_loads(text, 0, NULL);
    if (ask.json) puts(text);
    for (int i = 0; i < COUNT(status_rows) && !ask.json; i++) {
        fw_ask_cell(json, &status_rows[i], cell, sizeof cell);
        printf("%-18s %s\n", status_rows[i].title, cell);
    }
    json_decref(json);
    free(text);
    return FW_CLI_DONE;
}
