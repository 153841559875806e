/* cmd_log.h - private: what the commands of `flywheel log` share.
 *
 *   FILE... --inputs--> messages by time or as they lie --+--> cat: lines
 *                                                         +--> copy: one new file (filter, merge,
 *                                                              convert)
 *
 * A new file is written beside its place under another name and renamed when it is whole, so that
 * Ctrl-C, a full disk or a broken input leave nothing behind; an existing file, an input too, is
 * replaced only with --force.
 *
 * To add one: 1. src/cli/cmd_log_NAME.c with `int fw_cmd_log_NAME(int argc, char **argv)` (argv
 * without "log" and the name), 2. a line in FW_LOG_COMMANDS, 3. its lines in docs/cli.md.
 */
#ifndef FW_CLI_CMD_LOG_H
#define FW_CLI_CMD_LOG_H

#include "base/args.h"
#include "cli/cli.h"
#include "mcap/mcap.h"

/* X(name, usage and help) */
#define FW_LOG_COMMANDS(X)                                                                         \
    X(info, "info FILE... [--json]\n"                                                              \
            "           checks recordings (MCAP) from the first byte to the last and says what "   \
            "they hold\n")                                                                         \
    X(cat, "cat FILE... [--topic T]... [--start TIME] [--end TIME] [--limit N] [--json]\n"         \
           "           messages by time, one a line: time, topic, what it says (JSON, protobuf, "  \
           "CDR and\n"                                                                             \
           "           ROS 1 by their schemas; anything else in base64)\n")                        \
    X(filter,                                                                                      \
      "filter FILE --out NEW [--topic T]... [--start TIME] [--end TIME] [--every N] [--json]\n"    \
      "           copies some topics, a range of time, every Nth message of each channel\n")       \
    X(merge, "merge FILE... --out NEW [--json]\n"                                                  \
             "           several files as one, by time; equal channels become one\n")              \
    X(convert, "convert FILE --out NEW [--compression none|zstd|lz4] [--chunk-bytes N] [--json]\n" \
               "           the same messages, packed in another way\n")                            \
    X(recover, "recover FILE --out NEW [--json]\n"                                                 \
               "           saves all that can be read of a cut or broken file, and says what\n")   \
    X(doctor, "doctor FILE... [--json]\n"                                                          \
              "           checks everything the format promises, and says what could be better\n")

#define X(name, help) int fw_cmd_log_##name(int argc, char **argv);
FW_LOG_COMMANDS(X)
#undef X

enum { FW_LOG_FILES_MAX = 256, FW_LOG_TOPICS_MAX = 256 };

/* Everything the command line may say; each command reads its own part. */
typedef struct fw_log_options {
    const char *files[FW_LOG_FILES_MAX];
    int file_count;
    const char *topics[FW_LOG_TOPICS_MAX];
    size_t topic_count;
    uint64_t start_time_ns, end_time_ns; /* end 0: none */
    uint64_t every, limit;
    const char *out;
    fw_mcap_compression compression;
    uint32_t chunk_bytes;
    bool json, force;
} fw_log_options;

enum {
    FW_LOG_TAKES_MANY = 1 << 0, /* files */
    FW_LOG_TAKES_JSON = 1 << 1,
    FW_LOG_TAKES_RANGE = 1 << 2, /* topics and times */
    FW_LOG_TAKES_LIMIT = 1 << 3,
    FW_LOG_TAKES_EVERY = 1 << 4,
    FW_LOG_TAKES_OUT = 1 << 5,
    FW_LOG_TAKES_PACKING = 1 << 6
};
/* FW_INVALID with a line for fw_cli_usage. `what` is the usage in the error for a missing file. */
fw_status fw_log_read_options(int argc, char **argv, unsigned takes, const char *what,
                              fw_log_options *out, fw_error *error) FW_MUST;
/* Seconds ("12.5"), nanoseconds ("1700000000000000000": over 12 digits, or with "ns" behind) or
 * "2026-01-31T12:00:00.5Z" (UTC; Z, fraction and time of day may be left out). */
fw_status fw_log_parse_time(const char *text, uint64_t *out, fw_error *error) FW_MUST;

/* Bounds for files that people look at by hand: mapped, so that a record costs no memory, and with
 * room for the large chunks that some recorders write. */
extern const fw_mcap_limits fw_log_limits;

/* As fw_mcap_validate, with those bounds. */
fw_status fw_log_validate(const char *path, fw_mcap_info *info, fw_error *error) FW_MUST;

/* ---------------------------------------------------------------------- inputs ----- */

typedef struct fw_log_input {
    const char *path;
    fw_mcap_indexed *indexed;
    fw_mcap_message message;  /* the next one */
    bool has_message, is_cut; /* is_cut: neither whole nor merely without a summary */
} fw_log_input;

typedef struct fw_log_inputs {
    fw_log_input *items; /* (count), owned */
    size_t count;
    size_t turn; /* whose message was given last; SIZE_MAX: none */
    fw_mcap_order order;
} fw_log_inputs;

/* Opens every file. The caller ends it with fw_log_inputs_close, also on failure. */
fw_status fw_log_inputs_open(const fw_log_options *options, fw_log_inputs *out,
                             fw_error *error) FW_MUST;
void fw_log_inputs_close(fw_log_inputs *inputs);
/* From the start: the chosen topics and times, in order; with several files by time. */
fw_status fw_log_inputs_query(fw_log_inputs *inputs, const fw_log_options *options,
                              fw_mcap_order order, fw_error *error) FW_MUST;
/* FW_END after the last. *message is valid until the next call. */
fw_status fw_log_inputs_next(fw_log_inputs *inputs, size_t *which, const fw_mcap_message **message,
                             fw_error *error) FW_MUST;

/* ---------------------------------------------------------------------- output ----- */

typedef struct fw_log_output {
    char path[400], temporary[440];
    int fd;
    uint64_t size_bytes;
} fw_log_output;

/* FW_EXISTS without --force. Ctrl-C is caught from here until commit or abandon: then writes fail
 * with FW_INTERRUPTED. */
fw_status fw_log_output_open(const fw_log_options *options, fw_log_output *out,
                             fw_error *error) FW_MUST;
fw_mcap_sink fw_log_output_sink(fw_log_output *output);
/* Durable under its name. */
fw_status fw_log_output_commit(fw_log_output *output, fw_error *error) FW_MUST;
void fw_log_output_abandon(fw_log_output *output);
/* FW_INTERRUPTED after Ctrl-C. */
fw_status fw_log_check_interrupt(fw_error *error) FW_MUST;

/* A bar on stderr where that is a terminal and the work is not small. */
typedef struct fw_log_progress {
    const char *what;           /* "reading" */
    uint64_t done, total, next; /* next: when to draw again */
    bool is_shown;
} fw_log_progress;
fw_log_progress fw_log_progress_start(const char *what, uint64_t total);
void fw_log_progress_step(fw_log_progress *progress, uint64_t amount);
void fw_log_progress_end(fw_log_progress *progress);

/* ------------------------------------------------------------------------ copy ----- */

/* Writes the inputs' chosen messages into options->out, with attachments and metadata, and prints
 * one line about it. all_channels: also channels and schemas without a message. */
int fw_log_copy(const fw_log_options *options, fw_mcap_order order, bool all_channels);

/* A text of a file as a terminated one, malloc'd. FW_UNSUPPORTED when it holds a zero byte. */
fw_status fw_log_terminated(fw_mcap_text text, char **out, fw_error *error) FW_MUST;

#endif
