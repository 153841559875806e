/* records_erase.c - one unit's records out of the store, for good (records.h).
 *
 *   seal --> checkpoint --> each segment with batches of the unit: copy without them, flush, rename
 *
 * The checkpoint stands behind all segments there are, so that whatever a crash leaves of the rest,
 * the next start reads none of them to know where the streams stand.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "factory/records/records_store.h"

typedef struct copy {
    const fw_env *env;
    const char *unit;
    int fd; /* -1: only looking */
    bool found;
    uint64_t bytes;
    uint8_t *buffer; /* (FW_RECORDS_FRAME_MAX) */
    fw_status status;
    fw_error *error;
} copy;

static bool look_for(void *self, const fw_records_frame *frame, uint64_t at) {
    copy *c = self;
    (void)at;
    c->found = strcmp(frame->name.unit, c->unit) == 0;
    return !c->found;
}

static bool copy_frame(void *self, const fw_records_frame *frame, uint64_t at) {
    copy *c = self;
    (void)at;
    if (strcmp(frame->name.unit, c->unit) == 0) return true;
    size_t size = fw_records_frame_write(frame, c->buffer);
    c->status = fw_file_write_all(c->env, c->fd, c->buffer, size, "records", c->error);
    c->bytes += size;
    return c->status == FW_OK;
}

/* The file's other batches into c->fd, durable. */
static fw_status copy_file(copy *c, const char *path, const fw_records_file *file,
                           fw_error *error) {
    uint8_t header[FW_RECORDS_SEGMENT_HEADER];
    const fw_records_visitor visitor = {c, copy_frame, NULL};
    uint64_t good;
    fw_records_segment_write(&file->header, header);
    c->bytes = sizeof header;
    FW_TRY(fw_file_write_all(c->env, c->fd, header, sizeof header, "records", error));
    FW_TRY(fw_records_scan(path, sizeof header, file->bytes, &visitor, &good, error));
    FW_TRY(c->status);
    if (c->env->fdatasync(c->env->self, c->fd) != 0)
        return fw_fail_errno(error, "cannot make records durable");
    return FW_OK;
}

/* The copy takes the file's place, unless it was given up under a limit meanwhile. */
static fw_status replace(fw_records *r, uint64_t number, const char *from, const char *to,
                         uint64_t bytes, fw_error *error) {
    fw_status status = FW_OK;
    pthread_mutex_lock(&r->lock);
    uint32_t i = 0;
    while (i < r->file_count && r->files[i].header.number != number) i++;
    if (i == r->file_count)
        unlink(from);
    else if (r->config.env->rename(r->config.env->self, from, to) != 0)
        status = fw_fail_errno(error, "cannot rename %s", from);
    else
        r->files[i].bytes = bytes;
    pthread_mutex_unlock(&r->lock);
    return status == FW_OK ? fw_folder_sync(r->config.env, r->folder, error) : status;
}

static fw_status erase_in(fw_records *r, copy *c, const fw_records_file *file, fw_error *error) {
    char path[FW_RECORDS_PATH], temporary[FW_RECORDS_PATH + 8];
    const fw_records_visitor visitor = {c, look_for, NULL};
    uint64_t good;
    fw_records_path(r, file->header.number, path);
    c->found = false;
    fw_status status = fw_records_scan(path, FW_RECORDS_SEGMENT_HEADER, file->bytes, &visitor,
                                       &good, error);
    if (status == FW_NOT_FOUND) return FW_OK; /* given up under a limit */
    if (status != FW_OK || !c->found) return status;
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    c->fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (c->fd < 0) return fw_fail_errno(error, "cannot create %s", temporary);
    status = copy_file(c, path, file, error);
    close(c->fd);
    if (status == FW_OK)
        status = replace(r, file->header.number, temporary, path, c->bytes, error);
    if (status != FW_OK) unlink(temporary);
    return status;
}

/* The files as they are; the caller frees the list. */
static fw_status list_files(fw_records *r, fw_records_file **files, uint32_t *count,
                            fw_error *error) {
    pthread_mutex_lock(&r->lock);
    bool stuck = !r->sealed && !r->active && r->file_count > 0;
    *count = r->active ? r->file_count - 1 : r->file_count;
    *files = malloc((*count + 1) * sizeof **files);
    if (*files && *count > 0) memcpy(*files, r->files, *count * sizeof **files);
    pthread_mutex_unlock(&r->lock);
    if (!*files) return fw_fail(error, FW_NO_MEMORY, "no memory to erase records");
    if (!stuck) return FW_OK;
    free(*files);
    return fw_fail(error, FW_IO, "the disk does not let the last segment of records end; try again "
                                 "when it takes records");
}

fw_status fw_records_erase(fw_records *r, const char *unit, fw_error *error) {
    fw_records_file *files;
    uint32_t count;
    copy c = {.env = r->config.env, .unit = unit, .fd = -1, .error = error};
    FW_TRY(fw_records_seal(r, error));
    FW_TRY(list_files(r, &files, &count, error)); /* of another thread's batch since: not the last */
    fw_status status = fw_records_checkpoint(r, error);
    c.buffer = malloc(FW_RECORDS_FRAME_MAX);
    if (status == FW_OK && !c.buffer)
        status = fw_fail(error, FW_NO_MEMORY, "no memory to erase records");
    for (uint32_t i = 0; i < count && status == FW_OK; i++)
        status = erase_in(r, &c, &files[i], error);
    free(c.buffer);
    free(files);
    return status;
}
