/* flywheel receipt: how one failure became a fixed fleet, hop by hop; and does a receipt hold? */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/env.h"
#include "base/pace.h"
#include "cli/cli.h"
#include "cli/receipt.h"
#include "cli/stop.h"

enum { MAKING_MS = 120000, EVENTS_MAX = 100000, KEY_MAX_BYTES = 1 << 16 };

static const char help_text[] =
    "usage: flywheel receipt EVENT [--bundle FOLDER] [OPTIONS]\n"
    "       flywheel receipt --all [--summary] [OPTIONS]\n"
    "       flywheel receipt verify FILE --key KEY.json [--objects FOLDER] [--drive] [--json]\n\n"
    "A receipt is the chain from an event to the fleet that passes it: recording, scenario, data set, run, gate,\n"
    "signature, rollout, and the event's moment driven again by the model that drove then and by the new one. EVENT is\n"
    "an id of GET /v1/events, `latest`, or the hash of a recording. It is signed by the factory, and checked here.\n\n"
    "  --bundle FOLDER    keep it there: receipt.json, key.json, and the files that it names\n"
    "  --all              make those of all events (--limit N: of the newest), and list them\n"
    "  --summary          what they come to: the median time from a failure to a fixed fleet\n"
    "  --json             print the signed receipt (for --all: the list) as JSON\n"
    "  --url, --ca, --token, --limit: as everywhere (flywheel help)\n\n"
    "verify needs no factory: the signature by the key, the hashes from hop to hop, and that the sums follow. With\n"
    "  --objects FOLDER   the hashes of the files too, as far as they lie there (--bundle, or a factory's data folder)\n"
    "  --drive            and drives the moment again with them: the figures must be the same. Exit status 1: it\n"
    "                     does not hold.\n";

typedef struct options {
    fw_ask ask;
    const char *key, *objects, *bundle;
    bool all, summary, drive;
} options;

static fw_status read_options(int argc, char **argv, options *o, fw_error *error) {
    const char *from_env = getenv("FLYWHEEL_URL");
    *o = (options){.ask.url = from_env && *from_env ? from_env : "http://127.0.0.1:8080"};
    const fw_arg table[] = {{"--json", FW_ARG_FLAG, &o->ask.json, 0, 0},
                            {"--help", FW_ARG_FLAG, &o->ask.help, 0, 0},
                            {"--all", FW_ARG_FLAG, &o->all, 0, 0},
                            {"--summary", FW_ARG_FLAG, &o->summary, 0, 0},
                            {"--drive", FW_ARG_FLAG, &o->drive, 0, 0},
                            {"--key", FW_ARG_TEXT, &o->key, 1, 400},
                            {"--objects", FW_ARG_TEXT, &o->objects, 1, 400},
                            {"--bundle", FW_ARG_TEXT, &o->bundle, 1, 300},
                            {"--url", FW_ARG_TEXT, &o->ask.url, 8, 300},
                            {"--ca", FW_ARG_TEXT, &o->ask.ca, 1, 400},
                            {"--token", FW_ARG_TEXT, &o->ask.token, 1, 200},
                            {"--limit", FW_ARG_U64, &o->ask.limit, 1, EVENTS_MAX}};
    FW_TRY(fw_args_parse(argc, argv, table, sizeof table / sizeof *table, error));
    if (o->drive && !o->objects) return fw_fail(error, FW_INVALID, "--drive needs the files: say --objects FOLDER");
    return FW_OK;
}

/* ---- one receipt ---- */

static fw_status get(const options *o, const char *path, char **text, fw_error *error) {
    fw_http_call call = {.method = "GET", .timeout_ms = MAKING_MS};
    return fw_ask_perform(&o->ask, &call, path, text, error);
}

static fw_status get_rows(const options *o, uint64_t limit, json_t **rows, fw_error *error) {
    char path[80], *text = NULL;
    snprintf(path, sizeof path, "/v1/events?limit=%" PRIu64, limit);
    FW_TRY(get(o, path, &text, error));
    *rows = json_loads(text, 0, NULL);
    free(text);
    if (json_is_array(*rows)) return FW_OK;
    json_decref(*rows);
    return fw_fail(error, FW_CORRUPT, "the factory's list of events is no list");
}

