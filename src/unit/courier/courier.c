/* courier.c - reports, models and uploads (courier.h). */
#include "unit/courier/courier.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/random.h"
#include "unit/courier/models.h"

enum {
    WAIT_MIN_MS = 250,
    WAIT_MAX_MS = 5000,
    REPLY_MAX = 64 << 10,
    HEAD_FIRST_BYTES = 4 << 20, /* larger recordings ask for the offset before they send */
    UPLOAD_MS = 60000,
    CALL_MS = 10000,
};

/* When something may be tried again, and how long the next failure will wait. */
typedef struct backoff {
    int64_t not_before_ns;
    uint32_t wait_ms;
    bool failing;
} backoff;

struct fw_unit_courier {
    fw_unit_courier_config config;
    fw_unit_shared *shared;
    fw_unit_spool *spool;
    fw_http_client client;
    fw_unit_models models;
    fw_random random; /* spreads the fleet's retries */
    backoff reports, fetches, uploads;
    int64_t report_due_ns;
    uint64_t reported_state; /* what the last report said, mixed into one number */
    fw_hash target, bad_target; /* wanted by the factory; what could not be loaded */
    uint64_t refused_logged;
    uint64_t upload_order; /* of the recording tried last */
    bool ask_offset;       /* an upload failed: ask before sending again */
};

/* ---- waiting ---- */

static int64_t now_ns(const fw_unit_courier *c) { return fw_env_mono_ns(c->config.env); }

static bool may_try(const fw_unit_courier *c, const backoff *b) {
    return now_ns(c) >= b->not_before_ns;
}

static void succeeded(fw_unit_courier *c, backoff *b, const char *what) {
    if (b->failing) fw_log_info("unit %u: %s works again", c->config.unit, what);
    *b = (backoff){0};
}

static void failed(fw_unit_courier *c, backoff *b, const char *what, int retry_after_s,
                   const char *why) {
    if (!b->failing) fw_log_warn("unit %u: %s: %s; will try again", c->config.unit, what, why);
    b->failing = true;
    b->wait_ms = b->wait_ms == 0 ? WAIT_MIN_MS : 2 * b->wait_ms;
    if (b->wait_ms > WAIT_MAX_MS) b->wait_ms = WAIT_MAX_MS;
    int64_t ms = b->wait_ms / 2 + fw_random_below(&c->random, b->wait_ms / 2 + 1);
    if (retry_after_s > 0 && retry_after_s <= 3600 && ms < (int64_t)retry_after_s * 1000)
        ms = (int64_t)retry_after_s * 1000;
    b->not_before_ns = now_ns(c) + ms * 1000000;
}

/* ---- calls ---- */

static fw_status call_factory(fw_unit_courier *c, fw_http_call *call, fw_http_reply *reply,
                              fw_error *error) {
    *reply = (fw_http_reply){.upload_offset = -1};
    if (call->reply_max_bytes == 0) call->reply_max_bytes = REPLY_MAX;
    if (call->timeout_ms == 0) call->timeout_ms = (int)c->config.call_timeout_ms;
    return c->client.perform(c->client.self, call, reply, error);
}

static void clear_reply(fw_http_reply *reply) {
    free(reply->body);
    *reply = (fw_http_reply){.upload_offset = -1};
}

static json_t *reply_json(const fw_http_reply *reply) {
    return reply->body ? json_loadb(reply->body, reply->body_bytes, 0, NULL) : NULL;
}

/* ---- the report ---- */

typedef struct state {
    fw_hash active, staged;
    uint32_t tick, recordings;
    uint64_t spool_bytes, lost_bytes, sequence_active, sequence_refused;
} state;

static state look(fw_unit_courier *c) {
    fw_unit_shared *s = c->shared;
    state now = {0};
    uint64_t ring = fw_unit_ring_used_bytes(&s->ring); /* before the spool: bytes only move there */
    now.sequence_active = atomic_load(&s->model_active);
    now.sequence_refused = atomic_load(&s->model_refused);
    now.active = fw_unit_models_name(&c->models, now.sequence_active);
    now.staged = c->models.staged;
    now.tick = atomic_load(&s->tick);
    now.recordings = atomic_load(&s->recordings);
    now.spool_bytes = ring + atomic_load(&s->spool_bytes);
    now.lost_bytes = fw_unit_lost_bytes(s);
    return now;
}

