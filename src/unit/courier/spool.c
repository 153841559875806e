/* spool.c - whole recordings: the list, the quota, and what becomes of them (spool.h). */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "unit/courier/spent.h"
#include "unit/courier/spool_state.h"

enum { REFUSED_MAX = 64 };

/* ---- names ---- */

void fw_unit_spool_path(const fw_unit_spool *s, const fw_hash *hash, char out[FW_PATH_MAX]) {
    snprintf(out, FW_PATH_MAX, "%s/%.64s.mcap", s->folder, hash->hex);
}

void fw_unit_spool_part_path(const fw_unit_spool *s, uint64_t serial, char out[FW_PATH_MAX]) {
    snprintf(out, FW_PATH_MAX, "%s/%" PRIu64 ".mcap.part", s->folder, serial);
}

uint64_t fw_unit_file_size(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
}

uint32_t fw_unit_value_of(const fw_unit_spooled *file) {
    if (file->campaign[0]) return FW_UNIT_VALUE_CAPTURE + file->priority;
    if (file->held) return FW_UNIT_VALUE_HELD;
    return file->events > 0 ? FW_UNIT_VALUE_EVENTS : FW_UNIT_VALUE_ROUTINE;
}

void fw_unit_spool_wake(const fw_unit_spool *s) {
    fw_unit_wake(s->shared->net_wake);
    fw_unit_wake(s->shared->upload_wake);
}

/* ---- the list; callers hold the lock ---- */

static uint64_t parts_bytes(const fw_unit_spool *s) {
    uint64_t sum = 0;
    for (int i = 0; i < FW_UNIT_STREAM_COUNT; i++) sum += s->parts[i].bytes;
    return sum;
}

static void sum_up(const fw_unit_spool *s, uint64_t *waiting, uint64_t *held) {
    *waiting = *held = 0;
    for (uint32_t i = 0; i < s->count; i++)
        *(s->files[i].held ? held : waiting) += s->files[i].size_bytes;
}

static void publish(fw_unit_spool *s) {
    uint64_t waiting, held, parts = parts_bytes(s);
    sum_up(s, &waiting, &held);
    if (s->config.ring_max_bytes > 0) parts -= s->parts[FW_UNIT_ROUTINE].bytes;
    atomic_store(&s->shared->spool_bytes, waiting + parts);
    atomic_store(&s->shared->ring_file_bytes, held);
}

static int list_find(const fw_unit_spool *s, const fw_hash *hash) {
    for (uint32_t i = 0; i < s->count; i++)
        if (strcmp(s->files[i].hash.hex, hash->hex) == 0) return (int)i;
    return -1;
}

static void list_add(fw_unit_spool *s, const fw_unit_spooled *file) {
    uint32_t at = s->count;
    if (list_find(s, &file->hash) >= 0) return;
    FW_ASSERT(s->count < FW_UNIT_SPOOL_FILES_MAX);
    while (at > 0 && s->files[at - 1].order > file->order) at--;
    memmove(&s->files[at + 1], &s->files[at], (s->count - at) * sizeof *s->files);
    s->files[at] = *file;
    s->files[at].value = fw_unit_value_of(file);
    s->count++;
    if (file->order >= s->next_order) s->next_order = file->order + 1;
}

static void list_take(fw_unit_spool *s, uint32_t at) {
    memmove(&s->files[at], &s->files[at + 1], (s->count - at - 1) * sizeof *s->files);
    s->count--;
}

/* ---- the quota; callers hold the lock ---- */

static void unlink_pair(const fw_unit_spool *s, const fw_hash *hash) {
    char path[FW_PATH_MAX];
    fw_unit_spool_path(s, hash, path); /* first: without its sidecar it would be a routine recording */
    unlink(path);
    fw_unit_sidecar_path(s, hash, path);
    unlink(path);
}

/* The least valuable, of these the oldest, but the one being sent last; count when there is none. */
static uint32_t choose_victim(const fw_unit_spool *s) {
    uint32_t best = s->count;
    bool best_is_sent = false;
    for (uint32_t i = 0; i < s->count; i++) {
        const fw_unit_spooled *f = &s->files[i];
        bool is_sent = strcmp(f->hash.hex, s->sending.hex) == 0;
        if (best < s->count && f->value > s->files[best].value) continue;
        if (best < s->count && f->value == s->files[best].value && (is_sent || !best_is_sent)) continue;
        best = i;
        best_is_sent = is_sent;
    }
    return best;
}

