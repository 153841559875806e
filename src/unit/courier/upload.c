/* upload.c - recordings to the factory, one a round (courier.h). */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "unit/courier/courier_state.h"

enum {
    HEAD_FIRST_BYTES = 4 << 20, /* larger recordings ask for the offset before they send */
    RETRY_MIN_MS = 250,
    RETRY_MAX_MS = 5000,
    DENIED_MIN_MS = 5000,
    DENIED_MAX_MS = 300000,
};

/* ---- when ---- */

bool fw_unit_is_quiet(const fw_unit_courier *c) {
    uint32_t from = c->config.quiet_from_min, to = c->config.quiet_to_min;
    struct tm local;
    time_t now = (time_t)(fw_env_wall_ns(c->config.env) / 1000000000);
    if (from == to || !localtime_r(&now, &local)) return false;
    uint32_t minute = (uint32_t)(local.tm_hour * 60 + local.tm_min);
    return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}

static uint32_t value_min(const fw_unit_courier *c) {
    return fw_unit_is_quiet(c) ? FW_UNIT_VALUE_CAPTURE + FW_UNIT_QUIET_PRIORITY : 0;
}

int64_t fw_unit_upload_due_ns(fw_unit_courier *c) {
    int64_t due_ns = fw_unit_spool_next_ns(c->spool, value_min(c));
    if (due_ns == INT64_MAX) return due_ns;
    if (due_ns < c->uploads.not_before_ns) due_ns = c->uploads.not_before_ns;
    return due_ns < c->rate_free_ns ? c->rate_free_ns : due_ns;
}

/* ---- calls ---- */

static void object_url(const fw_unit_courier *c, const fw_hash *hash, char out[400]) {
    snprintf(out, 400, "%s/v1/objects/%s", c->config.factory, hash->hex);
}

/* How many bytes the factory has, when it says so (*status 200 or 202); the last byte is always sent
 * again, for the receipt. */
static fw_status ask_offset(fw_unit_courier *c, const fw_unit_spooled *file, uint64_t *offset,
                            int *status, fw_error *error) {
    char url[400];
    fw_http_reply reply;
    object_url(c, &file->hash, url);
    fw_http_call call = {.method = "HEAD", .url = url};
    FW_TRY(fw_unit_upload_call(c, &call, &reply, error));
    *status = reply.status;
    *offset = 0;
    if (reply.status / 100 == 2 && reply.upload_offset > 0) {
        uint64_t have = (uint64_t)reply.upload_offset;
        *offset = have < file->size_bytes ? have : file->size_bytes - 1;
    }
    fw_status result = reply.status >= 500
                           ? fw_fail(error, FW_IO, "the factory answered %d", reply.status)
                           : FW_OK;
    fw_unit_clear_reply(&reply);
    return result;
}

/* Where the recording began and where it is sent, on the unit's clocks (docs/formats/http.md); false
 * when they are not known. Another boot's monotonic clock says nothing: then it is left out. */
static bool clock_header(const fw_unit_courier *c, const fw_unit_spooled *file, char out[320]) {
    char sent[64] = "";
    if (!file->boot[0] || file->mono_ns < 0 || file->wall_ns < 0) return false;
    if (strcmp(file->boot, c->shared->boot) == 0)
        snprintf(sent, sizeof sent, " sent-mono=%" PRId64 ";", fw_env_mono_ns(c->config.env));
    snprintf(out, 320,
             "Flywheel-Clock: boot=%s; start-mono=%" PRId64 "; start-wall=%" PRId64
             ";%s sent-wall=%" PRId64,
             file->boot, file->mono_ns, file->wall_ns, sent, fw_env_wall_ns(c->config.env));
    return true;
}

