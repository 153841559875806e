/* ledger.c - the objects' ledger (ledger.h). */
#include "factory/ingest/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/json.h"

static void ledger_path(const char *data_folder, char out[FW_PATH_MAX]) {
    int used = snprintf(out, FW_PATH_MAX, "%s/objects/ledger.ndjson", data_folder);
    FW_ASSERT(used > 0 && used < FW_PATH_MAX);
}

/* ---- writing ---- */

/* Lines of rows, gathered to one write. */
typedef struct lines {
    FILE *out;
    int64_t sequence, received_ns;
    char sha256[65];
} lines;

static bool add_line(void *self, sqlite3_stmt *row) {
    lines *l = self;
    fprintf(l->out, "%s\n", fw_db_column(row, 0));
    l->sequence = sqlite3_column_int64(row, 1);
    l->received_ns = sqlite3_column_int64(row, 2);
    snprintf(l->sha256, sizeof l->sha256, "%s", fw_db_column(row, 3));
    return true;
}

static fw_status gather(sqlite3 *db, int64_t after, lines *l, fw_error *error) {
    return fw_db_each(
        db, error, add_line, l,
        "SELECT json_patch(json_object('v',1,'sequence',o.sequence,'sha256',o.sha256,'kind',o.kind,"
        "'size_bytes',o.size_bytes,'received_ns',o.received_ns),json_object('unit',r.unit,"
        "'recorded_ns',r.recorded_ns,'boot',r.boot,'unit_mono_ns',r.unit_mono_ns,'unit_wall_ns',"
        "r.unit_wall_ns,'moved_ns',r.moved_ns)),o.sequence,o.received_ns,o.sha256 FROM objects o "
        "LEFT JOIN recordings r USING(sha256) WHERE o.sequence>? ORDER BY o.sequence",
        "i", after);
}

static fw_status cut(fw_ledger *ledger, fw_error *error) {
    if (ftruncate(ledger->fd, (off_t)ledger->size_bytes) != 0 ||
        lseek(ledger->fd, (off_t)ledger->size_bytes, SEEK_SET) < 0)
        return fw_fail_errno(error, "cannot cut %s", ledger->path);
    ledger->written_bytes = ledger->size_bytes;
    return FW_OK;
}

static fw_status write_lines(fw_ledger *ledger, const char *text, size_t size, fw_error *error) {
    const fw_env *env = ledger->env;
    fw_status status = fw_file_write_all(env, ledger->fd, text, size, "the ledger", error);
    if (status == FW_OK && env->fdatasync(env->self, ledger->fd) != 0)
        status = fw_fail_errno(error, "cannot make the ledger durable");
    if (status == FW_OK) return FW_OK;
    fw_error ignored; /* what a failed flush left is written over by the next lines */
    (void)!cut(ledger, &ignored);
    return status;
}

/* Was what was written last committed? Then it counts, else it is cut off. */
static fw_status settle_written(fw_ledger *ledger, sqlite3 *db, fw_error *error) {
    int64_t found = 0;
    if (ledger->written_bytes == ledger->size_bytes) return FW_OK;
    FW_TRY(fw_db_int(db, error, &found,
                     "SELECT count(*) FROM objects WHERE sequence=? AND sha256=? AND received_ns=?",
                     "iti", ledger->written_sequence, ledger->written_sha256,
                     ledger->written_received_ns));
    if (!found) return cut(ledger, error);
    ledger->size_bytes = ledger->written_bytes;
    ledger->sequence = ledger->written_sequence;
    return FW_OK;
}

