/* receipt_print.c - a receipt for people: a line a hop, and what they come to (receipt.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/receipt.h"
#include "cli/table.h"

static const char *text(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

/* 3.2 s, 4 min 5 s, 2.1 h */
static void put_seconds(double s, char *out, size_t out_size) {
    if (s < 120) snprintf(out, out_size, "%.1f s", s);
    else if (s < 7200) snprintf(out, out_size, "%d min %d s", (int)(s / 60), (int)fmod(s, 60));
    else snprintf(out, out_size, "%.1f h", s / 3600);
}

static void put_utc(int64_t time_ns, char *out, size_t out_size) {
    time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    if (strftime(out, out_size, "%Y-%m-%d %H:%M:%S", &utc) == 0) *out = '\0';
}

/* Nobody's text steers the terminal. */
static void put_plain(const char *from, char *out, size_t out_size) {
    snprintf(out, out_size, "%s", from ? from : "");
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
}

/* What matters of a hop in a few words. */
static void put_note(fw_receipt_hop which, const json_t *hop, char *out, size_t out_size) {
    const json_t *facts = json_object_get(hop, "facts");
    const char *from = NULL;
    if (!json_is_true(json_object_get(hop, "done"))) from = text(hop, "why");
    else if (which == FW_RECEIPT_EVENT) from = text(facts, "kind");
    else if (which == FW_RECEIPT_RECORDING || which == FW_RECEIPT_DATASET) from = text(facts, "role");
    else if (which == FW_RECEIPT_GATE) from = text(facts, "decision");
    else if (which == FW_RECEIPT_REPLAY) from = text(facts, "outcome");
    put_plain(from, out, out_size);
    if (which == FW_RECEIPT_ROLLOUT && json_object_get(facts, "units"))
        snprintf(out, out_size, "%" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " units",
                 json_integer_value(json_object_get(facts, "active")),
                 json_integer_value(json_object_get(facts, "units")));
}

static void add_row(fw_table *t, fw_receipt_hop which, const json_t *hop) {
    const json_t *time_ns = json_object_get(hop, "time_ns"), *since = json_object_get(hop, "since_event_ns");
    const json_t *bytes = json_object_get(hop, "bytes"), *core = json_object_get(hop, "core_ms");
    char cell[200];
    fw_table_cell(t, "%s", fw_receipt_hop_names[which]);
    put_utc(json_integer_value(time_ns), cell, sizeof cell);
    fw_table_cell(t, "%s", json_is_integer(time_ns) ? cell : "-");
    put_seconds((double)json_integer_value(since) * 1e-9, cell, sizeof cell);
    fw_table_cell(t, "%s", json_is_integer(since) ? cell : "-");
    fw_table_cell(t, "%s", json_is_integer(bytes) ? fw_cli_bytes((double)json_integer_value(bytes)) : "-");
    snprintf(cell, sizeof cell, "%.2f", (double)json_integer_value(core) * 1e-3);
    fw_table_cell(t, "%s", json_is_integer(core) ? cell : "-");
    fw_table_cell(t, "%.12s", text(hop, "sha256") ? text(hop, "sha256") : "-");
    put_note(which, hop, cell, sizeof cell);
    fw_table_cell(t, "%s", cell);
}

static void print_drives(const fw_receipt_view *view) {
    const json_t *replay = fw_receipt_hop_of(view, FW_RECEIPT_REPLAY), *drive = NULL;
    size_t i;
    json_array_foreach(json_object_get(json_object_get(replay, "facts"), "drives"), i, drive) {
        char end[80];
        put_plain(text(drive, "end"), end, sizeof end);
        printf("%s %.12s: %s, %.1f m, %s%s\n", i == 0 ? "drove then" : "drives now",
               text(drive, "model") ? text(drive, "model") : "?", end,
               (double)json_integer_value(json_object_get(drive, "distance_mm")) * 1e-3,
               json_is_true(json_object_get(drive, "passed")) ? "passed" : "failed",
               json_is_true(json_object_get(drive, "again")) ? ", the event came again" : "");
    }
}

void fw_receipt_print(const fw_receipt_view *view) {
    static const bool right[] = {false, false, true, true, true, false, false};
    fw_table t = {.columns = 7, .titles = {"hop", "when (UTC)", "since event", "size", "core s", "sha256", ""}};
    for (size_t i = 0; i < 7; i++) t.right[i] = right[i];
    for (fw_receipt_hop h = 0; h < FW_RECEIPT_HOP_COUNT; h++) add_row(&t, h, fw_receipt_hop_of(view, h));
    fw_table_print(&t, stdout);
    fw_table_clear(&t);
    print_drives(view);
    char took[40];
    put_seconds((double)view->failure_to_fixed_ns * 1e-9, took, sizeof took);
    printf("event %" JSON_INTEGER_FORMAT ": %s, %s%s%s\n", (json_int_t)view->event,
           view->complete ? "complete" : "incomplete", view->outcome,
           view->failure_to_fixed_ns >= 0 ? "; from the failure to a fixed fleet: " : "",
           view->failure_to_fixed_ns >= 0 ? took : "");
}

void fw_receipt_print_summary(const json_t *summary) {
    const json_t *fixed = json_object_get(summary, "failure_to_fixed_s");
    double low = json_number_value(json_object_get(fixed, "low"));
    char median[40], from[40], to[40];
    static const char *const counts[] = {"events", "receipts", "complete", "fixed", "not_reproduced", "not_fixed", "open"};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        printf("%-16s %" JSON_INTEGER_FORMAT "\n", counts[i], json_integer_value(json_object_get(summary, counts[i])));
    printf("%-16s %.1f %% of the receipts\n", "complete chains",
           100 * json_number_value(json_object_get(summary, "share_complete")));
    if (!json_is_object(fixed)) {
        puts("no failure is fixed on the whole fleet yet");
        return;
    }
    put_seconds(json_number_value(json_object_get(fixed, "median")), median, sizeof median);
    put_seconds(low, from, sizeof from);
    put_seconds(json_number_value(json_object_get(fixed, "high")), to, sizeof to);
    bool interval = json_is_number(json_object_get(fixed, "low"));
    printf("%-16s median %s%s%s%s%s%s, n = %" JSON_INTEGER_FORMAT " events of %" JSON_INTEGER_FORMAT
           " generation%s\n",
           "failure to fixed", median, interval ? " [" : "", interval ? from : "", interval ? ", " : "",
           interval ? to : "", interval ? "]" : "", json_integer_value(json_object_get(fixed, "n")),
           json_integer_value(json_object_get(fixed, "clusters")),
           json_integer_value(json_object_get(fixed, "clusters")) == 1 ? "" : "s");
}