/* "17", "latest", or a recording: its first event. */
static fw_status find_event(const options *o, const char *word, int64_t *event, fw_error *error) {
    bool latest = strcmp(word, "latest") == 0, recording = fw_hash_valid(word);
    uint64_t number = 0;
    json_t *rows = NULL, *row = NULL;
    size_t i;
    if (!latest && !recording) {
        FW_TRY(fw_parse_u64(word, &number, error));
        *event = (int64_t)number;
        return FW_OK;
    }
    FW_TRY(get_rows(o, latest ? 1 : EVENTS_MAX, &rows, error));
    bool found = false;
    json_array_foreach(rows, i, row) {
        const char *of = json_string_value(json_object_get(row, "recording"));
        if (!latest && (!of || strcmp(of, word) != 0)) continue;
        *event = json_integer_value(json_object_get(row, "id")); /* newest first: the last one found is the first */
        found = true;
    }
    json_decref(rows);
    return found ? FW_OK : fw_fail(error, FW_NOT_FOUND, "no event %s%.12s", latest ? "" : "in recording ", latest ? "yet" : word);
}

typedef struct fetched {
    char *envelope, *key;
    fw_receipt_checked checked;
} fetched;

static void fetched_clear(fetched *f) {
    fw_receipt_checked_clear(&f->checked);
    free(f->envelope);
    free(f->key);
    *f = (fetched){0};
}

static fw_status fetch(const options *o, int64_t event, fetched *out, fw_error *error) {
    char path[80];
    *out = (fetched){0};
    snprintf(path, sizeof path, "/v1/events/%" PRId64 "/receipt", event);
    fw_status status = get(o, path, &out->envelope, error);
    if (status == FW_OK) status = get(o, "/v1/receipts/key", &out->key, error);
    if (status == FW_OK)
        status = fw_receipt_verify(out->envelope, strlen(out->envelope), out->key, &out->checked, error);
    if (status != FW_OK) fetched_clear(out);
    return status;
}

static fw_status keep(const char *folder, const char *name, const void *bytes, size_t size_bytes, fw_error *error) {
    char path[FW_PATH_MAX];
    fw_path_join(path, sizeof path, folder, name);
    return fw_file_write_durable(fw_env_real(), path, bytes, size_bytes, error);
}

/* One that the factory let go is said, and left out. */
static fw_status keep_object(const options *o, const fw_receipt_file *file, fw_error *error) {
    char path[120];
    fw_http_reply reply;
    fw_http_call call = {.method = "GET", .timeout_ms = MAKING_MS};
    fw_error why;
    snprintf(path, sizeof path, "/v1/objects/%s", file->sha256);
    if (fw_ask_reply(&o->ask, &call, path, &reply, &why) != FW_OK) {
        fprintf(stderr, "%s %.12s: %s\n", file->what, file->sha256, why.text);
        return FW_OK;
    }
    fw_status status = keep(o->bundle, file->sha256, reply.body, reply.body_bytes, error);
    fw_http_reply_clear(&reply);
    return status;
}

static fw_status keep_bundle(const options *o, const fetched *f, fw_error *error) {
    fw_receipt_file files[FW_RECEIPT_FILES_MAX];
    uint32_t count = fw_receipt_files(&f->checked.view, files);
    FW_TRY(fw_folder_make(o->bundle, 0755, error));
    FW_TRY(keep(o->bundle, "receipt.json", f->envelope, strlen(f->envelope), error));
    FW_TRY(keep(o->bundle, "key.json", f->key, strlen(f->key), error));
    for (uint32_t i = 0; i < count; i++) FW_TRY(keep_object(o, &files[i], error));
    return FW_OK;
}

static fw_status show(const options *o, const char *word, fw_error *error) {
    int64_t event = 0;
    fetched f;
    FW_TRY(find_event(o, word, &event, error));
    FW_TRY(fetch(o, event, &f, error));
    if (o->ask.json) puts(f.envelope);
    else fw_receipt_print(&f.checked.view);
    fw_status status = o->bundle ? keep_bundle(o, &f, error) : FW_OK;
    fetched_clear(&f);
    return status;
}

/* ---- all of them ---- */

static void say_pace(fw_pace *pace, size_t done, size_t total) {
    char words[80];
    if (!isatty(STDERR_FILENO)) return;
    fw_pace_note(pace, fw_env_mono_ns(fw_env_real()), (double)done);
    fw_pace_words(fw_pace_per_s(pace), fw_pace_left_s(pace, (double)total), "receipts", words, sizeof words);
    fprintf(stderr, "\r%zu of %zu receipts %s\033[K%s", done, total, words, done == total ? "\n" : "");
}

