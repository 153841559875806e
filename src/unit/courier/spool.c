/* spool.c - recordings on disk (spool.h). */
#include "unit/courier/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"

enum { SIDECAR_MAX = 4096, REFUSED_MAX = 64 };

struct fw_unit_spool {
    fw_unit_spool_config config;
    fw_unit_shared *shared;
    char folder[FW_PATH_MAX - 128], refused[FW_PATH_MAX - 96];
    pthread_mutex_t lock; /* guards files, count, order, bytes */
    fw_unit_spooled files[FW_UNIT_SPOOL_FILES_MAX]; /* oldest first */
    uint32_t count;
    uint64_t next_order;
    uint64_t refused_bytes, refused_seen;
    /* only the draining thread's */
    int part;              /* descriptor of the open part; -1 none */
    bool part_lost;        /* a write failed: its remaining pieces are passed over */
    uint64_t part_bytes;
    uint8_t piece[FW_UNIT_PIECE_MAX];
};

/* ---- names ---- */

void fw_unit_spool_path(const fw_unit_spool *s, const fw_hash *hash, char out[FW_PATH_MAX]) {
    snprintf(out, FW_PATH_MAX, "%s/%.64s.mcap", s->folder, hash->hex);
}

static void sidecar_path(const fw_unit_spool *s, const fw_hash *hash, char out[FW_PATH_MAX]) {
    snprintf(out, FW_PATH_MAX, "%s/%.64s.json", s->folder, hash->hex);
}

static void part_path(const fw_unit_spool *s, uint64_t serial, char out[FW_PATH_MAX]) {
    snprintf(out, FW_PATH_MAX, "%s/%" PRIu64 ".mcap.part", s->folder, serial);
}

static uint64_t file_size(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
}

/* ---- the list; callers hold the lock ---- */

static void publish(fw_unit_spool *s) {
    uint64_t sum = s->part_bytes;
    for (uint32_t i = 0; i < s->count; i++) sum += s->files[i].size_bytes;
    atomic_store(&s->shared->spool_bytes, sum);
}

static void list_add(fw_unit_spool *s, const fw_unit_spooled *file) {
    uint32_t at = s->count;
    for (uint32_t i = 0; i < s->count; i++)
        if (strcmp(s->files[i].hash.hex, file->hash.hex) == 0) return;
    FW_ASSERT(s->count < FW_UNIT_SPOOL_FILES_MAX);
    while (at > 0 && s->files[at - 1].order > file->order) at--;
    memmove(&s->files[at + 1], &s->files[at], (s->count - at) * sizeof *s->files);
    s->files[at] = *file;
    s->count++;
    if (file->order >= s->next_order) s->next_order = file->order + 1;
}

static void list_take(fw_unit_spool *s, uint32_t at) {
    memmove(&s->files[at], &s->files[at + 1], (s->count - at - 1) * sizeof *s->files);
    s->count--;
}

static int list_find(const fw_unit_spool *s, const fw_hash *hash) {
    for (uint32_t i = 0; i < s->count; i++)
        if (strcmp(s->files[i].hash.hex, hash->hex) == 0) return (int)i;
    return -1;
}

/* ---- staying under the cap ---- */

static void unlink_pair(const fw_unit_spool *s, const fw_hash *hash) {
    char path[FW_PATH_MAX];
    sidecar_path(s, hash, path);
    unlink(path);
    fw_unit_spool_path(s, hash, path);
    unlink(path);
}

/* The one to give up next: the oldest without events, else the oldest. */
static uint32_t choose_victim(const fw_unit_spool *s) {
    for (uint32_t i = 0; i < s->count; i++)
        if (s->files[i].events == 0) return i;
    return 0;
}

static void lose(fw_unit_spool *s, uint64_t size_bytes) {
    atomic_fetch_add(&s->shared->lost_spool_bytes, size_bytes);
}

