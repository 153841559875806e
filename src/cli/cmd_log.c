/* flywheel log COMMAND: look into recordings, and make new ones of them. */
#include "cli/cmd_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct command {
    const char *name, *help;
    int (*run)(int argc, char **argv);
} command;

static const command commands[] = {
#define X(name, help) {#name, "flywheel log " help, fw_cmd_log_##name},
    FW_LOG_COMMANDS(X)
#undef X
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static const char rest_of_help[] =
    "\nTIME is in seconds (12.5), nanoseconds (over 12 digits, or with ns behind) or UTC\n"
    "(2026-01-31T12:00:00.5Z); --start belongs to the range, --end does not.\n"
    "--json is one JSON object a line. A new file appears when it is whole; an existing one is\n"
    "replaced only with --force. Attachments and metadata are kept. Exit status 1: something is\n"
    "broken, or could not be decoded.\n";

static void print_help(const char *name) {
    const char *lead = "usage: ";
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (name != NULL && strcmp(name, commands[i].name) != 0) continue;
        printf("%s%s", lead, commands[i].help);
        lead = "       ";
    }
    fputs(rest_of_help, stdout);
}

int fw_cmd_log(int argc, char **argv) {
    const char *name = argc > 0 ? argv[0] : "";
    if (strcmp(name, "--help") == 0) {
        print_help(NULL);
        return FW_CLI_DONE;
    }
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(name, commands[i].name) != 0) continue;
        for (int k = 1; k < argc; k++) {
            if (strcmp(argv[k], "--help") != 0) continue;
            print_help(name);
            return FW_CLI_DONE;
        }
        return commands[i].run(argc - 1, argv + 1);
    }
    return fw_cli_usage(
        "log",
        &(fw_error){"want info, cat, filter, merge, convert, recover or doctor, and a FILE"});
}

/* ------------------------------------------------------------------------- times ----- */

static bool all_digits(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (text[i] < '0' || text[i] > '9') return false;
    return size > 0;
}

/* ".5" as 500000000; "" as 0. */
static bool read_fraction(const char *text, uint64_t *ns) {
    uint64_t unit = 100000000;
    *ns = 0;
    if (*text == '\0') return true;
    if (*text != '.' || !all_digits(text + 1, strlen(text + 1)) || strlen(text) > 10) return false;
    for (text++; *text; text++, unit /= 10) *ns += (uint64_t)(*text - '0') * unit;
    return true;
}

static bool read_date(const char *text, uint64_t *out) {
    char copy[40];
    struct tm date = {.tm_mday = 1};
    size_t size = strlen(text);
    uint64_t fraction;
    if (size >= sizeof copy) return false;
    memcpy(copy, text, size + 1);
    if (size > 0 && copy[size - 1] == 'Z') copy[--size] = '\0';
    char *rest = strptime(copy, "%Y-%m-%d", &date);
    if (rest != NULL && *rest != '\0')
        rest = *rest == 'T' || *rest == ' ' ? strptime(rest + 1, "%H:%M:%S", &date) : NULL;
    if (rest == NULL || !read_fraction(rest, &fraction)) return false;
    time_t seconds = timegm(&date);
    if (seconds < 0 || seconds > INT64_MAX / 1000000000 - 1) return false;
    *out = (uint64_t)seconds * 1000000000 + fraction;
    return true;
}

fw_status fw_log_parse_time(const char *text, uint64_t *out, fw_error *error) {
    char digits[24];
    size_t size = strspn(text, "0123456789");
    bool is_ns = strcmp(text + size, "ns") == 0 || (text[size] == '\0' && size > 12);
    uint64_t value, fraction;
    if (size > 0 && size < sizeof digits && text[size] != '-') {
        memcpy(digits, text, size);
        digits[size] = '\0';
        FW_TRY(fw_parse_u64(digits, &value, error));
        bool ok =
            is_ns || (read_fraction(text + size, &fraction) && value < UINT64_MAX / 1000000000);
        if (ok) {
            *out = is_ns ? value : value * 1000000000 + fraction;
            return FW_OK;
        }
    } else if (read_date(text, out)) {
        return FW_OK;
    }
    return fw_fail(error, FW_INVALID,
                   "'%.40s' is no time: want seconds, nanoseconds or 2026-01-31T12:00:00Z", text);
}