static void give_up(fw_unit_spool *s, uint32_t at, const char *why) {
    fw_unit_spooled victim = s->files[at];
    unlink_pair(s, &victim.hash);
    list_take(s, at);
    if (victim.value == FW_UNIT_VALUE_HELD) return; /* the ring goes round: no loss */
    fw_unit_lose(s->shared, FW_UNIT_LOSS_EVICTED, victim.size_bytes);
    fw_log_warn("unit %u: %s: gave up %.12s (%" PRIu64 " bytes, value %u)", s->config.unit, why,
                victim.hash.hex, victim.size_bytes, victim.value);
}

static void drop_refused(fw_unit_spool *s) {
    fw_error error;
    fw_log_warn("unit %u: %s removed to make room", s->config.unit, s->refused);
    if (fw_folder_remove(s->refused, &error) != FW_OK ||
        fw_folder_make(s->refused, 0755, &error) != FW_OK)
        fw_log_warn("unit %u: %s", s->config.unit, error.text);
    fw_unit_lose(s->shared, FW_UNIT_LOSS_REFUSED, s->refused_bytes);
    s->refused_bytes = s->refused_seen = 0;
}

static uint64_t used_bytes(const fw_unit_spool *s) {
    uint64_t waiting, held;
    sum_up(s, &waiting, &held);
    return waiting + held + parts_bytes(s) + s->refused_bytes;
}

/* The ring on disk: the oldest of what is only held. */
static void keep_ring(fw_unit_spool *s) {
    for (;;) {
        uint64_t waiting, held;
        uint32_t at = 0;
        sum_up(s, &waiting, &held);
        if (s->config.ring_max_bytes > 0) held += s->parts[FW_UNIT_ROUTINE].bytes;
        while (at < s->count && !s->files[at].held) at++;
        if (held <= s->config.ring_max_bytes || at == s->count) return;
        give_up(s, at, "the ring is full");
    }
}

bool fw_unit_spool_keep_quota(fw_unit_spool *s, uint32_t value_max) {
    keep_ring(s);
    if (used_bytes(s) > s->config.max_bytes && s->refused_bytes > 0) drop_refused(s);
    bool over;
    while ((over = used_bytes(s) > s->config.max_bytes || s->count > FW_UNIT_SPOOL_FILES_MAX - 1)) {
        uint32_t at = choose_victim(s);
        if (at == s->count || s->files[at].value > value_max) break;
        give_up(s, at, "the spool is full");
    }
    publish(s);
    return !over;
}

bool fw_unit_spool_make_way(fw_unit_spool *s, uint32_t value) {
    pthread_mutex_lock(&s->lock);
    uint32_t at = choose_victim(s);
    bool found = at < s->count && s->files[at].value < value;
    if (found) give_up(s, at, "the disk is full");
    publish(s);
    pthread_mutex_unlock(&s->lock);
    return found;
}

uint64_t fw_unit_spool_new_order(fw_unit_spool *s) {
    pthread_mutex_lock(&s->lock);
    uint64_t order = s->next_order++;
    pthread_mutex_unlock(&s->lock);
    return order;
}

void fw_unit_spool_add(fw_unit_spool *s, fw_unit_spooled *file) {
    pthread_mutex_lock(&s->lock);
    list_add(s, file);
    (void)fw_unit_spool_keep_quota(s, UINT32_MAX);
    pthread_mutex_unlock(&s->lock);
}

/* ---- promotion ---- */

static bool overlaps(const fw_unit_spooled *f, const fw_unit_promote *w) {
    return f->held && f->drive == w->drive && f->first_ns < w->to_ns && f->last_ns >= w->from_ns;
}

void fw_unit_spool_promote(fw_unit_spool *s, const fw_unit_promote *wanted) {
    fw_error error;
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < s->count; i++) {
        fw_unit_spooled *f = &s->files[i];
        if (!overlaps(f, wanted)) continue;
        f->held = false;
        f->priority = wanted->priority;
        memcpy(f->campaign, wanted->campaign, sizeof f->campaign);
        f->value = fw_unit_value_of(f);
        if (fw_unit_sidecar_write(s, f, &error) != FW_OK)
            fw_log_warn("unit %u: %s", s->config.unit, error.text);
        fw_log_info("unit %u: recording %.12s is wanted by campaign %s", s->config.unit, f->hash.hex,
                    f->campaign);
    }
    publish(s);
    pthread_mutex_unlock(&s->lock);
    fw_unit_spool_wake(s);
}

