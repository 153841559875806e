/* records_open.c - what a store finds when it is opened (records.h): which segments count and how
 * far, where each stream stands, and what a crash left at the end. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "factory/records/records_store.h"
#include "http/range.h"

typedef struct numbers {
    uint64_t *list; /* (count), rising, owned */
    size_t count;
} numbers;

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static fw_status list_numbers(const fw_records *r, numbers *out, fw_error *error) {
    DIR *dir = opendir(r->folder);
    if (!dir) return fw_fail_errno(error, "cannot open %s", r->folder);
    size_t room = 0;
    *out = (numbers){0};
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *at = entry->d_name;
        uint64_t number;
        if (!fw_http_parse_number(&at, &number) || number == 0) continue;
        if (strcmp(at, ".fwr.tmp") == 0) unlinkat(dirfd(dir), entry->d_name, 0); /* half a copy */
        if (strcmp(at, ".fwr") != 0) continue;
        if (out->count == room) {
            room = room ? 2 * room : 64;
            uint64_t *grown = realloc(out->list, room * sizeof *grown);
            if (!grown) {
                closedir(dir);
                free(out->list);
                return fw_fail(error, FW_NO_MEMORY, "no memory for the list of segments");
            }
            out->list = grown;
        }
        out->list[out->count++] = number;
    }
    closedir(dir);
    if (out->count > 0) qsort(out->list, out->count, sizeof *out->list, by_number);
    return FW_OK;
}

/* Header and size of a file on disk. */
static fw_status read_file(const fw_records *r, uint64_t number, fw_records_file *out,
                           fw_error *error) {
    char path[FW_RECORDS_PATH];
    uint8_t bytes[FW_RECORDS_SEGMENT_HEADER];
    struct stat info;
    fw_records_path(r, number, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) != 0) {
        fw_status status = fw_fail_errno(error, "cannot open %s", path);
        if (fd >= 0) close(fd);
        return status;
    }
    ssize_t got = pread(fd, bytes, sizeof bytes, 0);
    close(fd);
    if (got < 0) return fw_fail_errno(error, "cannot read %s", path);
    fw_error why;
    fw_status status = fw_records_segment_parse(bytes, (size_t)got, &out->header, &why);
    if (status == FW_OK && out->header.number != number)
        status = fw_fail(&why, FW_CORRUPT, "a segment's header is of another segment");
    out->bytes = (uint64_t)info.st_size;
    return status == FW_OK ? FW_OK : fw_fail(error, status, "%s: %s", path, why.text);
}

typedef struct first_frame {
    bool found;
    fw_records_frame frame;
} first_frame;

static bool take_first(void *self, const fw_records_frame *frame, uint64_t at) {
    first_frame *f = self;
    (void)at;
    f->found = true;
    f->frame = *frame;
    return false;
}

/* A segment without a good header: nothing in it was ever acked when it holds no batch (header and
 * first batch are flushed together). With batches, its header is made up from them. */
static fw_status mend(fw_records *r, uint64_t number, fw_records_file *file, bool *counts,
                      fw_error *error) {
    char path[FW_RECORDS_PATH];
    first_frame f = {0};
    uint64_t good;
    fw_records_path(r, number, path);
    const fw_records_visitor visitor = {&f, take_first, NULL};
    FW_TRY(fw_records_scan(path, 0, file->bytes, &visitor, &good, error));
    *counts = f.found;
    if (!f.found) {
        fw_log_warn("%s holds no batch: a crash left it; removed", path);
        unlink(path);
        return FW_OK;
    }
    fw_log_error("%s: its header is damaged; its batches are kept", path);
    r->damaged_bytes += FW_RECORDS_SEGMENT_HEADER;
    file->header = (fw_records_segment){.number = number,
                                        .first_sequence = f.frame.sequence,
                                        .created_ns = f.frame.time_ns,
                                        .previous_number = number - 1,
                                        .previous_bytes = UINT64_MAX};
    return FW_OK;
}

/* Adds what counts, from the newest back: each header says which one came before it and how far
 * that one is good; numbers in between never became durable. */