static void drop_refused(fw_unit_spool *s) {
    fw_error error;
    fw_log_warn("unit %u: %s removed to make room", s->config.unit, s->refused);
    if (fw_folder_remove(s->refused, &error) != FW_OK ||
        fw_folder_make(s->refused, 0755, &error) != FW_OK)
        fw_log_warn("unit %u: %s", s->config.unit, error.text);
    s->refused_bytes = s->refused_seen = 0;
}

static uint64_t used_bytes(const fw_unit_spool *s) {
    uint64_t sum = s->part_bytes + s->refused_bytes;
    for (uint32_t i = 0; i < s->count; i++) sum += s->files[i].size_bytes;
    return sum;
}

static void keep_under_cap(fw_unit_spool *s) {
    uint64_t used = used_bytes(s);
    if (used > s->config.max_bytes && s->refused_bytes > 0) drop_refused(s);
    while (s->count > 0 && (used_bytes(s) > s->config.max_bytes ||
                            s->count > FW_UNIT_SPOOL_FILES_MAX - 1)) {
        uint32_t at = choose_victim(s);
        fw_unit_spooled victim = s->files[at];
        unlink_pair(s, &victim.hash);
        list_take(s, at);
        lose(s, victim.size_bytes);
        fw_log_warn("unit %u: spool over %" PRIu64 " bytes, gave up %.12s (%" PRIu64
                    " bytes, %u events)", s->config.unit, s->config.max_bytes, victim.hash.hex,
                    victim.size_bytes, victim.events);
    }
    publish(s);
}

/* ---- starting ---- */

/* Order and events of a recording from the file beside it; zero where it is missing or bent. */
static void read_sidecar(const fw_unit_spool *s, fw_unit_spooled *file) {
    char path[FW_PATH_MAX], *text = NULL;
    size_t size = 0;
    sidecar_path(s, &file->hash, path);
    if (fw_file_read(path, SIDECAR_MAX, &text, &size, NULL) != FW_OK) return;
    json_t *json = json_loadb(text, size, 0, NULL);
    json_int_t order = json_integer_value(json_object_get(json, "order"));
    json_int_t events = json_integer_value(json_object_get(json, "events"));
    if (order > 0) file->order = (uint64_t)order;
    if (events > 0 && events <= UINT32_MAX) file->events = (uint32_t)events;
    json_decref(json);
    free(text);
}