/* ---- starting ---- */

static bool ends_with(const char *text, const char *end) {
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

static bool is_open(const fw_unit_spool *s, const char *name) {
    uint64_t serial = strtoull(name, NULL, 10);
    for (int i = 0; i < FW_UNIT_STREAM_COUNT; i++)
        if (serial != 0 && s->shared->open[i].serial == serial) return true;
    return false;
}

/* A whole recording of an earlier run, or of an earlier courier. */
static void take_up_whole(fw_unit_spool *s, const char *name) {
    char path[FW_PATH_MAX];
    fw_unit_spooled file = {.order = 0};
    memcpy(file.hash.hex, name, FW_HASH_HEX);
    if (!fw_hash_valid(file.hash.hex)) return;
    fw_unit_spool_path(s, &file.hash, path);
    file.size_bytes = fw_unit_file_size(path);
    fw_unit_sidecar_read(s, &file);
    if (s->config.ring_max_bytes == 0) file.held = false; /* everything is uploaded now */
    if (file.order == 0) file.order = s->next_order;
    if (s->count < FW_UNIT_SPOOL_FILES_MAX - 1) list_add(s, &file);
}

/* A sidecar whose recording is gone. */
static void drop_orphan(fw_unit_spool *s, const char *name) {
    char path[FW_PATH_MAX];
    fw_hash hash = {{0}};
    memcpy(hash.hex, name, FW_HASH_HEX);
    fw_unit_spool_path(s, &hash, path);
    if (fw_file_exists(path)) return;
    fw_unit_sidecar_path(s, &hash, path);
    unlink(path);
}

static void take_up(fw_unit_spool *s, const char *name) {
    char path[FW_PATH_MAX];
    if (strlen(name) == FW_HASH_HEX + 5 && ends_with(name, ".mcap")) {
        take_up_whole(s, name);
    } else if (strlen(name) == FW_HASH_HEX + 5 && ends_with(name, ".json")) {
        drop_orphan(s, name);
    } else if (ends_with(name, ".part.json")) {
        snprintf(path, sizeof path, "%s/%" PRIu64 ".mcap.part", s->folder,
                 (uint64_t)strtoull(name, NULL, 10));
        if (fw_file_exists(path)) return;
        snprintf(path, sizeof path, "%s/%.80s", s->folder, name);
        unlink(path);
    } else if (ends_with(name, ".tmp") || ends_with(name, ".salvage")) {
        snprintf(path, sizeof path, "%s/%.120s", s->folder, name);
        unlink(path);
    }
}

/* Whole files first: salvage needs their orders and their bytes. */
static fw_status scan(fw_unit_spool *s, fw_error *error) {
    DIR *folder = opendir(s->folder);
    if (!folder) return fw_fail_errno(error, "cannot open folder %s", s->folder);
    for (struct dirent *entry; (entry = readdir(folder));) take_up(s, entry->d_name);
    s->refused_bytes = fw_folder_size_bytes(s->refused);
    (void)fw_unit_spool_keep_quota(s, UINT32_MAX);
    rewinddir(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (ends_with(entry->d_name, ".mcap.part") && !is_open(s, entry->d_name))
            fw_unit_spool_salvage_left(s, strtoull(entry->d_name, NULL, 10));
    closedir(folder);
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
    for (int i = 0; i < FW_UNIT_STREAM_COUNT; i++) s->parts[i].fd = -1;
    s->next_order = 1;
    s->synced_ns = fw_env_mono_ns(config->env);
    pthread_mutex_init(&s->lock, NULL);
    snprintf(s->folder, sizeof s->folder, "%s/spool", config->data_folder);
    snprintf(s->refused, sizeof s->refused, "%s/refused", s->folder);
    fw_status status = fw_folder_make(s->refused, 0755, error);
    fw_unit_spent_load(shared, config->data_folder);
    if (status == FW_OK) fw_unit_spool_reopen_parts(s);
    if (status == FW_OK) status = scan(s, error);
    if (status != FW_OK) {
        fw_unit_spool_close(s);
        return status;
    }
    *out = s;
    return FW_OK;
}

void fw_unit_spool_close(fw_unit_spool *s) {
    if (!s) return;
    for (int i = 0; i < FW_UNIT_STREAM_COUNT; i++)
        if (s->parts[i].fd >= 0) close(s->parts[i].fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- uploading ---- */

static bool waits(const fw_unit_spooled *f, uint32_t value_min) {
    return !f->held && f->value >= value_min;
}

bool fw_unit_spool_next(fw_unit_spool *s, int64_t now_ns, uint32_t value_min,
                        fw_unit_spooled *out) {
    const fw_unit_spooled *best = NULL;
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < s->count; i++) {
        const fw_unit_spooled *f = &s->files[i];
        if (waits(f, value_min) && f->not_before_ns <= now_ns && (!best || f->value > best->value))
            best = f;
    }
    if (best) *out = *best;
    if (best) s->sending = best->hash;
    pthread_mutex_unlock(&s->lock);
    return best != NULL;
}

int64_t fw_unit_spool_next_ns(fw_unit_spool *s, uint32_t value_min) {
    int64_t soonest_ns = INT64_MAX;
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < s->count; i++)
        if (waits(&s->files[i], value_min) && s->files[i].not_before_ns < soonest_ns)
            soonest_ns = s->files[i].not_before_ns;
    pthread_mutex_unlock(&s->lock);
    return soonest_ns;
}

uint32_t fw_unit_spool_count(fw_unit_spool *s) {
    uint32_t count = 0;
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < s->count; i++) count += !s->files[i].held;
    pthread_mutex_unlock(&s->lock);
    return count;
}

void fw_unit_spool_delay(fw_unit_spool *s, const fw_hash *hash, int64_t now_ns, uint32_t first_ms,
                         uint32_t most_ms) {
    pthread_mutex_lock(&s->lock);
    int at = list_find(s, hash);
    if (at >= 0) {
        fw_unit_spooled *f = &s->files[at];
        f->wait_ms = f->wait_ms == 0 ? first_ms : 2 * f->wait_ms;
        if (f->wait_ms < first_ms) f->wait_ms = first_ms;
        if (f->wait_ms > most_ms) f->wait_ms = most_ms;
        f->not_before_ns = now_ns + (int64_t)f->wait_ms * 1000000;
    }
    pthread_mutex_unlock(&s->lock);
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

void fw_unit_spool_missing(fw_unit_spool *s, const fw_hash *hash) {
    fw_unit_spooled file;
    pthread_mutex_lock(&s->lock);
    if (take_out(s, hash, &file)) { /* not evicted: somebody else took it away */
        fw_unit_lose(s->shared, FW_UNIT_LOSS_DISK, file.size_bytes);
        fw_log_error("unit %u: recording %.12s is gone from the spool", s->config.unit, hash->hex);
        unlink_pair(s, hash);
    }
    publish(s);
    pthread_mutex_unlock(&s->lock);
}

/* The file goes to refused/, its reason beside it. */
static void set_aside(fw_unit_spool *s, const fw_unit_spooled *file, const char *reason) {
    char from[FW_PATH_MAX], to[FW_PATH_MAX];
    fw_error error;
    fw_unit_spool_path(s, &file->hash, from);
    snprintf(to, sizeof to, "%s/%.64s.mcap", s->refused, file->hash.hex);
    if (s->config.env->rename(s->config.env->self, from, to) != 0)
        fw_log_error("unit %u: cannot set %.12s aside: %s", s->config.unit, file->hash.hex,
                     strerror(errno));
    snprintf(to, sizeof to, "%s/%.64s.reason", s->refused, file->hash.hex);
    if (fw_file_write_durable(s->config.env, to, reason, strlen(reason), &error) != FW_OK)
        fw_log_error("unit %u: %s", s->config.unit, error.text);
    s->refused_bytes += file->size_bytes;
    fw_unit_sidecar_path(s, &file->hash, from);
    unlink(from);
}

void fw_unit_spool_refuse(fw_unit_spool *s, const fw_hash *hash, const char *reason) {
    fw_unit_spooled file;
    pthread_mutex_lock(&s->lock);
    if (take_out(s, hash, &file)) {
        if (s->refused_seen++ >= REFUSED_MAX) drop_refused(s);
        set_aside(s, &file, reason);
        fw_log_error("unit %u: the factory refused recording %.12s, kept in spool/refused: %s",
                     s->config.unit, hash->hex, reason);
    }
    (void)fw_unit_spool_keep_quota(s, UINT32_MAX);
    pthread_mutex_unlock(&s->lock);
}
