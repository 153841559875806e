#include "factory/records/records.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "factory/records/records_store.h"

/* A batch in the group's queue, on its connection's stack. */
typedef struct item {
    fw_group_item group; /* first */
    fw_records_stream *stream; /* NULL: no batch; the segment is to end behind this group */
    fw_records_frame frame; /* what is left of it after the repeats; sequence, time: the leader's */
    fw_status status;
    fw_error error;
} item;

void fw_records_path(const fw_records *r, uint64_t number, char out[FW_RECORDS_PATH]) {
    snprintf(out, FW_RECORDS_PATH, "%s/%08" PRIu64 ".fwr", r->folder, number);
}

fw_status fw_records_add_file(fw_records *r, const fw_records_file *file, fw_error *error) {
    if (r->file_count == r->file_room) {
        uint32_t room = r->file_room ? 2 * r->file_room : 16;
        fw_records_file *grown = realloc(r->files, room * sizeof *grown);
        if (!grown) return fw_fail(error, FW_NO_MEMORY, "no memory for a segment of records");
        r->files = grown;
        r->file_room = room;
    }
    r->files[r->file_count++] = *file;
    return FW_OK;
}

/* ---- the leader: one group, one write, one flush ---- */

static size_t group_bytes(const fw_group_item *items) {
    size_t bytes = 0;
    for (; items; items = items->next) bytes += items->weight;
    return bytes;
}

static fw_status make_buffer(fw_records *r, size_t bytes, fw_error *error) {
    if (bytes <= r->buffer_room) return FW_OK;
    uint8_t *grown = realloc(r->buffer, bytes);
    if (!grown) return fw_fail(error, FW_NO_MEMORY, "no memory to write records");
    r->buffer = grown;
    r->buffer_room = bytes;
    return FW_OK;
}

/* sealed: the last of the files that count is durable to its end on the disk. */
static void end_file(fw_records *r, bool sealed) {
    if (r->fd >= 0) close(r->fd);
    r->fd = -1;
    pthread_mutex_lock(&r->lock);
    r->active = false;
    r->sealed = sealed;
    pthread_mutex_unlock(&r->lock);
}