/* Has each one made; one that cannot be is said and passed over. */
static fw_status make_all(const options *o, const json_t *events, fw_error *error) {
    fw_pace pace;
    json_t *row = NULL;
    size_t i, total = json_array_size(events);
    fw_pace_start(&pace, fw_env_mono_ns(fw_env_real()), 0);
    json_array_foreach((json_t *)(uintptr_t)events, i, row) {
        int64_t event = json_integer_value(json_object_get(row, "id"));
        fw_error why;
        fetched f;
        if (fw_cli_stopped) return fw_fail(error, FW_INTERRUPTED, "interrupted after %zu of %zu receipts", i, total);
        if (fetch(o, event, &f, &why) == FW_OK) fetched_clear(&f);
        else fprintf(stderr, "event %" PRId64 ": %s\n", event, why.text);
        say_pace(&pace, i + 1, total);
    }
    return FW_OK;
}

static const fw_ask_column columns[] = {
    {"event", "event", FW_ASK_NUMBER, 7},    {"unit", "unit", FW_ASK_TEXT, -8},
    {"kind", "kind", FW_ASK_TEXT, -10},      {"when (UTC)", "event_ns", FW_ASK_TIME, -19},
    {"gen", "generation", FW_ASK_NUMBER, 4}, {"complete", "complete", FW_ASK_TEXT, -8},
    {"fixed s", "fixed_s", FW_ASK_NUMBER, 9}, {"outcome", "outcome", FW_ASK_TEXT, -1}};

static fw_status all(const options *o, fw_error *error) {
    json_t *events = NULL;
    char path[80], *text = NULL;
    uint64_t limit = o->ask.limit ? o->ask.limit : EVENTS_MAX;
    fw_cli_catch_stop();
    FW_TRY(get_rows(o, limit, &events, error));
    fw_status status = make_all(o, events, error);
    json_decref(events);
    FW_TRY(status);
    snprintf(path, sizeof path, "/v1/receipts?limit=%" PRIu64, limit);
    FW_TRY(get(o, path, &text, error));
    json_t *json = json_loads(text, 0, NULL);
    if (o->ask.json) puts(text);
    else if (o->summary) fw_receipt_print_summary(json);
    else fw_ask_print_rows(json_object_get(json, "rows"), columns, sizeof columns / sizeof *columns);
    json_decref(json);
    free(text);
    return FW_OK;
}

/* ---- verify ---- */

static fw_status check(const options *o, const char *envelope, size_t envelope_bytes, const char *key,
                       fw_error *error) {
    fw_receipt_checked checked;
    uint32_t found = 0;
    FW_TRY(fw_receipt_verify(envelope, envelope_bytes, key, &checked, error));
    fw_status status = o->objects ? fw_receipt_check_files(&checked.view, o->objects, &found, error) : FW_OK;
    if (status == FW_OK && o->drive) status = fw_receipt_drive(&checked.view, o->objects, error);
    if (status == FW_OK && o->ask.json) {
        char *text = json_dumps(checked.statement, JSON_INDENT(1));
        if (text) puts(text);
        free(text);
    } else if (status == FW_OK) {
        fw_receipt_print(&checked.view);
        printf("signed by key %.12s; the chain holds; %u files checked%s\n", checked.key.hex, found,
               o->drive ? "; driven again: the same figures" : "");
    }
    fw_receipt_checked_clear(&checked);
    return status;
}

static fw_status verify(const options *o, const char *file, fw_error *error) {
    char *envelope = NULL, *key = NULL;
    size_t envelope_bytes = 0, key_bytes = 0;
    FW_TRY(fw_file_read(file, FW_DSSE_MAX_BYTES, &envelope, &envelope_bytes, error));
    fw_status status = fw_file_read(o->key, KEY_MAX_BYTES, &key, &key_bytes, error);
    if (status == FW_OK) status = check(o, envelope, envelope_bytes, key, error);
    free(envelope);
    free(key);
    return status;
}

int fw_cmd_receipt(int argc, char **argv) {
    static const char *const flags[] = {"--json", "--all", "--summary", "--drive", "--help", NULL};
    const char *words[2] = {NULL, NULL};
    int count = 0;
    options o;
    fw_error error = {""};
    if (fw_cli_asks_help(argc, argv, help_text)) return FW_CLI_DONE;
    if (fw_cli_words(&argc, argv, flags, words, 2, &count, &error) != FW_OK ||
        read_options(argc, argv, &o, &error) != FW_OK)
        return fw_cli_usage("receipt", &error);
    bool verifies = count > 0 && strcmp(words[0], "verify") == 0;
    fw_status status = FW_OK;
    if (verifies && count == 2 && o.key) status = verify(&o, words[1], &error);
    else if (verifies) return fw_cli_usage("receipt", &(fw_error){"verify wants FILE and --key KEY.json"});
    else if ((o.all || o.summary) && count == 0) status = all(&o, &error);
    else if (count == 1) status = show(&o, words[0], &error);
    else return fw_cli_usage("receipt", &(fw_error){"want EVENT, --all, or verify FILE --key KEY.json"});
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
