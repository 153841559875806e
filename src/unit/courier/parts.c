/* parts.c - from the ring to whole, named files; and what becomes of parts nobody completes (spool.h). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "unit/courier/spent.h"
#include "unit/courier/spool_state.h"

enum { MAKE_WAY_MAX = 8 }; /* files given up for one write on a full disk */

static bool is_held(const fw_unit_spool *s, fw_unit_stream stream) {
    return stream == FW_UNIT_ROUTINE && s->config.ring_max_bytes > 0;
}

/* What an open part is worth so far. */
static uint32_t part_value(const fw_unit_spool *s, fw_unit_stream stream) {
    const fw_unit_open *open = &s->shared->open[stream];
    if (open->wanted.campaign[0]) return FW_UNIT_VALUE_CAPTURE + open->wanted.priority;
    if (stream == FW_UNIT_CAPTURE) return FW_UNIT_VALUE_CAPTURE + open->begin.priority;
    if (is_held(s, stream)) return FW_UNIT_VALUE_HELD;
    return s->parts[stream].events > 0 ? FW_UNIT_VALUE_EVENTS : FW_UNIT_VALUE_ROUTINE;
}

/* False when the quota has no room for it beside files of higher value. */
static bool set_part_bytes(fw_unit_spool *s, fw_unit_stream stream, uint64_t size_bytes) {
    pthread_mutex_lock(&s->lock);
    s->parts[stream].bytes = size_bytes;
    bool fits = fw_unit_spool_keep_quota(s, part_value(s, stream));
    pthread_mutex_unlock(&s->lock);
    return fits;
}

static void unlink_part(const fw_unit_spool *s, uint64_t serial) {
    char path[FW_PATH_MAX];
    fw_unit_spool_part_path(s, serial, path);
    unlink(path);
    fw_unit_part_sidecar_path(s, serial, path);
    unlink(path);
}

/* Forgets the open recording; its file is gone or has its name. */
static void close_part(fw_unit_spool *s, fw_unit_stream stream) {
    fw_unit_part *part = &s->parts[stream];
    if (part->fd >= 0) close(part->fd);
    part->fd = -1;
    part->lost = part->dirty = false;
    part->events = 0; /* bytes: below, under the lock */
    s->shared->open[stream] = (fw_unit_open){0};
    (void)set_part_bytes(s, stream, 0);
}

/* The rest of the recording is passed over; its bytes so far are a loss. */
static void give_up_part(fw_unit_spool *s, fw_unit_stream stream, fw_unit_loss loss,
                         uint64_t size_bytes, const char *why) {
    fw_unit_part *part = &s->parts[stream];
    fw_log_error("unit %u: recording %" PRIu64 " given up: %s", s->config.unit,
                 s->shared->open[stream].serial, why);
    fw_unit_lose(s->shared, loss, size_bytes);
    unlink_part(s, s->shared->open[stream].serial); /* so a courier after this one knows it, too */
    part->lost = true;
    part->loss = loss;
    part->dirty = false;
    (void)set_part_bytes(s, stream, 0);
}

static void drop_part(fw_unit_spool *s, fw_unit_stream stream) {
    unlink_part(s, s->shared->open[stream].serial);
    close_part(s, stream);
}

/* ---- salvage ---- */

/* Makes the bytes durable under their hash's name; `from` is gone then. */
static fw_status name_file(fw_unit_spool *s, int fd, const char *from, fw_unit_spooled *file,
                           fw_error *error) {
    char to[FW_PATH_MAX];
    const fw_env *env = s->config.env;
    if (env->fdatasync(env->self, fd) != 0)
        return fw_fail_errno(error, "cannot make %s durable", from);
    FW_TRY(fw_hash_file(from, &file->hash, error));
    file->value = fw_unit_value_of(file);
    fw_status status = fw_unit_sidecar_write(s, file, error);
    for (int i = 0; status == FW_NO_SPACE && i < MAKE_WAY_MAX; i++) {
        if (!fw_unit_spool_make_way(s, file->value)) break;
        status = fw_unit_sidecar_write(s, file, error);
    }
    if (status != FW_OK) return status;
    fw_unit_spool_path(s, &file->hash, to);
    if (env->rename(env->self, from, to) == 0) return fw_folder_sync(env, s->folder, error);
    status = fw_fail_errno(error, "cannot rename %s", from);
    fw_unit_sidecar_path(s, &file->hash, to);
    unlink(to);
    return status;
}