fw_status fw_ledger_append(fw_ledger *ledger, sqlite3 *db, fw_error *error) {
    char *text = NULL;
    size_t size = 0;
    FW_TRY(settle_written(ledger, db, error));
    lines l = {.out = open_memstream(&text, &size)};
    if (!l.out) return fw_fail(error, FW_NO_MEMORY, "no memory for the ledger");
    fw_status status = gather(db, ledger->sequence, &l, error);
    if ((ferror(l.out) | fclose(l.out)) && status == FW_OK)
        status = fw_fail(error, FW_NO_MEMORY, "no memory for the ledger");
    if (status == FW_OK && size > 0) status = write_lines(ledger, text, size, error);
    free(text);
    if (status != FW_OK || size == 0) return status;
    ledger->written_bytes = ledger->size_bytes + size;
    ledger->written_sequence = l.sequence;
    ledger->written_received_ns = l.received_ns;
    snprintf(ledger->written_sha256, sizeof ledger->written_sha256, "%s", l.sha256);
    return FW_OK;
}

/* ---- reading ---- */

static bool copy_text(const json_t *json, const char *name, char *out, size_t out_size) {
    const json_t *value = json_object_get(json, name);
    if (!value) return true;
    const char *text = json_string_value(value);
    return text && (size_t)snprintf(out, out_size, "%s", text) < out_size;
}