/* A file with a number never used before. Its header is written with the first batch. */
static fw_status begin_file(fw_records *r, fw_records_file *file, fw_error *error) {
    char path[FW_RECORDS_PATH];
    if (r->config.room) FW_TRY(r->config.room(r->config.self, r->config.segment_bytes, error));
    pthread_mutex_lock(&r->lock);
    const fw_records_file *last = r->file_count > 0 ? &r->files[r->file_count - 1] : NULL;
    *file = (fw_records_file){.header = {.number = ++r->last_number,
                                         .first_sequence = r->sequence + 1,
                                         .created_ns = fw_env_wall_ns(r->config.env),
                                         .previous_number = last ? last->header.number : 0,
                                         .previous_bytes = last ? last->bytes : 0}};
    pthread_mutex_unlock(&r->lock);
    fw_records_path(r, file->header.number, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return fw_fail_errno(error, "cannot create %s", path);
    r->fd = fd;
    return FW_OK;
}

/* Frames of the group into the buffer behind `at`; what each gets is written into it. */
static size_t encode(fw_records *r, fw_group_item *items, size_t at) {
    uint64_t sequence = r->sequence + 1; /* the leader alone moves it */
    int64_t now_ns = fw_env_wall_ns(r->config.env);
    for (; items; items = items->next) {
        item *i = (item *)items;
        if (!i->stream) continue;
        i->frame.sequence = sequence;
        i->frame.time_ns = now_ns;
        sequence += i->frame.count;
        at += fw_records_frame_write(&i->frame, r->buffer + at);
    }
    return at;
}

static fw_status write_and_flush(fw_records *r, size_t bytes, bool fresh, fw_error *error) {
    const fw_env *env = r->config.env;
    FW_TRY(fw_file_write_all(env, r->fd, r->buffer, bytes, "records", error));
    int64_t begun_ns = fw_env_mono_ns(env);
    int failed = env->fdatasync(env->self, r->fd);
    if (failed) return fw_fail_errno(error, "cannot make records durable");
    if (fresh) FW_TRY(fw_folder_sync(env, r->folder, error));
    if (r->config.metrics)
        fw_metrics_flush(r->config.metrics, fw_env_mono_ns(env) - begun_ns);
    return FW_OK;
}

/* What lies behind the last durable byte must never count: cut off if the disk lets us; the next
 * segment's header says so in any case. */
static void abandon(fw_records *r, const fw_records_file *file, bool fresh, const fw_error *error) {
    char path[FW_RECORDS_PATH];
    const fw_env *env = r->config.env;
    fw_records_path(r, file->header.number, path);
    fw_log_error("%s; %s ends at byte %" PRIu64, error->text, path, file->bytes);
    bool sealed = r->sealed; /* the leader alone changes it */
    if (fresh)
        unlink(path);
    else
        sealed = ftruncate(r->fd, (off_t)file->bytes) == 0 && env->fdatasync(env->self, r->fd) == 0;
    if (!fresh && !sealed) fw_log_warn("%s: its end could not be cut off", path);
    end_file(r, sealed);
    pthread_mutex_lock(&r->lock);
    r->failures++;
    pthread_mutex_unlock(&r->lock);
}

/* The group is durable: streams and store stand behind it. */
static fw_status settle(fw_records *r, const fw_group_item *items, fw_records_file *file,
                        size_t bytes, bool fresh, fw_error *error) {
    fw_status status = FW_OK;
    pthread_mutex_lock(&r->lock);
    if (fresh) {
        file->bytes = bytes;
        status = fw_records_add_file(r, file, error);
    } else {
        r->files[r->file_count - 1].bytes += bytes;
    }
    for (const fw_group_item *g = items; g && status == FW_OK; g = g->next) {
        const item *i = (const item *)g;
        if (!i->stream) continue;
        i->stream->next = i->frame.first + i->frame.count;
        i->stream->dirty = true;
        r->sequence += i->frame.count;
    }
    r->since_checkpoint_bytes += bytes;
    r->active = status == FW_OK;
    r->sealed = false;
    pthread_mutex_unlock(&r->lock);
    return status;
}

static fw_status commit_group(fw_records *r, fw_group_item *items, fw_error *error) {
    size_t bytes = group_bytes(items);
    fw_records_file file = {0};
    FW_TRY(make_buffer(r, bytes + FW_RECORDS_SEGMENT_HEADER, error));
    pthread_mutex_lock(&r->lock);
    if (r->fd >= 0) file = r->files[r->file_count - 1]; /* stays the last: the leader alone adds */
    pthread_mutex_unlock(&r->lock);
    if (r->fd >= 0 && file.bytes + bytes > r->config.segment_bytes) end_file(r, true);
    bool fresh = r->fd < 0;
    if (fresh) FW_TRY(begin_file(r, &file, error));
    if (fresh) fw_records_segment_write(&file.header, r->buffer);
    size_t size = encode(r, items, fresh ? FW_RECORDS_SEGMENT_HEADER : 0);
    fw_status status = write_and_flush(r, size, fresh, error);
    if (status == FW_OK) status = settle(r, items, &file, size, fresh, error);
    if (status != FW_OK) abandon(r, &file, fresh, error);
    return status;
}

static void count_group(fw_records *r, const fw_group_item *items) {
    fw_metrics *m = r->config.metrics;
    if (!m) return;
    fw_metrics_add(&m->record_commits, 1);
    for (; items; items = items->next) {
        const item *i = (const item *)items;
        if (!i->stream) continue;
        fw_metrics_add(&m->batches, 1);
        fw_metrics_add(&m->records, i->frame.count);
        fw_metrics_add(&m->record_bytes, i->frame.payload_bytes);
    }
}

static void commit(void *self, fw_group_item *items) {
    fw_records *r = self;
    fw_error error = {""};
    bool ends = false;
    fw_status status = group_bytes(items) > 0 ? commit_group(r, items, &error) : FW_OK;
    for (fw_group_item *g = items; g; g = g->next) {
        item *i = (item *)g;
        i->status = status;
        i->error = error;
        ends = ends || !i->stream;
        if (status == FW_OK && i->stream && r->config.taken)
            r->config.taken(r->config.self, &i->frame);
    }
    if (status == FW_OK && group_bytes(items) > 0) count_group(r, items);
    if (ends && r->fd >= 0) end_file(r, true);
}

fw_status fw_records_seal(fw_records *r, fw_error *error) {
    item i = {.stream = NULL};
    if (!fw_group_run(&r->group, &i.group, 0))
        return fw_fail(error, FW_BUSY, "too many records wait for the disk");
    return FW_OK;
}

/* ---- a connection's batch ---- */

/* Waits for the stream, skips what it has, and commits the rest. The stream is held. */
static fw_status append_to(fw_records *r, fw_records_stream *stream, const fw_records_batch *batch,
                           uint32_t count, fw_records_ack *ack, fw_error *error) {
    pthread_mutex_lock(&r->lock);
    while (stream->busy) pthread_cond_wait(&r->freed, &r->lock);
    uint64_t next = stream->next;
    *ack = (fw_records_ack){.next = next, .sequence = r->sequence,
                            .time_ns = fw_env_wall_ns(r->config.env)};
    bool gap = batch->first > next;
    uint64_t known = gap ? 0 : next - batch->first;
    uint32_t repeated = known < count ? (uint32_t)known : count;
    stream->busy = !gap && repeated < count;
    bool busy = stream->busy;
    pthread_mutex_unlock(&r->lock);
    if (gap)
        return fw_fail(error, FW_MISMATCH,
                       "records %" PRIu64 " to %" PRIu64 " of this stream are missing; send from "
                       "%" PRIu64,
                       next, batch->first - 1, next);
    ack->repeated = repeated;
    if (!busy) return FW_OK;
    size_t skipped = fw_records_skip(batch->payload, batch->payload_bytes, repeated);
    item i = {.stream = stream,
              .frame = {.name = batch->name,
                        .first = batch->first + repeated,
                        .count = count - repeated,
                        .payload = batch->payload + skipped,
                        .payload_bytes = (uint32_t)(batch->payload_bytes - skipped)}};
    i.frame.payload_crc = fw_records_crc(i.frame.payload, i.frame.payload_bytes);
    bool ran = fw_group_run(&r->group, &i.group, fw_records_frame_bytes(&i.frame));
    fw_status status =
        ran ? i.status : fw_fail(error, FW_BUSY, "too many records wait for the disk");
    if (ran && status != FW_OK) *error = i.error;
    if (status == FW_OK) {
        ack->next = i.frame.first + i.frame.count;
        ack->taken = i.frame.count;
        ack->sequence = i.frame.sequence + i.frame.count - 1;
        ack->time_ns = i.frame.time_ns;
    }
    pthread_mutex_lock(&r->lock);
    stream->busy = false;
    if (stream->users > 1) pthread_cond_broadcast(&r->freed);
    pthread_mutex_unlock(&r->lock);
    return status;
}

fw_status fw_records_append(fw_records *r, const fw_records_batch *batch, fw_records_ack *ack,
                            fw_error *error) {
    uint32_t count;
    fw_records_stream *stream;
    *ack = (fw_records_ack){0};
    if (batch->payload_bytes > FW_RECORDS_PAYLOAD_MAX)
        return fw_fail(error, FW_TOO_BIG, "the batch has %zu bytes, the limit is %d",
                       batch->payload_bytes, FW_RECORDS_PAYLOAD_MAX);
    if (batch->first > UINT64_MAX / 8)
        return fw_fail(error, FW_INVALID, "the batch's first sequence is out of range");
    FW_TRY(fw_records_count(batch->payload, batch->payload_bytes, &count, error));
    FW_TRY(fw_records_hold(r, &batch->name, &stream, error));
    fw_status status = append_to(r, stream, batch, count, ack, error);
    pthread_mutex_lock(&r->lock);
    fw_records_release(r, stream);
    pthread_mutex_unlock(&r->lock);
    if (status == FW_OK && r->config.metrics)
        fw_metrics_add(&r->config.metrics->records_repeated, ack->repeated);
    return status;
}

/* ---- keeping within limits ---- */

static uint64_t bytes_of(const fw_records *r) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < r->file_count; i++) bytes += r->files[i].bytes;
    if (r->active && r->files[r->file_count - 1].bytes < r->config.segment_bytes)
        bytes += r->config.segment_bytes - r->files[r->file_count - 1].bytes;
    return bytes;
}