static fw_status salvage(fw_unit_spool *s, uint64_t serial, const fw_unit_begin *begin,
                         const char *boot, fw_unit_spooled *file, fw_error *error) {
    char from[FW_PATH_MAX], path[FW_PATH_MAX];
    fw_unit_salvaged saved = {0};
    if (!s->config.salvage) return fw_fail(error, FW_UNSUPPORTED, "nothing here can salvage it");
    fw_unit_spool_part_path(s, serial, from);
    snprintf(path, sizeof path, "%s/%" PRIu64 ".salvage", s->folder, serial);
    int to = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (to < 0) return fw_fail_errno(error, "cannot create %s", path);
    fw_status status =
        s->config.salvage(s->config.env, from, to, s->config.unit, begin, &saved, error);
    if (status == FW_OK) {
        *file = (fw_unit_spooled){
            .size_bytes = saved.size_bytes, .order = fw_unit_spool_new_order(s),
            .events = saved.events, .drive = saved.drive, .first_tick = saved.first_tick,
            .ticks = saved.ticks, .priority = begin->priority, .salvaged = true,
            .first_ns = saved.first_ns, .last_ns = saved.last_ns, .mono_ns = begin->mono_ns,
            .wall_ns = begin->wall_ns, .trigger_ns = begin->trigger_ns};
        file->held = !begin->campaign[0] && is_held(s, FW_UNIT_ROUTINE);
        memcpy(file->campaign, begin->campaign, sizeof file->campaign);
        snprintf(file->boot, sizeof file->boot, "%.39s", boot);
        status = name_file(s, to, path, file, error);
    }
    close(to);
    if (status != FW_OK) unlink(path);
    return status;
}

/* What is known of a part's worth before it is read. */
static uint32_t value_of_begin(const fw_unit_spool *s, const fw_unit_begin *begin) {
    if (begin->campaign[0]) return FW_UNIT_VALUE_CAPTURE + begin->priority;
    return is_held(s, FW_UNIT_ROUTINE) ? FW_UNIT_VALUE_HELD : FW_UNIT_VALUE_ROUTINE;
}

void fw_unit_spool_salvage_part(fw_unit_spool *s, uint64_t serial, const fw_unit_begin *begin,
                                const char *boot, const char *why) {
    char path[FW_PATH_MAX];
    fw_unit_spooled file;
    fw_error error;
    fw_unit_spool_part_path(s, serial, path);
    uint64_t size = fw_unit_file_size(path), kept = 0;
    fw_status status = salvage(s, serial, begin, boot, &file, &error);
    for (int i = 0; status == FW_NO_SPACE && i < MAKE_WAY_MAX; i++) {
        if (!fw_unit_spool_make_way(s, value_of_begin(s, begin))) break;
        status = salvage(s, serial, begin, boot, &file, &error);
    }
    if (status == FW_OK) {
        kept = file.size_bytes;
        fw_log_warn("unit %u: %s: %u ticks of recording %" PRIu64 " saved as %.12s", s->config.unit,
                    why, file.ticks, serial, file.hash.hex);
        atomic_fetch_add(&s->shared->salvaged, 1);
        fw_unit_spool_add(s, &file);
        fw_unit_spool_wake(s);
    } else {
        fw_log_warn("unit %u: %s: recording %" PRIu64 " (%" PRIu64 " bytes) is lost: %s",
                    s->config.unit, why, serial, size, error.text);
    }
    if (size > kept) fw_unit_lose(s->shared, FW_UNIT_LOSS_CUT, size - kept);
    unlink_part(s, serial);
}

void fw_unit_spool_salvage_left(fw_unit_spool *s, uint64_t serial) {
    fw_unit_begin begin = {.campaign = ""};
    char boot[FW_UNIT_BOOT_MAX] = "";
    fw_unit_part_sidecar_read(s, serial, &begin, boot);
    fw_unit_spool_salvage_part(s, serial, &begin, boot, "the unit stopped without a word");
}