static bool parse_line(const char *text, size_t size, fw_ledger_line *out) {
    json_t *json = fw_json_load(text, size, JSON_REJECT_DUPLICATES, NULL);
    const struct {
        const char *name;
        int64_t *out;
    } numbers[] = {{"sequence", &out->sequence},         {"size_bytes", &out->size_bytes},
                   {"received_ns", &out->received_ns},   {"recorded_ns", &out->recorded_ns},
                   {"unit_mono_ns", &out->unit_mono_ns}, {"unit_wall_ns", &out->unit_wall_ns},
                   {"moved_ns", &out->moved_ns}};
    *out = (fw_ledger_line){0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        *numbers[i].out = json_integer_value(json_object_get(json, numbers[i].name));
    bool good = copy_text(json, "sha256", out->sha256, sizeof out->sha256) &&
                copy_text(json, "kind", out->kind, sizeof out->kind) &&
                copy_text(json, "unit", out->unit, sizeof out->unit) &&
                copy_text(json, "boot", out->boot, sizeof out->boot) && out->sequence > 0 &&
                fw_hash_valid(out->sha256) &&
                json_integer_value(json_object_get(json, "v")) == 1;
    out->clock_given = json_object_get(json, "boot") != NULL;
    json_decref(json);
    return good;
}

static fw_status each_line(FILE *file, const char *path,
                           bool (*visit)(void *self, const fw_ledger_line *line), void *self,
                           fw_error *error) {
    char text[FW_LEDGER_LINE_MAX];
    long number = 0;
    while (fgets(text, sizeof text, file)) {
        fw_ledger_line line;
        size_t size = strlen(text);
        number++;
        if (size == 0 || text[size - 1] != '\n') {
            if (feof(file)) return FW_OK; /* torn by a crash: never acked */
            return fw_fail(error, FW_CORRUPT, "%s, line %ld: too long", path, number);
        }
        if (!parse_line(text, size, &line))
            return fw_fail(error, FW_CORRUPT, "%s, line %ld: no line of a ledger", path, number);
        if (!visit(self, &line)) return FW_OK;
    }
    return ferror(file) ? fw_fail(error, FW_IO, "cannot read %s", path) : FW_OK;
}

fw_status fw_ledger_each(const char *data_folder,
                         bool (*visit)(void *self, const fw_ledger_line *line), void *self,
                         fw_error *error) {
    char path[FW_PATH_MAX];
    ledger_path(data_folder, path);
    FILE *file = fopen(path, "re");
    if (!file) return fw_fail_errno(error, "cannot open %s", path);
    fw_status status = each_line(file, path, visit, self, error);
    fclose(file);
    return status;
}

/* ---- opening ---- */

/* The end of the ledger against the catalogue: keeps what the catalogue has, counts what it lacks. */
static fw_status settle_tail(fw_ledger *ledger, sqlite3 *db, uint64_t file_bytes, fw_error *error) {
    static char tail[FW_LEDGER_TAIL_MAX * FW_LEDGER_LINE_MAX]; /* one opening at a time */
    uint64_t from = file_bytes > sizeof tail ? file_bytes - sizeof tail : 0;
    ssize_t got = pread(ledger->fd, tail, sizeof tail, (off_t)from);
    if (got < 0) return fw_fail_errno(error, "cannot read %s", ledger->path);
    size_t end = (size_t)got;
    while (end > 0 && tail[end - 1] != '\n') end--; /* a torn line */
    for (int lacking = 0; end > 0; lacking++) {
        size_t begin = end - 1;
        fw_ledger_line line;
        int64_t found = 0;
        while (begin > 0 && tail[begin - 1] != '\n') begin--;
        if ((begin == 0 && from > 0) || lacking == FW_LEDGER_TAIL_MAX)
            return fw_fail(error, FW_CORRUPT,
                           "the catalogue lacks uploads that %s has; it is not this folder's own: "
                           "run flywheel catalogue rebuild",
                           ledger->path);
        if (!parse_line(tail + begin, end - begin, &line))
            return fw_fail(error, FW_CORRUPT, "%s: its end is no line of a ledger", ledger->path);
        FW_TRY(fw_db_int(db, error, &found,
                         "SELECT count(*) FROM objects WHERE sequence=? AND sha256=?", "it",
                         line.sequence, line.sha256));
        if (found) {
            ledger->sequence = line.sequence;
            break;
        }
        end = begin;
    }
    ledger->size_bytes = from + end;
    return cut(ledger, error);
}

/* A catalogue knows that it has a ledger; one that does not beside a ledger is another's. */
static fw_status check_pair(fw_ledger *ledger, fw_catalogue *catalogue, uint64_t file_bytes,
                            fw_error *error) {
    char mark[8];
    sqlite3 *db = fw_catalogue_begin(catalogue, error);
    if (!db) return FW_IO;
    fw_status status = fw_setting_get(db, FW_LEDGER_SETTING, mark, sizeof mark, error);
    if (status == FW_OK && !mark[0] && file_bytes > 0)
        status = fw_fail(error, FW_CORRUPT,
                         "the catalogue does not know the uploads in %s: run flywheel catalogue "
                         "rebuild",
                         ledger->path);
    if (status == FW_OK && !mark[0]) status = fw_setting_set(db, FW_LEDGER_SETTING, "1", error);
    return fw_catalogue_end(catalogue, status, error);
}

static fw_status settle(fw_ledger *ledger, fw_catalogue *catalogue, fw_error *error) {
    struct stat info;
    if (fstat(ledger->fd, &info) != 0) return fw_fail_errno(error, "cannot open %s", ledger->path);
    FW_TRY(check_pair(ledger, catalogue, (uint64_t)info.st_size, error));
    sqlite3 *db = fw_catalogue_read(catalogue);
    fw_status status = settle_tail(ledger, db, (uint64_t)info.st_size, error);
    if (status == FW_OK) /* rows of a program that kept no ledger */
        status = fw_ledger_append(ledger, db, error);
    if (status == FW_OK) status = settle_written(ledger, db, error);
    fw_catalogue_read_end(catalogue);
    return status;
}

fw_status fw_ledger_open(const fw_env *env, const char *data_folder, fw_catalogue *catalogue,
                         fw_ledger *out, fw_error *error) {
    fw_ledger ledger = {.env = env};
    char folder[FW_PATH_MAX];
    ledger_path(data_folder, ledger.path);
    snprintf(folder, sizeof folder, "%s", ledger.path);
    *strrchr(folder, '/') = '\0';
    ledger.fd = open(ledger.path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (ledger.fd < 0) return fw_fail_errno(error, "cannot open %s", ledger.path);
    fw_status status = fw_folder_sync(env, folder, error);
    if (status == FW_OK) status = settle(&ledger, catalogue, error);
    if (status != FW_OK) {
        close(ledger.fd);
        return status;
    }
    *out = ledger;
    return FW_OK;
}

void fw_ledger_close(fw_ledger *ledger) {
    if (ledger->env) close(ledger->fd);
    ledger->env = NULL;
}