static int timeout_ms(const fw_unit_courier *c, uint64_t size_bytes) {
    uint64_t rate = c->config.upload_rate_bytes_per_s, ms = c->config.upload_timeout_ms;
    if (rate > 0) ms += size_bytes / rate * 2000;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

static fw_status put(fw_unit_courier *c, const fw_unit_spooled *file, uint64_t offset,
                     fw_http_reply *reply, fw_error *error) {
    char url[400], path[FW_PATH_MAX], unit[48], range[96], clock[320];
    object_url(c, &file->hash, url);
    fw_unit_spool_path(c->spool, &file->hash, path);
    snprintf(unit, sizeof unit, "Flywheel-Unit: %u", c->config.unit);
    snprintf(range, sizeof range, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, offset,
             file->size_bytes - 1, file->size_bytes);
    bool clocked = clock_header(c, file, clock);
    const char *const headers[] = {unit, "Flywheel-Kind: recording", range,
                                   clocked ? clock : NULL, NULL};
    uint64_t rate = c->config.upload_rate_bytes_per_s, left = file->size_bytes - offset;
    fw_http_call call = {.method = "PUT", .url = url, .headers = headers, .body_path = path,
                         .body_offset = offset, .timeout_ms = timeout_ms(c, left),
                         .rate_bytes_per_s = rate};
    if (rate > 0) {
        int64_t now_ns = fw_unit_now_ns(c);
        c->rate_free_ns = now_ns + (int64_t)((double)left / (double)rate * 1e9);
    }
    return fw_unit_upload_call(c, &call, reply, error);
}

static bool receipt_matches(const fw_http_reply *reply, const fw_unit_spooled *file) {
    json_t *json = fw_unit_reply_json(reply);
    const json_t *size = json_object_get(json, "size_bytes");
    const char *hash = json_string_value(json_object_get(json, "sha256"));
    bool matches = hash && strcmp(hash, file->hash.hex) == 0 && json_is_integer(size) &&
                   (uint64_t)json_integer_value(size) == file->size_bytes &&
                   json_is_integer(json_object_get(json, "server_time_ns")) &&
                   json_is_integer(json_object_get(json, "sequence"));
    json_decref(json);
    return matches;
}

/* ---- what follows ---- */

/* It may take them another day: who sends them, or something around them, is what it minds. */
static bool denies(int status) {
    return status / 100 == 4 && status != 408 && status != 409 && status != 429;
}

static void retry(fw_unit_courier *c, const fw_unit_spooled *file, const char *what, int status,
                  int retry_after_s, const char *why) {
    bool denied = denies(status);
    c->ask_offset = true;
    fw_unit_spool_delay(c->spool, &file->hash, fw_unit_now_ns(c),
                        denied ? DENIED_MIN_MS : RETRY_MIN_MS, denied ? DENIED_MAX_MS : RETRY_MAX_MS);
    fw_unit_failed(c, &c->uploads, what, retry_after_s, why);
}

/* What follows from an answer to PUT. */
static void settle(fw_unit_courier *c, const fw_unit_spooled *file, const fw_http_reply *reply) {
    char reason[400];
    bool taken = reply->status / 100 == 2;
    if (taken && receipt_matches(reply, file)) {
        fw_unit_succeeded(c, &c->uploads, "uploading");
        fw_unit_spool_remove(c->spool, &file->hash);
        c->ask_offset = false;
        fw_unit_wake(c->shared->net_wake); /* a report is due when nothing waits any more */
        return;
    }
    fw_unit_reason_of(reply, reason, sizeof reason);
    if (fw_unit_condemns(reply)) {
        fw_unit_spool_refuse(c->spool, &file->hash, reason);
        return;
    }
    retry(c, file, taken ? "uploading: no matching receipt" : "uploading", reply->status,
          reply->retry_after_s, reason);
}

void fw_unit_upload(fw_unit_courier *c) {
    fw_unit_spooled file;
    fw_http_reply reply = {.upload_offset = -1};
    fw_error error;
    uint64_t offset = 0;
    int asked = 200;
    fw_status status = FW_OK;
    int64_t now_ns = fw_unit_now_ns(c);
    if (!fw_unit_may_try(c, &c->uploads) || now_ns < c->rate_free_ns) return;
    if (!fw_unit_spool_next(c->spool, now_ns, value_min(c), &file)) return;
    if (file.size_bytes == 0) {
        fw_unit_spool_refuse(c->spool, &file.hash, "the file is empty");
        return;
    }
    if (c->ask_offset || file.size_bytes > HEAD_FIRST_BYTES)
        status = ask_offset(c, &file, &offset, &asked, &error);
    if (status == FW_OK && denies(asked) && asked != 404 && asked != 410) {
        snprintf(error.text, sizeof error.text, "HTTP %d to HEAD", asked);
        retry(c, &file, "uploading", asked, 0, error.text);
        return;
    }
    if (status == FW_OK) status = put(c, &file, offset, &reply, &error);
    if (status == FW_OK) {
        settle(c, &file, &reply);
    } else if (status == FW_NOT_FOUND) {
        fw_unit_spool_missing(c->spool, &file.hash);
    } else {
        retry(c, &file, "uploading", 0, 0, error.text);
    }
    fw_unit_clear_reply(&reply);
}
