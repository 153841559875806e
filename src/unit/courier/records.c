/* records.c - the queue of small records on disk (records.h). */
#include "unit/courier/records.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

static const char *const stream_names[FW_UNIT_RECORDS_STREAM_COUNT] = {"health", "versions"};

/* ---- names ---- */

static void path_of(const fw_unit_records *r, const fw_unit_record_file *f, char out[FW_PATH_MAX]) {
    snprintf(out, FW_PATH_MAX, "%s/%s.%s.%" PRIu64 ".ndjson", r->folder, f->boot,
             stream_names[f->stream], f->first);
}

/* "<boot>.<stream>.<first>.ndjson" */
static bool parse_name(const char *name, fw_unit_record_file *out) {
    size_t boot = strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz-");
    if (boot == 0 || boot >= sizeof out->boot || name[boot] != '.') return false;
    memcpy(out->boot, name, boot);
    out->boot[boot] = '\0';
    const char *rest = name + boot + 1;
    for (int i = 0; i < FW_UNIT_RECORDS_STREAM_COUNT; i++) {
        size_t size = strlen(stream_names[i]);
        char *end;
        if (strncmp(rest, stream_names[i], size) != 0 || rest[size] != '.') continue;
        if (rest[size + 1] < '0' || rest[size + 1] > '9') return false;
        out->stream = (fw_unit_record_stream)i;
        out->first = strtoull(rest + size + 1, &end, 10);
        return strcmp(end, ".ndjson") == 0;
    }
    return false;
}

/* ---- the list ---- */

static void insert(fw_unit_records *r, const fw_unit_record_file *file) {
    uint32_t at = r->count;
    FW_ASSERT(r->count < FW_UNIT_RECORDS_FILES_MAX);
    while (at > 0 && (r->files[at - 1].made_ns > file->made_ns ||
                      (r->files[at - 1].made_ns == file->made_ns &&
                       r->files[at - 1].first > file->first)))
        at--;
    memmove(&r->files[at + 1], &r->files[at], (r->count - at) * sizeof *r->files);
    r->files[at] = *file;
    r->count++;
}

static void remove_file(const fw_unit_records *r, const fw_unit_record_file *f) {
    char path[FW_PATH_MAX];
    path_of(r, f, path);
    unlink(path);
}

static void drop(fw_unit_records *r, uint32_t at, bool counts) {
    remove_file(r, &r->files[at]);
    if (counts) r->lost += r->files[at].count - r->files[at].skip;
    memmove(&r->files[at], &r->files[at + 1], (r->count - at - 1) * sizeof *r->files);
    r->count--;
}

uint64_t fw_unit_records_bytes(const fw_unit_records *r) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < r->count; i++) sum += r->files[i].size_bytes;
    return sum;
}

/* ---- starting ---- */

/* Lines of a file; a torn last one is cut off. FW_END when nothing is in it. */
static fw_status count_lines(const char *path, fw_unit_record_file *f, fw_error *error) {
    char *text = NULL;
    size_t size = 0, whole = 0;
    FW_TRY(fw_file_read(path, 2 * FW_UNIT_RECORDS_FILE_BYTES, &text, &size, error));
    for (size_t i = 0; i < size; i++)
        if (text[i] == '\n') {
            whole = i + 1;
            f->count++;
        }
    free(text);
    f->size_bytes = whole;
    if (f->count == 0) return FW_END;
    if (whole < size && truncate(path, (off_t)whole) != 0)
        return fw_fail_errno(error, "cannot cut %s", path);
    return FW_OK;
}

static void take_up(fw_unit_records *r, const char *name) {
    char path[FW_PATH_MAX];
    struct stat info;
    fw_unit_record_file file = {.first = 0};
    if (name[0] == '.' || strlen(name) > 120) return;
    snprintf(path, sizeof path, "%s/%.120s", r->folder, name);
    fw_error error;
    fw_status status = FW_END;
    bool ours = parse_name(name, &file);
    if (ours && stat(path, &info) == 0) status = count_lines(path, &file, &error);
    if (status != FW_OK && status != FW_END) { /* it stays for a start that can read it */
        fw_log_warn("unit: records left out: %s", error.text);
        return;
    }
    if (status == FW_END || r->count == FW_UNIT_RECORDS_FILES_MAX - 1) {
        r->lost += file.count;
        unlink(path);
        return;
    }
    file.made_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    uint64_t *next = &r->shared->records_next[file.stream];
    if (strcmp(file.boot, r->boot[file.stream]) == 0 && *next < file.first + file.count)
        *next = file.first + file.count;
    insert(r, &file);
}

