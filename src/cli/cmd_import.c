/* flywheel import FORMAT SOURCE...: other tools' data as recordings (src/import/import.h). */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/args.h"
#include "base/env.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/stop.h"
#include "factory/ingest/ingest.h"
#include "import/import.h"

enum { SOURCES_MAX = 4096, TRIES = 5 };
#define DATED_FROM_NS (365ull * 86400 * 1000000000) /* before: seconds of a run or a scene, no date */

static const char help_text[] =
    "usage: flywheel import FORMAT SOURCE... --unit NAME [--out FOLDER] [--url URL] [--json]\n\n"
    "Turns data of other tools into recordings and uploads them like a unit would.\n"
    "The same source gives the same recordings, so an import may be repeated.\n\n"
    "formats\n"
#define X(name, summary) "  " #name "\n      " summary "\n"
    FW_IMPORT_FORMATS(X)
#undef X
    "\noptions\n"
    "  --unit NAME      whose data it is (a car, a machine, a data set)\n"
    "  --dbc FILE       candump: what the frames mean\n"
    "  --mapping FILE   csv: what the columns mean (JSON, see docs/import.md)\n"
    "  --line NAME      production line [driving]\n"
    "  --metadata KEY=VALUE  what else is known of it (site=US101, group=106); may come several times\n"
    "  --out FOLDER     keeps the recordings there and uploads nothing\n"
    "  --url URL        the factory [FLYWHEEL_URL or http://127.0.0.1:8080]\n"
    "  --json           a line of JSON for each recording\n";

typedef struct options {
    fw_import_label labels[FW_IMPORT_LABELS_MAX];
    char keys[FW_IMPORT_LABELS_MAX][FW_IMPORT_LABEL_MAX + 1];
    uint32_t label_count;
    fw_ask ask;
    const char *unit, *line, *out, *mapping, *dbc;
    char folder[FW_PATH_MAX];
    bool json;
    uint64_t files, messages, bytes, skipped;
} options;

static fw_status check_interrupt(fw_error *error) {
    return fw_cli_stopped ? fw_fail(error, FW_INTERRUPTED, "interrupted") : FW_OK;
}

/* The answer names the hash and the size that were sent, else it is no receipt. */
static fw_status check_receipt(const fw_imported *file, const char *answer, fw_error *error) {
    json_t *json = json_loads(answer, 0, NULL);
    const char *hash = json_string_value(json_object_get(json, "sha256"));
    json_int_t size = json_integer_value(json_object_get(json, "size_bytes"));
    bool fine = hash && strcmp(hash, file->hash.hex) == 0 && size == (json_int_t)file->size_bytes;
    json_decref(json);
    return fine ? FW_OK : fw_fail(error, FW_MISMATCH, "the factory's receipt names another file");
}

/* So that it is found by the time it tells of, not by that of the import. "" where it has no date. */
static void clock_header(const fw_imported *file, char *out, size_t room) {
    out[0] = '\0';
    if (file->start_ns >= DATED_FROM_NS)
        snprintf(out, room, "Flywheel-Clock: boot=import; start-wall=%" PRIu64 "; sent-wall=%" PRId64,
                 file->start_ns, fw_env_wall_ns(fw_env_real()));
}

static fw_status upload_once(const options *o, const fw_imported *file, fw_error *error) {
    char path[100], unit[80], clock[120], *answer = NULL;
    snprintf(path, sizeof path, "/v1/objects/%s", file->hash.hex);
    snprintf(unit, sizeof unit, "Flywheel-Unit: %.60s", o->unit);
    clock_header(file, clock, sizeof clock);
    const char *const headers[] = {"Flywheel-Kind: recording", unit, clock[0] ? clock : NULL, NULL};
    fw_http_call call = {.method = "PUT", .headers = headers, .body_path = file->path,
                         .body_bytes = (size_t)file->size_bytes};
    FW_TRY(fw_ask_perform(&o->ask, &call, path, &answer, error));
    fw_status status = check_receipt(file, answer, error);
    free(answer);
    return status;
}

