/* import.h - data that other tools recorded, as recordings like any other.
 *
 *   CommonRoad XML | comma2k19 folder | candump log (+ DBC) | CSV (+ mapping)
 *          --one importer each (the table in import.c)--> fw_import_log --> MCAP files
 *
 * What comes out: MCAP, JSON messages with a JSON Schema a channel, zstd, and the metadata record
 * "flywheel" that the factory reads (line, version, form, unit) with the source's name and SHA-256.
 * form is "scene" (other people's view of a place: a map and everybody's tracks) or "telemetry" (one
 * machine's own signals); neither is a drive that the driving line can train on. Pages:
 * docs/import.md for people, docs/formats/imported.md for the channels.
 *
 * Invariants: (1) the same source and options give the same bytes, so a repeated import uploads the
 * same hashes and changes nothing; (2) a source is untrusted: every size is checked, memory stays
 * under FW_IMPORT_SOURCE_MAX_BYTES and a little, a broken source gives FW_CORRUPT with the line or
 * offset and leaves no file; (3) a file appears under its name only when it is whole.
 *
 * To add a format: 1. an importer in its own .c with the signature fw_import_run, 2. a line in
 * FW_IMPORT_FORMATS, 3. a section in docs/import.md and docs/formats/imported.md, 4. tests in
 * tests/import/ and a fuzz target.
 */
#ifndef FW_IMPORT_IMPORT_H
#define FW_IMPORT_IMPORT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"

enum {
    FW_IMPORT_CHANNELS_MAX = 4096, /* of one import */
    FW_IMPORT_FIELDS_MAX = 256,    /* of one message */
    FW_IMPORT_NAME_MAX = 96,
};
#define FW_IMPORT_SOURCE_MAX_BYTES (1ull << 30) /* of one source file, unpacked */
#define FW_IMPORT_PART_BYTES (32ull << 20)      /* a recording ends when it has this much, or before
                                                   when its data packs very well */

/* What a person says about the data, kept in the recordings' metadata record "labels": site, group. */
enum { FW_IMPORT_LABELS_MAX = 8, FW_IMPORT_LABEL_MAX = 47 }; /* bytes of a key, of a value */
typedef struct fw_import_label {
    const char *key, *value;
} fw_import_label;
/* Takes KEY=VALUE apart into key (at least FW_IMPORT_LABEL_MAX + 1 bytes) and *value (within text). FW_INVALID:
 * a key is a-z 0-9 _, a value printable ASCII, both 1 to FW_IMPORT_LABEL_MAX bytes. */
fw_status fw_import_label_parse(const char *text, char *key, const char **value, fw_error *error) FW_MUST;

/* What a person asked for. Pointers are the caller's and outlive the import. */
typedef struct fw_import_request {
    const char *source;  /* file or folder */
    const char *mapping; /* DBC file, or JSON mapping of a CSV; NULL: none */
    const char *unit;    /* whose data it is */
    const char *line;    /* "driving" */
    const char *folder;  /* where the recordings go; it exists */
    const fw_import_label *labels; /* (label_count) */
    uint32_t label_count;          /* at most FW_IMPORT_LABELS_MAX; none: no such record */
    uint32_t channels_max; /* 0: FW_IMPORT_CHANNELS_MAX; fewer take less memory */
    const volatile sig_atomic_t *interrupted; /* set: it ends with FW_INTERRUPTED; NULL: never */
} fw_import_request;

/* One recording made. */
typedef struct fw_imported {
    char path[FW_PATH_MAX];
    fw_hash hash;
    uint64_t size_bytes, messages;
    uint64_t start_ns; /* of its earliest message */
    bool was_there; /* the folder had it from an import before */
} fw_imported;

typedef struct fw_import_result {
    fw_imported *files; /* (count), owned */
    uint32_t count;
    uint64_t messages, skipped; /* skipped: rows or frames passed over, for the report */
} fw_import_result;

/* X(name, what it reads) */
#define FW_IMPORT_FORMATS(X)                                                                       \
    X(commonroad, "CommonRoad 2018b or 2020a XML (also .gz): lanelets, obstacles, goals")          \
    X(comma2k19, "a segment's folder of comma2k19: CAN, IMU, GNSS, radar, pose")                   \
    X(candump, "a log of candump -l; with --dbc FILE its signals by name")                         \
    X(csv, "a CSV file with a header line; --mapping FILE says what its columns are")

/* Runs the importer called `format`. FW_NOT_FOUND: no such format. The caller ends the result with
 * fw_import_result_clear; on failure it is empty and no file is left. */
fw_status fw_import(const char *format, const fw_import_request *request, fw_import_result *out,
                    fw_error *error) FW_MUST;
void fw_import_result_clear(fw_import_result *result);

/* ---- for importers ---- */

typedef struct fw_import_log fw_import_log;
typedef fw_status fw_import_run(const fw_import_request *request, fw_import_log *log,
                                fw_error *error);
#define X(name, summary) fw_import_run fw_import_##name;
FW_IMPORT_FORMATS(X)
#undef X

typedef enum fw_import_type { FW_IMPORT_NUMBER, FW_IMPORT_TEXT, FW_IMPORT_ANY } fw_import_type;

/* One field of a channel's messages; unit is for the schema's description, "" where none. */
typedef struct fw_import_field {
    const char *name, *unit;
    fw_import_type type;
} fw_import_field;

/* Set before the first message. */
void fw_import_log_form(fw_import_log *log, const char *form);
/* Bytes of the source as they are read, for its SHA-256 in the metadata. */
void fw_import_log_source(fw_import_log *log, const void *bytes, size_t size_bytes);
/* Adds a channel; FW_EXISTS when the topic is taken. Names are copied. */
fw_status fw_import_log_channel(fw_import_log *log, const char *topic, const char *schema_name,
                                const fw_import_field *fields, size_t field_count, uint32_t *id,
                                fw_error *error) FW_MUST;
/* Adds a message: JSON text of one object. */
fw_status fw_import_log_text(fw_import_log *log, uint32_t id, int64_t time_ns, const char *json,
                             size_t size_bytes, fw_error *error) FW_MUST;
/* The same from numbers in the order of the channel's fields; NaN and infinities become null. */
fw_status fw_import_log_numbers(fw_import_log *log, uint32_t id, int64_t time_ns,
                                const double *values, fw_error *error) FW_MUST;
void fw_import_log_skip(fw_import_log *log, uint64_t count);

/* Reads a whole source file, unpacking gzip by its first bytes, and tells the log's SHA-256 of it.
 * *bytes is malloc'd with a zero byte at the end. FW_TOO_BIG over FW_IMPORT_SOURCE_MAX_BYTES. */
fw_status fw_import_read(fw_import_log *log, const char *path, char **bytes, size_t *size_bytes,
                         fw_error *error) FW_MUST;
/* Next line of a text, without its end; false at the end. *line_number counts from 1. */
bool fw_import_line(const char **at, const char *end, const char **line, size_t *size_bytes,
                    uint64_t *line_number);
/* A JSON number with up to 15 significant digits, "null" for what is no finite number. Returns bytes
 * used; out has room for 32. */
size_t fw_import_number(double value, char *out);

#endif