static bool ends_with(const char *text, const char *end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

static void take_up(fw_unit_spool *s, const char *name) {
    char path[FW_PATH_MAX];
    fw_unit_spooled file = {.order = 0};
    if (strlen(name) == FW_HASH_HEX + 5 && ends_with(name, ".mcap")) {
        memcpy(file.hash.hex, name, FW_HASH_HEX);
        if (!fw_hash_valid(file.hash.hex)) return;
        fw_unit_spool_path(s, &file.hash, path);
        file.size_bytes = file_size(path);
        read_sidecar(s, &file);
        if (file.order == 0) file.order = s->next_order;
        if (s->count < FW_UNIT_SPOOL_FILES_MAX - 1) list_add(s, &file);
    } else if (ends_with(name, ".mcap.part")) {
        if (s->shared->open_serial != 0 && strtoull(name, NULL, 10) == s->shared->open_serial)
            return;
        snprintf(path, sizeof path, "%s/%.80s", s->folder, name);
        fw_log_warn("unit %u: removed %.80s (%" PRIu64 " bytes), which was never completed",
                    s->config.unit, name, file_size(path));
        unlink(path);
    } else if (strlen(name) == FW_HASH_HEX + 5 && ends_with(name, ".json")) {
        memcpy(file.hash.hex, name, FW_HASH_HEX);
        fw_unit_spool_path(s, &file.hash, path);
        if (fw_file_exists(path)) return;
        sidecar_path(s, &file.hash, path);
        unlink(path);
    } else if (ends_with(name, ".tmp")) {
        snprintf(path, sizeof path, "%s/%.120s", s->folder, name);
        unlink(path);
    }
}

static fw_status scan(fw_unit_spool *s, fw_error *error) {
    DIR *folder = opendir(s->folder);
    if (!folder) return fw_fail_errno(error, "cannot open folder %s", s->folder);
    for (struct dirent *entry; (entry = readdir(folder));) take_up(s, entry->d_name);
    closedir(folder);
    s->refused_bytes = fw_folder_size_bytes(s->refused);
    return FW_OK;
}

fw_status fw_unit_spool_open(const fw_unit_spool_config *config, fw_unit_shared *shared,
                             fw_unit_spool **out, fw_error *error) {
    if (strlen(config->data_folder) > FW_PATH_MAX - 256)
        return fw_fail(error, FW_INVALID, "unit: the path of the data folder is too long");
    fw_unit_spool *s = calloc(1, sizeof *s);
    if (!s) return fw_fail(error, FW_NO_MEMORY, "unit: no memory for the spool");
    s->config = *config;
    s->shared = shared;
    s->part = -1;
    s->next_order = 1;
    pthread_mutex_init(&s->lock, NULL);
    snprintf(s->folder, sizeof s->folder, "%s/spool", config->data_folder);
    snprintf(s->refused, sizeof s->refused, "%s/refused", s->folder);
    fw_status status = fw_folder_make(s->refused, 0755, error);
    if (status == FW_OK) status = scan(s, error);
    if (status != FW_OK) {
        fw_unit_spool_close(s);
        return status;
    }
    keep_under_cap(s);
    *out = s;
    return FW_OK;
}

void fw_unit_spool_close(fw_unit_spool *s) {
    if (!s) return;
    if (s->part >= 0) close(s->part);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- draining ---- */

static void set_part_bytes(fw_unit_spool *s, uint64_t size_bytes) {
    pthread_mutex_lock(&s->lock);
    s->part_bytes = size_bytes;
    keep_under_cap(s);
    pthread_mutex_unlock(&s->lock);
}

static void close_part(fw_unit_spool *s) {
    if (s->part >= 0) close(s->part);
    s->part = -1;
    s->part_lost = false;
    s->shared->open_serial = 0;
    set_part_bytes(s, 0);
}

/* Removes the part of a recording that will not be whole; `counts`: its bytes are a loss. */
static void discard_part(fw_unit_spool *s, const char *why, bool counts) {
    char path[FW_PATH_MAX];
    if (s->shared->open_serial == 0) return;
    part_path(s, s->shared->open_serial, path);
    uint64_t size = file_size(path);
    if (why) fw_log_warn("unit %u: dropped recording %" PRIu64 " (%" PRIu64 " bytes): %s",
                         s->config.unit, s->shared->open_serial, size, why);
    unlink(path);
    if (counts) lose(s, size);
    close_part(s);
}

/* Opens the part of `serial`; `create`: O_CREAT or 0. */
static fw_status open_part(fw_unit_spool *s, uint64_t serial, int create, fw_error *error) {
    char path[FW_PATH_MAX];
    part_path(s, serial, path);
    s->part = open(path, O_RDWR | create | O_CLOEXEC, 0644);
    if (s->part < 0) return fw_fail_errno(error, "cannot open %s", path);
    return FW_OK;
}

static fw_status write_at(fw_unit_spool *s, uint64_t offset, size_t size_bytes, fw_error *error) {
    if (lseek(s->part, (off_t)offset, SEEK_SET) < 0)
        return fw_fail_errno(error, "cannot seek in a recording");
    return fw_file_write_all(s->config.env, s->part, s->piece, size_bytes, "a recording", error);
}

static void take_begin(fw_unit_spool *s, const fw_unit_piece *piece) {
    fw_error error;
    if (s->shared->open_serial != 0 && s->shared->open_serial != piece->serial)
        discard_part(s, "the tick process died or ran out of ring", true);
    s->shared->open_serial = piece->serial;
    if (s->part < 0 && open_part(s, piece->serial, O_CREAT, &error) != FW_OK) {
        fw_log_error("unit %u: %s", s->config.unit, error.text);
        s->part_lost = true;
    }
}

/* After a restart of the courier: the part that was open. It is missing when the one before died
 * between giving it its name and forgetting it: then only its END comes again. */
static void find_part(fw_unit_spool *s, const fw_unit_piece *piece) {
    fw_error error;
    if (s->part >= 0 || s->part_lost || s->shared->open_serial != piece->serial) return;
    if (open_part(s, piece->serial, 0, &error) != FW_OK) s->part_lost = true;
}

static void take_bytes(fw_unit_spool *s, const fw_unit_piece *piece) {
    fw_error error;
    if (s->shared->open_serial != piece->serial) return;
    if (s->part_lost) {
        lose(s, piece->size_bytes);
        return;
    }
    uint64_t size = piece->offset + piece->size_bytes;
    fw_status status = size > s->config.max_bytes
                           ? fw_fail(&error, FW_TOO_BIG, "larger than the whole spool")
                           : write_at(s, piece->offset, piece->size_bytes, &error);
    if (status != FW_OK) {
        fw_log_error("unit %u: recording %" PRIu64 " given up: %s", s->config.unit, piece->serial,
                     error.text);
        lose(s, size);
        if (ftruncate(s->part, 0) != 0) fw_log_debug("unit: part not cut");
        s->part_lost = true;
        set_part_bytes(s, 0);
        return;
    }
    set_part_bytes(s, size);
}

static fw_status write_sidecar(fw_unit_spool *s, const fw_unit_spooled *file,
                               const fw_unit_piece *piece, fw_error *error) {
    char path[FW_PATH_MAX], text[256];
    sidecar_path(s, &file->hash, path);
    int size = snprintf(text, sizeof text,
                        "{\"order\":%" PRIu64 ",\"events\":%u,\"unit\":%u,\"drive\":%u,"
                        "\"first_tick\":%u,\"ticks\":%u}\n",
                        file->order, file->events, s->config.unit, piece->drive,
                        piece->first_tick, piece->ticks);
    return fw_file_write_durable(s->config.env, path, text, (size_t)size, error);
}

/* Part -> durable, hashed, named. */
static fw_status name_part(fw_unit_spool *s, const fw_unit_piece *piece, fw_unit_spooled *file,
                           fw_error *error) {
    char from[FW_PATH_MAX], to[FW_PATH_MAX];
    const fw_env *env = s->config.env;
    part_path(s, piece->serial, from);
    if (file_size(from) != piece->offset)
        return fw_fail(error, FW_MISMATCH, "%s has %" PRIu64 " bytes, %" PRIu64 " were recorded",
                       from, file_size(from), piece->offset);
    if (env->fdatasync(env->self, s->part) != 0)
        return fw_fail_errno(error, "cannot make %s durable", from);
    FW_TRY(fw_hash_file(from, &file->hash, error));
    FW_TRY(write_sidecar(s, file, piece, error));
    fw_unit_spool_path(s, &file->hash, to);
    if (env->rename(env->self, from, to) == 0) return fw_folder_sync(env, s->folder, error);
    fw_status status = fw_fail_errno(error, "cannot rename %s", from);
    sidecar_path(s, &file->hash, to);
    unlink(to);
    return status;
}

static void take_end(fw_unit_spool *s, const fw_unit_piece *piece) {
    fw_error error;
    if (s->shared->open_serial != piece->serial) return; /* done before the courier died */
    if (s->part_lost) {
        discard_part(s, NULL, false); /* counted and logged when it was lost */
        return;
    }
    fw_unit_spooled file = {.size_bytes = piece->offset, .events = piece->events};
    pthread_mutex_lock(&s->lock);
    file.order = s->next_order++;
    pthread_mutex_unlock(&s->lock);
    if (name_part(s, piece, &file, &error) != FW_OK) {
        discard_part(s, error.text, true);
        return;
    }
    pthread_mutex_lock(&s->lock);
    s->part_bytes = 0;
    list_add(s, &file);
    keep_under_cap(s);
    pthread_mutex_unlock(&s->lock);
    close_part(s);
    fw_unit_wake(s->shared->net_wake);
}

static void take_piece(fw_unit_spool *s, const fw_unit_piece *piece) {
    if (piece->kind != FW_UNIT_PIECE_BEGIN) find_part(s, piece);
    switch (piece->kind) {
    case FW_UNIT_PIECE_BEGIN: take_begin(s, piece); break;
    case FW_UNIT_PIECE_BYTES: take_bytes(s, piece); break;
    case FW_UNIT_PIECE_END: take_end(s, piece); break;
    case FW_UNIT_PIECE_DROP:
        if (s->shared->open_serial == piece->serial) discard_part(s, NULL, false);
        break;
    default: FW_ASSERT(!"a piece of unknown kind");
    }
}

bool fw_unit_spool_drain(fw_unit_spool *s) {
    fw_unit_piece piece;
    bool any = false;
    while (fw_unit_ring_peek(&s->shared->ring, &piece, s->piece)) {
        take_piece(s, &piece);
        fw_unit_ring_pop(&s->shared->ring, &piece);
        any = true;
    }
    return any;
}

void fw_unit_spool_finish(fw_unit_spool *s) { discard_part(s, "the unit stopped inside it", true); }

/* ---- uploading ---- */

bool fw_unit_spool_next(fw_unit_spool *s, uint64_t order, fw_unit_spooled *out) {
    pthread_mutex_lock(&s->lock);
    bool any = s->count > 0;
    uint32_t at = 0;
    while (at < s->count && s->files[at].order <= order) at++;
    if (any) *out = s->files[at < s->count ? at : 0];
    pthread_mutex_unlock(&s->lock);
    return any;
}

uint32_t fw_unit_spool_count(fw_unit_spool *s) {
    pthread_mutex_lock(&s->lock);
    uint32_t count = s->count;
    pthread_mutex_unlock(&s->lock);
    return count;
}

static bool take_out(fw_unit_spool *s, const fw_hash *hash, fw_unit_spooled *out) {
    int at = list_find(s, hash);
    if (at < 0) return false;
    *out = s->files[at];
    list_take(s, (uint32_t)at);
    return true;
}

void fw_unit_spool_remove(fw_unit_spool *s, const fw_hash *hash) {
    fw_unit_spooled file;
    pthread_mutex_lock(&s->lock);
    if (take_out(s, hash, &file)) unlink_pair(s, hash);
    publish(s);
    pthread_mutex_unlock(&s->lock);
}

void fw_unit_spool_refuse(fw_unit_spool *s, const fw_hash *hash, const char *reason) {
    char from[FW_PATH_MAX], to[FW_PATH_MAX];
    fw_unit_spooled file;
    pthread_mutex_lock(&s->lock);
    if (take_out(s, hash, &file)) {
        if (s->refused_seen++ >= REFUSED_MAX) drop_refused(s);
        fw_unit_spool_path(s, hash, from);
        snprintf(to, sizeof to, "%s/%.64s.mcap", s->refused, hash->hex);
        if (s->config.env->rename(s->config.env->self, from, to) != 0)
            fw_log_error("unit %u: cannot set %.12s aside: %s", s->config.unit, hash->hex,
                         strerror(errno));
        snprintf(to, sizeof to, "%s/%.64s.reason", s->refused, hash->hex);
        fw_error error;
        if (fw_file_write_durable(s->config.env, to, reason, strlen(reason), &error) != FW_OK)
            fw_log_error("unit %u: %s", s->config.unit, error.text);
        s->refused_bytes += file.size_bytes;
        sidecar_path(s, hash, from);
        unlink(from);
        fw_log_error("unit %u: the factory refused recording %.12s, kept in spool/refused: %s",
                     s->config.unit, hash->hex, reason);
    }
    keep_under_cap(s);
    pthread_mutex_unlock(&s->lock);
}