/* The open recording will get no END. */
static void abandon(fw_unit_spool *s, fw_unit_stream stream, const char *why) {
    fw_unit_open *open = &s->shared->open[stream];
    if (open->serial == 0) return;
    if (s->parts[stream].lost) {
        drop_part(s, stream);
        return;
    }
    fw_unit_spool_salvage_part(s, open->serial, &open->begin, s->shared->boot, why);
    close_part(s, stream);
}

/* ---- pieces ---- */

/* Opens the part of `serial`; `create`: O_CREAT or 0. */
static fw_status open_part(fw_unit_spool *s, fw_unit_stream stream, uint64_t serial, int create,
                           fw_error *error) {
    char path[FW_PATH_MAX];
    fw_unit_part *part = &s->parts[stream];
    fw_unit_spool_part_path(s, serial, path);
    part->fd = open(path, O_RDWR | create | O_CLOEXEC, 0644);
    return part->fd >= 0 ? FW_OK : fw_fail_errno(error, "cannot open %s", path);
}

void fw_unit_spool_reopen_parts(fw_unit_spool *s) {
    fw_error error;
    for (int i = 0; i < FW_UNIT_STREAM_COUNT; i++) {
        uint64_t serial = s->shared->open[i].serial;
        char path[FW_PATH_MAX];
        if (serial == 0 || open_part(s, (fw_unit_stream)i, serial, 0, &error) != FW_OK) continue;
        fw_unit_spool_part_path(s, serial, path);
        s->parts[i].dirty = true; /* whoever wrote it may not have got to its fdatasync */
        (void)set_part_bytes(s, (fw_unit_stream)i, fw_unit_file_size(path));
    }
}

static void take_begin(fw_unit_spool *s, const fw_unit_piece *piece) {
    fw_unit_stream stream = (fw_unit_stream)piece->stream;
    fw_unit_open *open = &s->shared->open[stream];
    fw_error error;
    if (open->serial != 0 && open->serial != piece->serial)
        abandon(s, stream, "the tick process died or ran out of ring");
    fw_unit_begin begin = {.campaign = ""};
    if (piece->size_bytes == sizeof begin) memcpy(&begin, s->piece, sizeof begin);
    open->begin = begin;
    open->serial = piece->serial;
    if (s->parts[stream].fd < 0 && open_part(s, stream, piece->serial, O_CREAT, &error) != FW_OK) {
        fw_log_error("unit %u: %s", s->config.unit, error.text);
        s->parts[stream].lost = true;
        s->parts[stream].loss = FW_UNIT_LOSS_DISK;
    } else if (fw_unit_part_sidecar_write(s, piece->serial, &begin, &error) != FW_OK) {
        fw_log_warn("unit %u: %s", s->config.unit, error.text); /* a salvage would miss it */
    }
}

/* After a restart of the courier: the part that was open. It is missing when the one before died
 * between giving it its name and forgetting it: then only its END comes again. */
static void find_part(fw_unit_spool *s, const fw_unit_piece *piece) {
    fw_unit_stream stream = (fw_unit_stream)piece->stream;
    fw_unit_part *part = &s->parts[stream];
    fw_error error;
    if (part->fd >= 0 || part->lost || s->shared->open[stream].serial != piece->serial) return;
    if (open_part(s, stream, piece->serial, 0, &error) == FW_OK) return;
    part->lost = true;
    part->loss = FW_UNIT_LOSS_DISK;
}

static fw_status write_at(fw_unit_spool *s, int fd, uint64_t offset, size_t size_bytes,
                          fw_error *error) {
    if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
        return fw_fail_errno(error, "cannot seek in a recording");
    return fw_file_write_all(s->config.env, fd, s->piece, size_bytes, "a recording", error);
}

/* On a full disk, less valuable files give way. */
static fw_status write_or_make_way(fw_unit_spool *s, const fw_unit_piece *piece, fw_error *error) {
    fw_unit_stream stream = (fw_unit_stream)piece->stream;
    int fd = s->parts[stream].fd;
    fw_status status = write_at(s, fd, piece->offset, piece->size_bytes, error);
    for (int i = 0; status == FW_NO_SPACE && i < MAKE_WAY_MAX; i++) {
        if (!fw_unit_spool_make_way(s, part_value(s, stream))) break;
        status = write_at(s, fd, piece->offset, piece->size_bytes, error);
    }
    return status;
}