fw_status fw_unit_records_open(fw_unit_records *r, const fw_env *env, const char *data_folder,
                               fw_unit_shared *shared, fw_error *error) {
    *r = (fw_unit_records){.env = env, .shared = shared};
    _Static_assert(FW_UNIT_RECORDS_STREAM_COUNT <= 4, "shared.h has room for their numbers");
    snprintf(r->folder, sizeof r->folder, "%s/records", data_folder);
    for (int i = 0; i < FW_UNIT_RECORDS_STREAM_COUNT; i++)
        memcpy(r->boot[i], shared->records_boot[i], sizeof r->boot[i]);
    FW_TRY(fw_folder_make(r->folder, 0755, error));
    DIR *folder = opendir(r->folder);
    if (!folder) return fw_fail_errno(error, "cannot open folder %s", r->folder);
    for (struct dirent *entry; (entry = readdir(folder));) take_up(r, entry->d_name);
    closedir(folder);
    return FW_OK;
}

/* ---- adding ---- */

static void make_room(fw_unit_records *r, size_t size_bytes) {
    while (r->count > 0 && (r->count == FW_UNIT_RECORDS_FILES_MAX - 1 ||
                            fw_unit_records_bytes(r) + size_bytes > FW_UNIT_RECORDS_BYTES_MAX))
        drop(r, 0, true);
}

/* The file that the stream's next record goes into; NULL: a new one is needed. */
static fw_unit_record_file *open_file(fw_unit_records *r, fw_unit_record_stream stream) {
    uint64_t next = r->shared->records_next[stream];
    for (uint32_t i = 0; i < r->count; i++) {
        fw_unit_record_file *f = &r->files[i];
        if (f->stream == stream && strcmp(f->boot, r->boot[stream]) == 0 &&
            f->first + f->count == next && f->size_bytes < FW_UNIT_RECORDS_FILE_BYTES)
            return f;
    }
    return NULL;
}