static fw_status upload(const options *o, const fw_imported *file, fw_error *error) {
    fw_status status = FW_OK;
    for (int i = 0; i < TRIES; i++) {
        status = upload_once(o, file, error);
        bool passing = status == FW_BUSY || status == FW_CLOSED || status == FW_TIMEOUT ||
                       status == FW_IO;
        if (!passing || fw_cli_stopped) break;
        if (i + 1 < TRIES) fw_env_sleep_ns(fw_env_real(), (int64_t)200000000 << i);
    }
    return status;
}

static void print_file(const options *o, const char *source, const fw_imported *file) {
    if (!o->json) {
        printf("%s  %" PRIu64 " messages  %" PRIu64 " bytes  %s\n", file->hash.hex, file->messages,
               file->size_bytes, source);
        return;
    }
    json_t *json = json_pack("{s:s,s:s,s:I,s:I,s:b}", "sha256", file->hash.hex, "source", source,
                             "messages", (json_int_t)file->messages, "size_bytes",
                             (json_int_t)file->size_bytes, "uploaded", o->out == NULL);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (text) puts(text);
    free(text);
    json_decref(json);
}

static fw_status import_one(options *o, const char *format, const char *source, fw_error *error) {
    fw_import_result made;
    fw_error why = {""};
    fw_import_request request = {.source = source, .unit = o->unit, .line = o->line,
                                 .mapping = o->dbc ? o->dbc : o->mapping, .folder = o->folder,
                                 .labels = o->labels, .label_count = o->label_count,
                                 .interrupted = &fw_cli_stopped};
    fw_status status = fw_import(format, &request, &made, &why);
    if (status != FW_OK) return fw_fail(error, status, "%.100s: %s", source, why.text);
    for (uint32_t i = 0; i < made.count; i++) {
        fw_imported *file = &made.files[i];
        if (status == FW_OK && !o->out) status = check_interrupt(error);
        if (status == FW_OK && !o->out) status = upload(o, file, error);
        if (status == FW_OK) print_file(o, source, file);
        if (!o->out) unlink(file->path);
        o->bytes += file->size_bytes;
    }
    o->files += made.count;
    o->messages += made.messages;
    o->skipped += made.skipped;
    fw_import_result_clear(&made);
    return status;
}

static fw_status make_folder(options *o, fw_error *error) {
    if (o->out) {
        snprintf(o->folder, sizeof o->folder, "%.400s", o->out);
        return fw_folder_make(o->folder, 0755, error);
    }
    const char *temporary = getenv("TMPDIR");
    snprintf(o->folder, sizeof o->folder, "%.300s/flywheel-import-XXXXXX",
             temporary && temporary[0] ? temporary : P_tmpdir);
    return mkdtemp(o->folder) ? FW_OK : fw_fail_errno(error, "cannot create %s", o->folder);
}

static fw_status import_all(options *o, const char *format, const char *const *sources, int count,
                            fw_error *error) {
    fw_cli_catch_stop();
    FW_TRY(make_folder(o, error));
    fw_status status = FW_OK;
    for (int i = 0; i < count && status == FW_OK; i++) {
        status = check_interrupt(error);
        if (status == FW_OK) status = import_one(o, format, sources[i], error);
        if (isatty(STDERR_FILENO)) fprintf(stderr, "\r%d of %d sources", i + 1, count);
    }
    if (isatty(STDERR_FILENO)) fputc('\n', stderr);
    fw_error ignored;
    if (!o->out && fw_folder_remove(o->folder, &ignored) != FW_OK)
        fprintf(stderr, "flywheel: %s\n", ignored.text);
    return status;
}