/* Makes room beside whole files; then at the cost of the other open part, if that is worth less. */
static bool claim_bytes(fw_unit_spool *s, fw_unit_stream stream, uint64_t size_bytes) {
    fw_unit_stream other = stream == FW_UNIT_ROUTINE ? FW_UNIT_CAPTURE : FW_UNIT_ROUTINE;
    if (set_part_bytes(s, stream, size_bytes)) return true;
    uint64_t bytes = s->parts[other].bytes;
    if (bytes == 0 || part_value(s, other) >= part_value(s, stream)) return false;
    give_up_part(s, other, FW_UNIT_LOSS_EVICTED, bytes, "the spool is full of better things");
    return set_part_bytes(s, stream, size_bytes);
}

static void take_bytes(fw_unit_spool *s, const fw_unit_piece *piece) {
    fw_unit_stream stream = (fw_unit_stream)piece->stream;
    fw_unit_part *part = &s->parts[stream];
    fw_error error;
    uint64_t size = piece->offset + piece->size_bytes;
    if (s->shared->open[stream].serial != piece->serial) return;
    if (part->lost) {
        fw_unit_lose(s->shared, part->loss, piece->size_bytes);
        return;
    }
    part->events = piece->events;
    if (size > s->config.max_bytes) {
        give_up_part(s, stream, FW_UNIT_LOSS_EVICTED, size, "larger than the whole spool");
    } else if (!claim_bytes(s, stream, size)) {
        give_up_part(s, stream, FW_UNIT_LOSS_EVICTED, size, "the spool is full of better things");
    } else if (write_or_make_way(s, piece, &error) != FW_OK) {
        give_up_part(s, stream, FW_UNIT_LOSS_DISK, size, error.text);
    } else {
        part->dirty = true;
    }
}

/* The routine recording just ended lies in what a campaign wanted. */
static bool was_wanted(const fw_unit_open *open, const fw_unit_piece *end) {
    const fw_unit_promote *wanted = &open->wanted;
    return wanted->campaign[0] && wanted->drive == end->drive && end->first_ns < wanted->to_ns &&
           end->last_ns >= wanted->from_ns;
}

static void describe(fw_unit_spool *s, const fw_unit_piece *end, fw_unit_spooled *file) {
    fw_unit_stream stream = (fw_unit_stream)end->stream;
    const fw_unit_open *open = &s->shared->open[stream];
    const char *campaign = open->begin.campaign;
    *file = (fw_unit_spooled){
        .size_bytes = end->offset, .order = fw_unit_spool_new_order(s), .events = end->events,
        .drive = end->drive, .first_tick = end->first_tick, .ticks = end->ticks,
        .priority = open->begin.priority, .held = is_held(s, stream), .first_ns = end->first_ns,
        .last_ns = end->last_ns, .mono_ns = open->begin.mono_ns, .wall_ns = open->begin.wall_ns,
        .trigger_ns = open->begin.trigger_ns};
    if (was_wanted(open, end)) {
        campaign = open->wanted.campaign;
        file->priority = open->wanted.priority;
        file->held = false;
    }
    memcpy(file->campaign, campaign, sizeof file->campaign);
    memcpy(file->boot, s->shared->boot, sizeof file->boot);
}