static fw_status write_line(fw_unit_records *r, const fw_unit_record_file *f, const char *line,
                            size_t size_bytes, fw_error *error) {
    char path[FW_PATH_MAX];
    const fw_env *env = r->env;
    path_of(r, f, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return fw_fail_errno(error, "cannot open %s", path);
    fw_status status = fw_file_write_all(env, fd, line, size_bytes, path, error);
    if (status == FW_OK && env->fdatasync(env->self, fd) != 0)
        status = fw_fail_errno(error, "cannot make %s durable", path);
    if (status != FW_OK && ftruncate(fd, (off_t)f->size_bytes) != 0)
        fw_log_debug("unit: %s not cut", path);
    close(fd);
    return status;
}

fw_status fw_unit_records_append(fw_unit_records *r, fw_unit_record_stream stream, const char *line,
                                 fw_error *error) {
    char text[FW_UNIT_RECORD_MAX + 2];
    int size = snprintf(text, sizeof text, "%s\n", line);
    FW_ASSERT(size > 1 && size <= FW_UNIT_RECORD_MAX && !strchr(line, '\n'));
    make_room(r, (size_t)size);
    fw_unit_record_file *file = open_file(r, stream), fresh = {.stream = stream};
    bool is_new = file == NULL;
    if (is_new) {
        memcpy(fresh.boot, r->boot[stream], sizeof fresh.boot);
        fresh.first = r->shared->records_next[stream];
        fresh.made_ns = fw_env_wall_ns(r->env);
        if (r->count > 0 && fresh.made_ns < r->files[r->count - 1].made_ns)
            fresh.made_ns = r->files[r->count - 1].made_ns; /* the wall clock went back */
        file = &fresh;
    }
    fw_status status = write_line(r, file, text, (size_t)size, error);
    if (status == FW_OK && is_new) status = fw_folder_sync(r->env, r->folder, error);
    if (status != FW_OK) {
        if (is_new) remove_file(r, file); /* its line has no number */
        r->lost++;
        return status;
    }
    file->count++;
    file->size_bytes += (uint64_t)size;
    r->shared->records_next[stream] = file->first + file->count;
    if (is_new) insert(r, &fresh);
    return FW_OK;
}

/* ---- sending ---- */

/* The files lie in the order of the wall clock, which may have gone back; the numbers of a stream count. */
static void first_of_its_stream_first(fw_unit_records *r) {
    uint32_t at = 0;
    for (uint32_t i = 1; i < r->count; i++)
        if (r->files[i].stream == r->files[0].stream &&
            strcmp(r->files[i].boot, r->files[0].boot) == 0 && r->files[i].first < r->files[at].first)
            at = i;
    fw_unit_record_file first = r->files[at];
    memmove(&r->files[1], &r->files[0], at * sizeof *r->files);
    r->files[0] = first;
}

fw_status fw_unit_records_next(fw_unit_records *r, fw_unit_batch *out, fw_error *error) {
    char path[FW_PATH_MAX], *text = NULL;
    size_t size = 0, at = 0;
    if (r->count == 0) return FW_END;
    first_of_its_stream_first(r);
    const fw_unit_record_file *f = &r->files[0];
    path_of(r, f, path);
    fw_status status = fw_file_read(path, 2 * FW_UNIT_RECORDS_FILE_BYTES, &text, &size, error);
    if (status == FW_NO_MEMORY) return status;
    if (status != FW_OK || size < f->size_bytes) {
        free(text);
        drop(r, 0, true);
        return status != FW_OK ? status : fw_fail(error, FW_CORRUPT, "%s became shorter", path);
    }
    size = (size_t)f->size_bytes;
    for (uint64_t skip = 0; skip < f->skip; skip++) {
        while (at < size && text[at] != '\n') at++;
        at++;
    }
    FW_ASSERT(at < size);
    memmove(text, text + at, size - at);
    *out = (fw_unit_batch){.boot = f->boot, .stream = stream_names[f->stream],
                           .first = f->first + f->skip, .count = f->count - f->skip, .body = text,
                           .body_bytes = size - at};
    return FW_OK;
}

static void new_boot(const fw_env *env, char out[FW_UNIT_BOOT_MAX]) {
    uint8_t bytes[16] = {0};
    (void)fw_env_random(env, bytes, sizeof bytes);
    for (int i = 0; i < 16; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* The factory wants records that are gone: what is left of the stream goes on under a new boot. */
static void renumber(fw_unit_records *r) {
    char from[FW_PATH_MAX], to[FW_PATH_MAX], boot[FW_UNIT_BOOT_MAX], old[FW_UNIT_BOOT_MAX];
    fw_unit_record_stream stream = r->files[0].stream;
    uint64_t base = r->files[0].first;
    memcpy(old, r->files[0].boot, sizeof old);
    new_boot(r->env, boot);
    for (uint32_t i = 0; i < r->count; i++) {
        fw_unit_record_file *f = &r->files[i];
        if (f->stream != stream || strcmp(f->boot, old) != 0) continue;
        path_of(r, f, from);
        memcpy(f->boot, boot, sizeof f->boot);
        f->first -= base;
        f->skip = 0;
        path_of(r, f, to);
        if (r->env->rename(r->env->self, from, to) != 0)
            fw_log_warn("unit: cannot rename %s: %s", from, strerror(errno));
    }
    if (strcmp(r->boot[stream], old) != 0) return;
    memcpy(r->boot[stream], boot, sizeof boot);
    memcpy(r->shared->records_boot[stream], boot, sizeof boot);
    r->shared->records_next[stream] -= base;
}

void fw_unit_records_acked(fw_unit_records *r, uint64_t next) {
    FW_ASSERT(r->count > 0);
    fw_unit_record_file *f = &r->files[0];
    if (next >= f->first + f->count)
        drop(r, 0, false);
    else if (next >= f->first)
        f->skip = next - f->first;
    else
        renumber(r);
}

void fw_unit_records_condemned(fw_unit_records *r) {
    FW_ASSERT(r->count > 0);
    drop(r, 0, true);
}