static fw_status check_options(const options *o, const char *format, fw_error *error) {
    static const char *const formats[] = {
#define X(name, summary) #name,
        FW_IMPORT_FORMATS(X)
#undef X
    };
    size_t i = 0, count = sizeof formats / sizeof *formats;
    while (i < count && strcmp(formats[i], format) != 0) i++;
    if (i == count) return fw_fail(error, FW_INVALID, "no importer for '%.60s'", format);
    if (!o->unit) return fw_fail(error, FW_INVALID, "--unit NAME is needed");
    if (!fw_unit_name_valid(o->unit))
        return fw_fail(error, FW_INVALID, "--unit takes 1 to 31 of a-z A-Z 0-9 . _ -");
    if (o->dbc && strcmp(format, "candump") != 0)
        return fw_fail(error, FW_INVALID, "--dbc is for candump");
    if (o->mapping && strcmp(format, "csv") != 0)
        return fw_fail(error, FW_INVALID, "--mapping is for csv");
    return FW_OK;
}

/* Takes --metadata KEY=VALUE out of the words, as often as it comes. */
static fw_status take_labels(options *o, int *argc, char **argv, fw_error *error) {
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--metadata") != 0 || i + 1 == *argc) {
            argv[kept++] = argv[i];
            continue;
        }
        if (o->label_count == FW_IMPORT_LABELS_MAX)
            return fw_fail(error, FW_INVALID, "--metadata may come %d times", FW_IMPORT_LABELS_MAX);
        fw_import_label *label = &o->labels[o->label_count];
        label->key = o->keys[o->label_count];
        FW_TRY(fw_import_label_parse(argv[++i], o->keys[o->label_count], &label->value, error));
        for (uint32_t k = 0; k < o->label_count; k++)
            if (strcmp(o->labels[k].key, label->key) == 0)
                return fw_fail(error, FW_INVALID, "--metadata has '%s' twice", label->key);
        o->label_count++;
    }
    *argc = kept;
    return FW_OK;
}

int fw_cmd_import(int argc, char **argv) {
    static const char *const flags[] = {"--json", "--help", NULL};
    const char **words = calloc(SOURCES_MAX, sizeof *words);
    int count = 0;
    const char *from_env = getenv("FLYWHEEL_URL");
    options o = {.line = "driving",
                 .ask.url = from_env && *from_env ? from_env : "http://127.0.0.1:8080"};
    fw_error error = {""};
    const fw_arg table[] = {
        {"--unit", FW_ARG_TEXT, &o.unit, 1, 31},        {"--line", FW_ARG_TEXT, &o.line, 1, 31},
        {"--out", FW_ARG_TEXT, &o.out, 1, 400},         {"--dbc", FW_ARG_TEXT, &o.dbc, 1, 400},
        {"--mapping", FW_ARG_TEXT, &o.mapping, 1, 400}, {"--url", FW_ARG_TEXT, &o.ask.url, 8, 300},
        {"--json", FW_ARG_FLAG, &o.json, 0, 0},
    };
    if (fw_cli_asks_help(argc, argv, help_text)) {
        free(words);
        return FW_CLI_DONE;
    }
    if (!words) return fw_cli_fail(&(fw_error){"no memory"});
    fw_status status = take_labels(&o, &argc, argv, &error);
    if (status == FW_OK) status = fw_cli_words(&argc, argv, flags, words, SOURCES_MAX, &count, &error);
    if (status == FW_OK)
        status = fw_args_parse(argc, argv, table, sizeof table / sizeof *table, &error);
    if (status == FW_OK && count < 2)
        status = fw_fail(&error, FW_INVALID, "want FORMAT SOURCE...");
    if (status == FW_OK) status = check_options(&o, words[0], &error);
    if (status != FW_OK) {
        free(words);
        return fw_cli_usage("import", &error);
    }
    status = import_all(&o, words[0], words + 1, count - 1, &error);
    free(words);
    if (status == FW_OK)
        fprintf(stderr, "%" PRIu64 " recordings, %" PRIu64 " messages, %" PRIu64
                        " bytes; %" PRIu64 " passed over\n",
                o.files, o.messages, o.bytes, o.skipped);
    return status == FW_OK ? FW_CLI_DONE : fw_cli_fail(&error);
}