static fw_status choose_files(fw_records *r, const numbers *n, fw_error *error) {
    uint64_t wanted = UINT64_MAX, limit = UINT64_MAX;
    char path[FW_RECORDS_PATH];
    for (size_t i = n->count; i-- > 0;) {
        fw_records_file file = {0};
        bool counts = true;
        fw_status status = read_file(r, n->list[i], &file, error);
        if (wanted != UINT64_MAX && n->list[i] > wanted) {
            fw_records_path(r, n->list[i], path);
            fw_log_warn("%s never became durable; removed", path);
            unlink(path);
            continue;
        }
        if (status == FW_END || status == FW_CORRUPT)
            FW_TRY(mend(r, n->list[i], &file, &counts, error));
        else if (status != FW_OK)
            return status;
        if (!counts) continue;
        if (n->list[i] == wanted && limit < file.bytes) file.bytes = limit;
        wanted = file.header.previous_number;
        limit = file.header.previous_bytes;
        FW_TRY(fw_records_add_file(r, &file, error));
    }
    for (uint32_t a = 0, b = r->file_count; a + 1 < b; a++) { /* rising again */
        fw_records_file swap = r->files[--b];
        r->files[b] = r->files[a];
        r->files[a] = swap;
    }
    if (n->count > 0) r->last_number = n->list[n->count - 1];
    return FW_OK;
}

/* ---- where the streams stand ---- */

typedef struct replay {
    fw_records *records;
    const char *path;
    uint64_t batches, damaged_bytes;
    fw_status status;
    fw_error *error;
} replay;

static bool replay_frame(void *self, const fw_records_frame *frame, uint64_t at) {
    replay *p = self;
    (void)at;
    p->batches++;
    p->status = fw_records_replay(p->records, frame, p->error);
    if (p->status == FW_TOO_BIG) p->status = FW_OK; /* taken under another limit: it stays */
    if (p->status == FW_OK && p->records->config.taken)
        p->records->config.taken(p->records->config.self, frame);
    return p->status == FW_OK;
}

static void replay_damage(void *self, uint64_t from, uint64_t to) {
    replay *p = self;
    p->damaged_bytes += to - from;
    fw_log_error("%s: bytes %" PRIu64 " to %" PRIu64 " are damaged; the %" PRIu64
                 " batches read before them and those after are kept",
                 p->path, from, to, p->batches);
}

/* Reads a file's batches from `from` on. *good: where the last intact one ends. */
static fw_status replay_file(fw_records *r, const fw_records_file *file, uint64_t from,
                             uint64_t *good, fw_error *error) {
    char path[FW_RECORDS_PATH];
    fw_records_path(r, file->header.number, path);
    replay p = {.records = r, .path = path, .error = error};
    const fw_records_visitor visitor = {&p, replay_frame, replay_damage};
    FW_TRY(fw_records_scan(path, from, file->bytes, &visitor, good, error));
    r->damaged_bytes += p.damaged_bytes;
    return p.status;
}

/* The checkpoint's position, all 0 when there is none. */
static fw_status read_position(fw_records *r, uint64_t *number, uint64_t *bytes, fw_error *error) {
    char text[80];
    sqlite3 *db = fw_catalogue_read(r->config.catalogue);
    fw_status status = fw_setting_get(db, "records_position", text, sizeof text, error);
    fw_catalogue_read_end(r->config.catalogue);
    if (status != FW_OK) return status;
    const char *at = text;
    uint64_t sequence = 0;
    *number = *bytes = 0;
    if (fw_http_parse_number(&at, number) && *at++ == ' ' && fw_http_parse_number(&at, bytes) &&
        *at++ == ' ' && fw_http_parse_number(&at, &sequence))
        r->sequence = sequence;
    else
        *number = *bytes = 0;
    return FW_OK;
}

/* The file's first bytes into another one, durable. Reading takes what the page cache has, which a
 * flush that failed before the crash may have left there as clean without its being on the disk. */