static void take_end(fw_unit_spool *s, const fw_unit_piece *piece) {
    fw_unit_stream stream = (fw_unit_stream)piece->stream;
    char from[FW_PATH_MAX];
    fw_unit_spooled file;
    fw_error error;
    if (s->shared->open[stream].serial != piece->serial) return; /* done before the courier died */
    if (s->parts[stream].lost) {
        drop_part(s, stream); /* counted and logged when it was lost */
        return;
    }
    fw_unit_spool_part_path(s, piece->serial, from);
    uint64_t have = fw_unit_file_size(from);
    describe(s, piece, &file);
    fw_status status =
        have == piece->offset
            ? name_file(s, s->parts[stream].fd, from, &file, &error)
            : fw_fail(&error, FW_MISMATCH, "%s has %" PRIu64 " bytes, %" PRIu64 " were recorded",
                      from, have, piece->offset);
    if (status != FW_OK) {
        give_up_part(s, stream, FW_UNIT_LOSS_DISK, have, error.text);
        drop_part(s, stream);
        return;
    }
    pthread_mutex_lock(&s->lock);
    s->parts[stream].bytes = 0;
    pthread_mutex_unlock(&s->lock);
    if (stream == FW_UNIT_CAPTURE)
        fw_unit_spent_add(s->shared, s->config.env, s->config.data_folder, file.campaign, file.size_bytes);
    fw_unit_spool_add(s, &file);
    unlink_part(s, piece->serial); /* its sidecar */
    close_part(s, stream);
    fw_unit_spool_wake(s);
}

static void take_promote(fw_unit_spool *s, const fw_unit_piece *piece) {
    fw_unit_promote wanted;
    fw_unit_open *open = &s->shared->open[FW_UNIT_ROUTINE];
    FW_ASSERT(piece->size_bytes == sizeof wanted);
    memcpy(&wanted, s->piece, sizeof wanted);
    if (s->config.ring_max_bytes == 0) return; /* everything is uploaded anyway */
    fw_unit_spool_promote(s, &wanted);
    if (open->serial != 0 && wanted.priority >= open->wanted.priority) open->wanted = wanted;
}

static void take_piece(fw_unit_spool *s, const fw_unit_piece *piece) {
    FW_ASSERT(piece->stream < FW_UNIT_STREAM_COUNT);
    FW_ASSERT(piece->kind >= FW_UNIT_PIECE_BEGIN && piece->kind <= FW_UNIT_PIECE_PROMOTE);
    fw_unit_stream stream = (fw_unit_stream)piece->stream;
    if (piece->kind != FW_UNIT_PIECE_BEGIN && piece->kind != FW_UNIT_PIECE_PROMOTE)
        find_part(s, piece);
    switch ((fw_unit_piece_kind)piece->kind) {
    case FW_UNIT_PIECE_BEGIN: take_begin(s, piece); break;
    case FW_UNIT_PIECE_BYTES: take_bytes(s, piece); break;
    case FW_UNIT_PIECE_END: take_end(s, piece); break;
    case FW_UNIT_PIECE_PROMOTE: take_promote(s, piece); break;
    case FW_UNIT_PIECE_DROP:
        if (s->shared->open[stream].serial == piece->serial) drop_part(s, stream);
        break;
    case FW_UNIT_PIECE_CUT:
        if (s->shared->open[stream].serial == piece->serial)
            abandon(s, stream, "the ring between tick and courier was full");
        break;
    }
}

/* ---- draining ---- */

/* Makes what open parts hold durable, every FW_UNIT_SYNC_MS. */
static void sync_parts(fw_unit_spool *s) {
    const fw_env *env = s->config.env;
    int64_t now_ns = fw_env_mono_ns(env);
    if (now_ns - s->synced_ns < (int64_t)FW_UNIT_SYNC_MS * 1000000) return;
    s->synced_ns = now_ns;
    for (int i = 0; i < FW_UNIT_STREAM_COUNT; i++) {
        fw_unit_part *part = &s->parts[i];
        if (!part->dirty || part->lost || part->fd < 0) continue;
        part->dirty = false;
        if (env->fdatasync(env->self, part->fd) != 0)
            give_up_part(s, (fw_unit_stream)i, FW_UNIT_LOSS_DISK, part->bytes,
                         "the disk did not make it durable");
    }
}

bool fw_unit_spool_drain(fw_unit_spool *s) {
    fw_unit_piece piece;
    bool any = false;
    while (fw_unit_ring_peek(&s->shared->ring, &piece, s->piece)) {
        take_piece(s, &piece);
        fw_unit_ring_pop(&s->shared->ring, &piece);
        sync_parts(s);
        any = true;
    }
    sync_parts(s);
    return any;
}

void fw_unit_spool_finish(fw_unit_spool *s) {
    for (int i = 0; i < FW_UNIT_STREAM_COUNT; i++)
        abandon(s, (fw_unit_stream)i, "the unit stopped inside it");
}