/* ----------------------------------------------------------------------- options ----- */

/* Takes "--topic T" out of argv, as often as it is there. */
static fw_status take_topics(int *argc, char **argv, fw_log_options *o, fw_error *error) {
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--topic") != 0) {
            argv[kept++] = argv[i];
            continue;
        }
        if (i + 1 == *argc) return fw_fail(error, FW_INVALID, "--topic needs a value");
        if (o->topic_count == FW_LOG_TOPICS_MAX)
            return fw_fail(error, FW_INVALID, "at most %d times --topic", FW_LOG_TOPICS_MAX);
        o->topics[o->topic_count++] = argv[++i];
    }
    *argc = kept;
    return FW_OK;
}

static fw_status read_compression(const char *name, fw_mcap_compression *out, fw_error *error) {
    static const char *const names[] = {"zstd", "lz4", "none"};
    static const fw_mcap_compression values[] = {FW_MCAP_ZSTD, FW_MCAP_LZ4, FW_MCAP_NONE};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = values[i];
        return FW_OK;
    }
    return fw_fail(error, FW_INVALID, "--compression is none, zstd or lz4");
}

static fw_status check_files(const fw_log_options *o, unsigned takes, const char *what,
                             fw_error *error) {
    bool many = (takes & FW_LOG_TAKES_MANY) != 0;
    if (o->file_count == 0 || (!many && o->file_count > 1))
        return fw_fail(error, FW_INVALID, "want %s", what);
    if ((takes & FW_LOG_TAKES_OUT) && o->out == NULL)
        return fw_fail(error, FW_INVALID, "want %s", what);
    if (o->end_time_ns != 0 && o->end_time_ns <= o->start_time_ns)
        return fw_fail(error, FW_INVALID, "--end is not after --start");
    return FW_OK;
}

fw_status fw_log_read_options(int argc, char **argv, unsigned takes, const char *what,
                              fw_log_options *o, fw_error *error) {
    static const char *const flags[] = {"--json", "--force", NULL};
    const char *start = NULL, *end = NULL, *compression = NULL;
    uint64_t chunk_bytes = 1048576;
    *o = (fw_log_options){.every = 1, .limit = UINT64_MAX};
    const struct {
        unsigned bit;
        fw_arg arg;
    } all[] = {{FW_LOG_TAKES_JSON, {"--json", FW_ARG_FLAG, &o->json, 0, 0}},
               {FW_LOG_TAKES_RANGE, {"--start", FW_ARG_TEXT, &start, 1, 40}},
               {FW_LOG_TAKES_RANGE, {"--end", FW_ARG_TEXT, &end, 1, 40}},
               {FW_LOG_TAKES_LIMIT, {"--limit", FW_ARG_U64, &o->limit, 0, UINT64_MAX}},
               {FW_LOG_TAKES_EVERY, {"--every", FW_ARG_U64, &o->every, 1, UINT64_MAX}},
               {FW_LOG_TAKES_OUT, {"--out", FW_ARG_TEXT, &o->out, 1, 390}},
               {FW_LOG_TAKES_OUT, {"--force", FW_ARG_FLAG, &o->force, 0, 0}},
               {FW_LOG_TAKES_PACKING, {"--compression", FW_ARG_TEXT, &compression, 1, 10}},
               {FW_LOG_TAKES_PACKING, {"--chunk-bytes", FW_ARG_U64, &chunk_bytes, 1, 1 << 28}}};
    fw_arg table[sizeof all / sizeof *all];
    size_t count = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (takes & all[i].bit) table[count++] = all[i].arg;
    if (takes & FW_LOG_TAKES_RANGE) FW_TRY(take_topics(&argc, argv, o, error));
    FW_TRY(fw_cli_words(&argc, argv, flags, o->files, FW_LOG_FILES_MAX, &o->file_count, error));
    FW_TRY(fw_args_parse(argc, argv, table, count, error));
    if (start) FW_TRY(fw_log_parse_time(start, &o->start_time_ns, error));
    if (end) FW_TRY(fw_log_parse_time(end, &o->end_time_ns, error));
    if (compression) FW_TRY(read_compression(compression, &o->compression, error));
    o->chunk_bytes = (uint32_t)chunk_bytes;
    return check_files(o, takes, what, error);
}