/* Changes that are reported at once. */
static uint64_t state_mix(const state *now) {
    char text[256];
    snprintf(text, sizeof text, "%s %s %u %d %" PRIu64 " %" PRIu64, now->active.hex,
             now->staged.hex, now->recordings, now->spool_bytes > 0, now->lost_bytes,
             now->sequence_refused);
    return fw_seed_mix(1, text);
}

static char *report_text(fw_unit_courier *c, const state *now) {
    json_t *json = json_pack(
        "{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "active", now->active.hex, "staged", now->staged.hex,
        "tick", (json_int_t)now->tick, "recordings", (json_int_t)now->recordings, "spool_bytes",
        (json_int_t)now->spool_bytes, "lost_bytes", (json_int_t)now->lost_bytes, "ticks",
        (json_int_t)atomic_load(&c->shared->ticks), "vetoes",
        (json_int_t)atomic_load(&c->shared->vetoes));
    if (!now->active.hex[0]) json_object_set_new(json, "active", json_null());
    if (!now->staged.hex[0]) json_object_set_new(json, "staged", json_null());
    if (c->bad_target.hex[0])
        json_object_set_new(json, "refused", json_string(c->bad_target.hex));
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static void take_target(fw_unit_courier *c, const fw_http_reply *reply) {
    fw_hash target;
    json_t *json = reply_json(reply);
    const char *text = json_string_value(json_object_get(json, "target"));
    if (text && fw_hash_parse(text, &target, NULL) == FW_OK &&
        strcmp(target.hex, c->target.hex) != 0) {
        c->target = target;
        c->fetches = (backoff){0};
    }
    json_decref(json);
}

static void report(fw_unit_courier *c) {
    state now = look(c);
    uint64_t mix = state_mix(&now);
    if (!may_try(c, &c->reports)) return;
    if (now_ns(c) < c->report_due_ns && mix == c->reported_state) return;
    char url[300], *text = report_text(c, &now);
    snprintf(url, sizeof url, "%s/v1/units/%u/report", c->config.factory, c->config.unit);
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    fw_http_call call = {.method = "POST", .url = url, .headers = headers, .body = text,
                         .body_bytes = strlen(text)};
    fw_http_reply reply;
    fw_error error;
    fw_status status = call_factory(c, &call, &reply, &error);
    free(text);
    if (status == FW_OK && reply.status / 100 != 2)
        status = fw_fail(&error, FW_IO, "the factory answered %d", reply.status);
    if (status == FW_OK) {
        succeeded(c, &c->reports, "reporting to the factory");
        c->reported_state = mix;
        take_target(c, &reply);
    } else {
        failed(c, &c->reports, "reporting to the factory", reply.retry_after_s, error.text);
    }
    c->report_due_ns = now_ns(c) + (int64_t)FW_UNIT_REPORT_MS * 1000000;
    clear_reply(&reply);
}

/* ---- models ---- */

/* The target's bytes, from DIR/models or from the factory. */
static fw_status get_model(fw_unit_courier *c, char **bytes, size_t *size_bytes, int *retry_after_s,
                           fw_error *error) {
    char url[400];
    fw_http_reply reply;
    if (fw_unit_models_find(&c->models, &c->target, bytes, size_bytes, error) == FW_OK)
        return FW_OK;
    snprintf(url, sizeof url, "%s/v1/objects/%s", c->config.factory, c->target.hex);
    fw_http_call call = {.method = "GET", .url = url, .reply_max_bytes = FW_UNIT_MODEL_FILE_MAX};
    FW_TRY(call_factory(c, &call, &reply, error));
    if (reply.status != 200) {
        *retry_after_s = reply.retry_after_s;
        fw_status status = fw_fail(error, FW_IO, "the factory answered %d for model %.12s",
                                   reply.status, c->target.hex);
        clear_reply(&reply);
        return status;
    }
    *bytes = reply.body;
    *size_bytes = reply.body_bytes;
    return FW_OK;
}

static void fetch(fw_unit_courier *c) {
    char *bytes = NULL;
    size_t size = 0;
    int retry_after_s = 0;
    fw_error error;
    if (!c->target.hex[0] || strcmp(c->target.hex, c->models.staged.hex) == 0) return;
    if (strcmp(c->target.hex, c->bad_target.hex) == 0 || !may_try(c, &c->fetches)) return;
    fw_status status = get_model(c, &bytes, &size, &retry_after_s, &error);
    if (status == FW_OK)
        status = fw_unit_models_stage(&c->models, &c->target, bytes, size, &error);
    free(bytes);
    if (status == FW_OK) {
        succeeded(c, &c->fetches, "fetching the model");
        fw_log_info("unit %u: staged model %.12s", c->config.unit, c->target.hex);
    } else if (status == FW_CORRUPT || status == FW_UNSUPPORTED || status == FW_INVALID) {
        c->bad_target = c->target; /* the right bytes, but no model for this unit */
        fw_log_error("unit %u: model %.12s refused, the one before stays: %s", c->config.unit,
                     c->target.hex, error.text);
    } else {
        failed(c, &c->fetches, "fetching the model", retry_after_s, error.text);
    }
    c->report_due_ns = 0;
}

/* The tick refused what it found in the slot: say so once. */
static void notice_refusal(fw_unit_courier *c) {
    uint64_t refused = atomic_load(&c->shared->model_refused);
    if (refused == 0 || refused == c->refused_logged) return;
    c->refused_logged = refused;
    c->bad_target = fw_unit_models_name(&c->models, refused);
    c->models.staged = fw_unit_models_name(&c->models, atomic_load(&c->shared->model_active));
    c->report_due_ns = 0;
}

/* ---- uploads ---- */

static void object_url(const fw_unit_courier *c, const fw_hash *hash, char out[400]) {
    snprintf(out, 400, "%s/v1/objects/%s", c->config.factory, hash->hex);
}

/* How many bytes the factory has; the last byte is always sent again, for the receipt. */
static fw_status ask_offset(fw_unit_courier *c, const fw_unit_spooled *file, uint64_t *offset,
                            fw_error *error) {
    char url[400];
    fw_http_reply reply;
    object_url(c, &file->hash, url);
    fw_http_call call = {.method = "HEAD", .url = url};
    FW_TRY(call_factory(c, &call, &reply, error));
    *offset = 0;
    if (reply.status / 100 == 2 && reply.upload_offset > 0) {
        uint64_t have = (uint64_t)reply.upload_offset;
        *offset = have < file->size_bytes ? have : file->size_bytes - 1;
    }
    fw_status status = reply.status >= 500
                           ? fw_fail(error, FW_IO, "the factory answered %d", reply.status)
                           : FW_OK;
    clear_reply(&reply);
    return status;
}

static fw_status put(fw_unit_courier *c, const fw_unit_spooled *file, uint64_t offset,
                     fw_http_reply *reply, fw_error *error) {
    char url[400], path[FW_PATH_MAX], unit[48], range[96];
    object_url(c, &file->hash, url);
    fw_unit_spool_path(c->spool, &file->hash, path);
    snprintf(unit, sizeof unit, "Flywheel-Unit: %u", c->config.unit);
    snprintf(range, sizeof range, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, offset,
             file->size_bytes - 1, file->size_bytes);
    const char *const headers[] = {unit, "Flywheel-Kind: recording", range, NULL};
    fw_http_call call = {.method = "PUT", .url = url, .headers = headers, .body_path = path,
                         .body_offset = offset, .timeout_ms = (int)c->config.upload_timeout_ms};
    return call_factory(c, &call, reply, error);
}

static bool receipt_matches(const fw_http_reply *reply, const fw_unit_spooled *file) {
    json_t *json = reply_json(reply);
    const json_t *size = json_object_get(json, "size_bytes");
    const char *hash = json_string_value(json_object_get(json, "sha256"));
    bool matches = hash && strcmp(hash, file->hash.hex) == 0 && json_is_integer(size) &&
                   (uint64_t)json_integer_value(size) == file->size_bytes &&
                   json_is_integer(json_object_get(json, "server_time_ns")) &&
                   json_is_integer(json_object_get(json, "sequence"));
    json_decref(json);
    return matches;
}

/* The factory's own words, one line. */
static void reason_of(const fw_http_reply *reply, char *out, size_t out_size) {
    json_t *json = reply_json(reply);
    const char *text = json_string_value(json_object_get(json, "error"));
    snprintf(out, out_size, "HTTP %d: %.300s", reply->status, text ? text : "no reason given");
    for (char *at = out; *at; at++)
        if ((unsigned char)*at < 32) *at = ' ';
    json_decref(json);
}

static bool is_refusal(int status) {
    return status / 100 == 4 && status != 408 && status != 409 && status != 429;
}

/* What follows from an answer to PUT. */
static void settle(fw_unit_courier *c, const fw_unit_spooled *file, const fw_http_reply *reply) {
    char reason[400];
    if (reply->status / 100 == 2 && receipt_matches(reply, file)) {
        succeeded(c, &c->uploads, "uploading");
        fw_unit_spool_remove(c->spool, &file->hash);
        c->ask_offset = false;
        return;
    }
    reason_of(reply, reason, sizeof reason);
    if (is_refusal(reply->status)) {
        fw_unit_spool_refuse(c->spool, &file->hash, reason);
        return;
    }
    c->ask_offset = true;
    failed(c, &c->uploads, reply->status / 100 == 2 ? "uploading: no matching receipt" : "uploading",
           reply->retry_after_s, reason);
}

static void upload(fw_unit_courier *c) {
    fw_unit_spooled file;
    fw_http_reply reply = {.upload_offset = -1};
    fw_error error;
    uint64_t offset = 0;
    fw_status status = FW_OK;
    if (!may_try(c, &c->uploads)) return;
    if (!fw_unit_spool_next(c->spool, c->upload_order, &file)) return;
    c->upload_order = file.order;
    if (file.size_bytes == 0) {
        fw_unit_spool_refuse(c->spool, &file.hash, "the file is empty");
        return;
    }
    if (c->ask_offset || file.size_bytes > HEAD_FIRST_BYTES)
        status = ask_offset(c, &file, &offset, &error);
    if (status == FW_OK) status = put(c, &file, offset, &reply, &error);
    if (status == FW_OK) {
        settle(c, &file, &reply);
    } else if (status == FW_NOT_FOUND) { /* evicted meanwhile */
        fw_unit_spool_remove(c->spool, &file.hash);
    } else {
        c->ask_offset = true;
        failed(c, &c->uploads, "uploading", 0, error.text);
    }
    clear_reply(&reply);
}

/* ---- the whole ---- */

fw_status fw_unit_courier_open(const fw_unit_courier_config *config, fw_unit_shared *shared,
                               fw_unit_spool *spool, const fw_http_client *client,
                               fw_unit_courier **out, fw_error *error) {
    if (strlen(config->factory) > 200)
        return fw_fail(error, FW_INVALID, "unit: the factory's address is too long");
    fw_unit_courier *c = calloc(1, sizeof *c);
    if (!c) return fw_fail(error, FW_NO_MEMORY, "unit: no memory for the courier");
    c->config = *config;
    if (c->config.upload_timeout_ms == 0) c->config.upload_timeout_ms = UPLOAD_MS;
    if (c->config.call_timeout_ms == 0) c->config.call_timeout_ms = CALL_MS;
    c->shared = shared;
    c->spool = spool;
    c->client = *client;
    c->random = fw_random_indexed(fw_seed_mix(0, "courier"), config->unit);
    c->ask_offset = fw_unit_spool_count(spool) > 0; /* left by an earlier run: maybe half sent */
    fw_status status = fw_unit_models_open(&c->models, config, shared, error);
    if (status != FW_OK) {
        free(c);
        return status;
    }
    *out = c;
    return FW_OK;
}

void fw_unit_courier_close(fw_unit_courier *courier) { free(courier); }

static int ms_until(const fw_unit_courier *c, int64_t moment_ns) {
    int64_t left = (moment_ns - now_ns(c) + 999999) / 1000000;
    return left < 0 ? 0 : left > FW_UNIT_REPORT_MS ? FW_UNIT_REPORT_MS : (int)left;
}

int fw_unit_courier_step(fw_unit_courier *c) {
    notice_refusal(c);
    report(c);
    fetch(c);
    upload(c);
    int wait = ms_until(c, c->report_due_ns > c->reports.not_before_ns ? c->report_due_ns
                                                                      : c->reports.not_before_ns);
    if (fw_unit_spool_count(c->spool) > 0) {
        int uploads = ms_until(c, c->uploads.not_before_ns);
        if (uploads < wait) wait = uploads;
    }
    return wait;
}