uint64_t fw_records_bytes(fw_records *r) {
    pthread_mutex_lock(&r->lock);
    uint64_t bytes = bytes_of(r);
    pthread_mutex_unlock(&r->lock);
    return bytes;
}

fw_records_state fw_records_state_of(fw_records *r) {
    pthread_mutex_lock(&r->lock);
    fw_records_state state = {r->file_count,     bytes_of(r),      r->sequence,
                              r->stream_count,   r->damaged_bytes, r->failures};
    pthread_mutex_unlock(&r->lock);
    return state;
}

/* The oldest segment, when it is over a limit, written to no more, and in the checkpoint. The lock
 * is held. */
static bool oldest_may_go(const fw_records *r, int64_t now_ns) {
    if (r->file_count < 2 || r->files[0].header.number >= r->saved_number) return false;
    if (r->config.max_bytes > 0 && bytes_of(r) > r->config.max_bytes) return true;
    return r->config.max_age_s > 0 && /* all of it is older than the next one's beginning */
           (now_ns - r->files[1].header.created_ns) / 1000000000 > r->config.max_age_s;
}

static void retain(fw_records *r) {
    char path[FW_RECORDS_PATH];
    int64_t now_ns = fw_env_wall_ns(r->config.env);
    pthread_mutex_lock(&r->lock);
    while (oldest_may_go(r, now_ns)) {
        fw_records_path(r, r->files[0].header.number, path);
        unlink(path);
        memmove(r->files, r->files + 1, --r->file_count * sizeof *r->files);
    }
    pthread_mutex_unlock(&r->lock);
}