static fw_status copy_start(fw_records *r, int from, int to, uint64_t bytes, fw_error *error) {
    enum { PIECE = 1 << 16 };
    const fw_env *env = r->config.env;
    uint8_t *piece = malloc(PIECE);
    if (!piece) return fw_fail(error, FW_NO_MEMORY, "no memory to open the records");
    fw_status status = FW_OK;
    for (uint64_t at = 0; at < bytes && status == FW_OK;) {
        size_t size = bytes - at < PIECE ? (size_t)(bytes - at) : PIECE;
        ssize_t got = pread(from, piece, size, (off_t)at);
        if (got <= 0)
            status = fw_fail_errno(error, "cannot read records back");
        else
            status = fw_file_write_all(env, to, piece, (size_t)got, "records", error);
        if (got > 0) at += (uint64_t)got;
    }
    free(piece);
    if (status == FW_OK && env->fdatasync(env->self, to) != 0)
        status = fw_fail_errno(error, "cannot make the records' end durable");
    return status;
}

/* A copy takes the file's place; until it is durable the file stays as it is: what was acked is in
 * it, and a disk that fails to write over a place may lose what was there. */
static fw_status copy_over(fw_records *r, const char *path, uint64_t bytes, fw_error *error) {
    char temporary[FW_RECORDS_PATH + 8];
    const fw_env *env = r->config.env;
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0) return fw_fail_errno(error, "cannot open %s", path);
    int to = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    fw_status status = to >= 0 ? copy_start(r, from, to, bytes, error)
                               : fw_fail_errno(error, "cannot create %s", temporary);
    close(from);
    if (to >= 0) close(to);
    if (status == FW_OK && env->rename(env->self, temporary, path) != 0)
        status = fw_fail_errno(error, "cannot rename %s", temporary);
    if (status != FW_OK) unlink(temporary);
    return status == FW_OK ? fw_folder_sync(env, r->folder, error) : status;
}

/* The last segment after a crash: what is intact is made durable, what is torn is left out. Nothing
 * more is written to it. */
static fw_status settle_end(fw_records *r, uint64_t good, fw_error *error) {
    char path[FW_RECORDS_PATH];
    fw_records_file *last = &r->files[r->file_count - 1];
    fw_records_path(r, last->header.number, path);
    if (good < last->bytes)
        fw_log_warn("%s: the last %" PRIu64 " bytes were cut off by a crash and are no batch; removed",
                    path, last->bytes - good);
    FW_TRY(copy_over(r, path, good, error));
    last->bytes = good;
    return FW_OK;
}

/* The last segment is written to further when it is as it was left. */
static fw_status go_on(fw_records *r, fw_error *error) {
    char path[FW_RECORDS_PATH];
    const fw_records_file *last = &r->files[r->file_count - 1];
    fw_records_path(r, last->header.number, path);
    r->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (r->fd < 0) return fw_fail_errno(error, "cannot open %s", path);
    r->active = true;
    return FW_OK;
}

static fw_status replay_all(fw_records *r, fw_error *error) {
    uint64_t number, position, good = 0;
    FW_TRY(read_position(r, &number, &position, error));
    for (uint32_t i = 0; i < r->file_count; i++) {
        const fw_records_file *file = &r->files[i];
        bool last = i + 1 == r->file_count;
        uint64_t from = FW_RECORDS_SEGMENT_HEADER;
        if (file->header.number < number) continue;
        if (file->header.number == number && position > from) from = position;
        if (from > file->bytes) {
            fw_log_error("segment %" PRIu64 " of the records lacks %" PRIu64
                         " bytes that were acked; all before them are kept",
                         file->header.number, from - file->bytes);
            r->damaged_bytes += from - file->bytes;
            continue;
        }
        bool as_left = last && from == file->bytes && file->header.number == number;
        FW_TRY(replay_file(r, file, from, &good, error));
        if (as_left)
            FW_TRY(go_on(r, error));
        else if (last)
            FW_TRY(settle_end(r, good, error));
        r->since_checkpoint_bytes += file->bytes - from;
    }
    r->saved_number = number;
    r->sealed = !r->active;
    return FW_OK;
}

fw_status fw_records_load(fw_records *r, fw_error *error) {
    numbers n;
    FW_TRY(list_numbers(r, &n, error));
    fw_status status = choose_files(r, &n, error);
    free(n.list);
    return status == FW_OK ? replay_all(r, error) : status;
}