fw_status fw_records_tick(fw_records *r, fw_error *error) {
    int64_t now_ns = fw_env_mono_ns(r->config.env);
    pthread_mutex_lock(&r->lock);
    uint64_t fresh = r->since_checkpoint_bytes;
    pthread_mutex_unlock(&r->lock);
    bool due = fresh > 0 && (fresh >= FW_RECORDS_CHECKPOINT_BYTES ||
                             now_ns - r->checkpoint_ns >= FW_RECORDS_CHECKPOINT_S * 1000000000LL);
    if (due) {
        r->checkpoint_ns = now_ns;
        FW_TRY(fw_records_checkpoint(r, error));
    }
    retain(r);
    return FW_OK;
}

/* ---- life ---- */

fw_status fw_records_open(const fw_records_config *config, fw_records **out, fw_error *error) {
    fw_records *r = calloc(1, sizeof *r);
    if (!r) return fw_fail(error, FW_NO_MEMORY, "no memory for the records store");
    r->config = *config;
    if (r->config.segment_bytes == 0) r->config.segment_bytes = FW_RECORDS_SEGMENT_BYTES;
    r->fd = -1;
    r->checkpoint_ns = fw_env_mono_ns(config->env);
    fw_path_join(r->folder, sizeof r->folder, config->data_folder, "records");
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_init(&r->checkpoint_lock, NULL);
    pthread_cond_init(&r->freed, NULL);
    fw_group_init(&r->group, FW_RECORDS_GROUP_BYTES, FW_RECORDS_BACKLOG_BYTES, commit, r);
    fw_status status = fw_folder_make(r->folder, 0755, error);
    if (status == FW_OK) status = fw_folder_sync(config->env, config->data_folder, error);
    if (status == FW_OK) status = fw_records_load(r, error);
    if (status == FW_OK) {
        *out = r;
        return FW_OK;
    }
    r->since_checkpoint_bytes = 0; /* nothing to write down */
    fw_records_close(r);
    return status;
}

void fw_records_close(fw_records *r) {
    fw_error error;
    if (!r) return;
    if (r->since_checkpoint_bytes > 0 && fw_records_checkpoint(r, &error) != FW_OK)
        fw_log_warn("%s: the next start reads more of the records", error.text);
    end_file(r, false);
    fw_records_forget_all(r);
    fw_group_destroy(&r->group);
    pthread_mutex_destroy(&r->lock);
    pthread_mutex_destroy(&r->checkpoint_lock);
    pthread_cond_destroy(&r->freed);
    free(r->files);
    free(r->buffer);
    free(r);
}
