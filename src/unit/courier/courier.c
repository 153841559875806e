/* courier.c - one round of talk: report, model, shadow, campaigns, records (courier.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "unit/courier/courier_state.h"
#include "unit/courier/identity.h"
#include "unit/courier/report.h"
#include "unit/courier/trusted.h"

enum {
    WAIT_MIN_MS = 250,
    WAIT_MAX_MS = 5000,
    NOT_SERVED_MS = 60000, /* a factory that does not know the call */
    REPLY_MAX = 64 << 10,
    UPLOAD_MS = 60000,
    CALL_MS = 10000,
    CHOOSE_MS = 600000, /* metadata is looked at this often, also when nothing is hinted */
    TRUST_MS = 30000,   /* a root that could not be read is tried again */
};

/* ---- waiting ---- */

int64_t fw_unit_now_ns(const fw_unit_courier *c) { return fw_env_mono_ns(c->config.env); }

bool fw_unit_may_try(const fw_unit_courier *c, const fw_unit_backoff *b) {
    return fw_unit_now_ns(c) >= b->not_before_ns;
}

void fw_unit_succeeded(fw_unit_courier *c, fw_unit_backoff *b, const char *what) {
    if (b->failing) fw_log_info("unit %u: %s works again", c->config.unit, what);
    *b = (fw_unit_backoff){0};
}

void fw_unit_failed(fw_unit_courier *c, fw_unit_backoff *b, const char *what, int retry_after_s,
                    const char *why) {
    if (!b->failing) fw_log_warn("unit %u: %s: %s; will try again", c->config.unit, what, why);
    b->failing = true;
    b->wait_ms = b->wait_ms == 0 ? WAIT_MIN_MS : 2 * b->wait_ms;
    if (b->wait_ms > WAIT_MAX_MS) b->wait_ms = WAIT_MAX_MS;
    fw_random *random = b == &c->uploads ? &c->upload_random : &c->random;
    int64_t ms = b->wait_ms / 2 + fw_random_below(random, b->wait_ms / 2 + 1);
    if (retry_after_s > 0 && retry_after_s <= 3600 && ms < (int64_t)retry_after_s * 1000)
        ms = (int64_t)retry_after_s * 1000;
    b->not_before_ns = fw_unit_now_ns(c) + ms * 1000000;
}

/* ---- calls ---- */

static fw_status call_through(const fw_unit_courier *c, const fw_http_client *client,
                              fw_http_call *call, fw_http_reply *reply, fw_error *error) {
    *reply = (fw_http_reply){.upload_offset = -1};
    if (call->reply_max_bytes == 0) call->reply_max_bytes = REPLY_MAX;
    if (call->timeout_ms == 0) call->timeout_ms = (int)c->config.call_timeout_ms;
    return client->perform(client->self, call, reply, error);
}

fw_status fw_unit_call(fw_unit_courier *c, fw_http_call *call, fw_http_reply *reply,
                       fw_error *error) {
    return call_through(c, &c->client, call, reply, error);
}

fw_status fw_unit_upload_call(fw_unit_courier *c, fw_http_call *call, fw_http_reply *reply,
                              fw_error *error) {
    return call_through(c, &c->upload_client, call, reply, error);
}

void fw_unit_clear_reply(fw_http_reply *reply) {
    free(reply->body);
    *reply = (fw_http_reply){.upload_offset = -1};
}

json_t *fw_unit_reply_json(const fw_http_reply *reply) {
    return reply->body ? json_loadb(reply->body, reply->body_bytes, 0, NULL) : NULL;
}

void fw_unit_reason_of(const fw_http_reply *reply, char *out, size_t out_size) {
    json_t *json = fw_unit_reply_json(reply);
    const char *text = json_string_value(json_object_get(json, "error"));
    snprintf(out, out_size, "HTTP %d: %.300s", reply->status, text ? text : "no reason given");
    for (char *at = out; *at; at++)
        if ((unsigned char)*at < 32) *at = ' ';
    json_decref(json);
}

bool fw_unit_condemns(const fw_http_reply *reply) {
    int status = reply->status;
    if (status != 400 && status != 410 && status != 413 && status != 422) return false;
    json_t *json = fw_unit_reply_json(reply);
    bool says_why = json_is_string(json_object_get(json, "error"));
    json_decref(json);
    return says_why;
}

/* ---- models ---- */

/* Bytes of an object from offset on. A server that knows no ranges sends them all. */
static fw_status fetch_object(void *self, const fw_hash *sha256, uint64_t offset, size_t wanted, char **bytes,
                              size_t *size_bytes, fw_error *error) {
    fw_unit_courier *c = self;
    char url[400], range[80];
    fw_http_reply reply;
    snprintf(url, sizeof url, "%s/v1/objects/%s", c->config.factory, sha256->hex);
    snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-%" PRIu64, offset, offset + wanted - 1);
    const char *const headers[] = {range, NULL};
    fw_http_call call = {.method = "GET", .url = url, .headers = headers, .reply_max_bytes = FW_UNIT_MODEL_FILE_MAX};
    FW_TRY(fw_unit_call(c, &call, &reply, error));
    c->fetches.retry_after_s = reply.retry_after_s;
    size_t skip = reply.status == 200 ? (size_t)offset : 0;
    if ((reply.status != 200 && reply.status != 206) || reply.body_bytes <= skip) {
        fw_status status = fw_fail(error, FW_IO, "the factory answered %d for model %.12s", reply.status, sha256->hex);
        fw_unit_clear_reply(&reply);
        return status;
    }
    size_t more = reply.body_bytes - skip;
    if (more > wanted) more = wanted;
    memmove(reply.body, reply.body + skip, more);
    *bytes = reply.body;
    *size_bytes = more;
    return FW_OK;
}

/* Who chooses: the caller's, or signed metadata behind the owner's root. Without them (a root that cannot be read, a
 * folder that is damaged) the unit drives what it has, records and reports; it is tried again. */
static void open_trust(fw_unit_courier *c) {
    int64_t now_ns = fw_unit_now_ns(c);
    fw_error error;
    c->choose_due_ns = now_ns + (int64_t)CHOOSE_MS * 1000000;
    if (c->updater.config.chooser.choose || c->no_roots) return;
    if (fw_unit_trusted_open(c, &c->updater.config.chooser, &error) == FW_OK) {
        c->no_roots = !c->trusted;
    } else {
        fw_log_error("unit %u: no model is taken from the network: %s", c->config.unit, error.text);
        c->choose_due_ns = now_ns + (int64_t)TRUST_MS * 1000000;
    }
}

/* One step towards the model that the factory wants here. */
static void update(fw_unit_courier *c) {
    fw_error error = {""};
    if (!fw_unit_may_try(c, &c->fetches)) return;
    if (fw_unit_now_ns(c) >= c->choose_due_ns) {
        open_trust(c);
        fw_unit_updater_doubt(&c->updater);
    }
    fw_unit_update done = fw_unit_updater_round(&c->updater, &c->target, &error);
    if (done == FW_UNIT_UPDATE_NOTHING) return;
    if (done == FW_UNIT_UPDATE_WAITS) {
        c->fetches.not_before_ns = fw_unit_now_ns(c) + (int64_t)FW_UNIT_REPORT_MS * 1000000;
        return;
    }
    if (done == FW_UNIT_UPDATE_FAILED)
        fw_unit_failed(c, &c->fetches, "another model", c->fetches.retry_after_s, error.text);
    else
        fw_unit_succeeded(c, &c->fetches, "another model");
    if (done != FW_UNIT_UPDATE_GOES_ON) c->report_due_ns = 0;
}

/* The tick's verdicts, and the candidate that runs beside the model that drives. */
static void look_after_models(fw_unit_courier *c) {
    fw_error error = {""};
    if (fw_unit_updater_notice(&c->updater)) c->report_due_ns = 0;
    update(c);
    if (!fw_unit_may_try(c, &c->shadowings)) return;
    fw_unit_update done = fw_unit_updater_shadow(&c->updater, &c->shadow_wanted, &error);
    if (done == FW_UNIT_UPDATE_FAILED) fw_unit_failed(c, &c->shadowings, "a model to run in shadow", 0, error.text);
    if (done == FW_UNIT_UPDATE_STAGED) fw_unit_succeeded(c, &c->shadowings, "a model to run in shadow");
}

/* ---- campaigns ---- */

static void fetch_campaigns(fw_unit_courier *c) {
    char url[300];
    fw_http_reply reply;
    fw_error error;
    if (!c->config.signals || !c->campaigns_wanted[0] || !fw_unit_may_try(c, &c->campaign_fetches) ||
        strcmp(c->campaigns_wanted, c->campaigns.version) == 0)
        return;
    snprintf(url, sizeof url, "%s/v1/units/%u/campaigns", c->config.factory, c->config.unit);
    fw_http_call call = {.method = "GET", .url = url,
                         .reply_max_bytes = FW_UNIT_CAMPAIGNS_JSON_MAX};
    fw_status status = fw_unit_call(c, &call, &reply, &error);
    if (status == FW_OK && reply.status != 200)
        status = fw_fail(&error, FW_IO, "the factory answered %d", reply.status);
    if (status == FW_OK)
        status = fw_unit_campaigns_take(&c->campaigns, c->campaigns_wanted, reply.body,
                                        reply.body_bytes, &error);
    if (status == FW_OK)
        fw_unit_succeeded(c, &c->campaign_fetches, "fetching the campaigns");
    else
        fw_unit_failed(c, &c->campaign_fetches, "fetching the campaigns", reply.retry_after_s,
                       error.text);
    fw_unit_clear_reply(&reply);
}

/* ---- records ---- */

static void add_record(fw_unit_courier *c, fw_unit_record_stream stream, json_t *json) {
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    fw_error error;
    json_decref(json);
    if (text && fw_unit_records_append(&c->records, stream, text, &error) != FW_OK)
        fw_log_warn("unit %u: a record is lost: %s", c->config.unit, error.text);
    free(text);
}

static json_t *number(uint64_t value) { return json_integer((json_int_t)value); }

static json_t *health_json(fw_unit_courier *c) {
    fw_unit_shared *s = c->shared;
    fw_hash active = fw_unit_updater_active(&c->updater);
    const fw_env *env = c->config.env;
    uint64_t ring_bytes = fw_unit_ring_used_bytes(&s->ring);
    json_t *json = json_object();
    const struct {
        const char *name;
        uint64_t value;
    } fields[] = {
        {"time_ns", (uint64_t)fw_env_wall_ns(env)},
        {"mono_ns", (uint64_t)fw_env_mono_ns(env)},
        {"uptime_s", (uint64_t)(fw_unit_now_ns(c) - c->started_ns) / 1000000000},
        {"ticks", atomic_load(&s->ticks)},
        {"vetoes", atomic_load(&s->vetoes)},
        {"misses", atomic_load(&s->late_ticks)},
        {"worst_tick_us", atomic_load(&s->worst_tick_ns) / 1000},
        {"recordings", atomic_load(&s->recordings)},
        {"captures", atomic_load(&s->captures)},
        {"triggers", atomic_load(&s->triggers)},
        {"missed_ticks", atomic_load(&s->missed_ticks)},
        {"lost_ticks", atomic_load(&s->lost_ticks)},
        {"salvaged", atomic_load(&s->salvaged)},
        {"spool_bytes", ring_bytes + atomic_load(&s->spool_bytes)},
        {"ring_file_bytes", atomic_load(&s->ring_file_bytes)},
        {"ring_used_bytes", ring_bytes},
        {"records_lost", c->records.lost},
    };
    json_object_set_new(json, "boot", json_string(s->boot));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        json_object_set_new(json, fields[i].name, number(fields[i].value));
    json_object_set_new(json, "lost_bytes", fw_unit_losses_json(s));
    json_object_set_new(json, "model", active.hex[0] ? json_string(active.hex) : json_null());
    json_object_set_new(json, "campaigns", json_string(c->campaigns.version));
    return json;
}

/* Once a start of the unit, as soon as a model drives. */
static void add_versions(fw_unit_courier *c) {
    fw_hash active = fw_unit_updater_active(&c->updater);
    if (c->shared->versions_told || !active.hex[0]) return;
    c->shared->versions_told = true;
    add_record(c, FW_UNIT_RECORDS_VERSIONS,
               json_pack("{s:I,s:s,s:s,s:s,s:s,s:s}", "time_ns",
                         (json_int_t)fw_env_wall_ns(c->config.env), "boot", c->shared->boot,
                         "program", "flywheel-unit", "version", FW_VERSION, "line",
                         c->config.signals ? c->config.signals->line : "", "model", active.hex));
}

/* When the queue fills because nobody takes it, records come more rarely instead of being lost. */
static uint32_t health_ms(const fw_unit_courier *c) {
    uint64_t used = fw_unit_records_bytes(&c->records);
    uint32_t factor = used > FW_UNIT_RECORDS_BYTES_MAX / 4 * 3   ? 60
                      : used > FW_UNIT_RECORDS_BYTES_MAX / 2 ? 6
                                                              : 1;
    return factor * c->config.health_ms;
}

static void add_health(fw_unit_courier *c) {
    add_versions(c);
    if (fw_unit_now_ns(c) < c->health_due_ns) return;
    add_record(c, FW_UNIT_RECORDS_HEALTH, health_json(c));
    c->health_due_ns = fw_unit_now_ns(c) + (int64_t)health_ms(c) * 1000000;
}

static fw_status post_batch(fw_unit_courier *c, const fw_unit_batch *batch, fw_http_reply *reply,
                            fw_error *error) {
    char url[300], unit[48], boot[80], stream[80], first[64];
    snprintf(url, sizeof url, "%s/v1/records", c->config.factory);
    snprintf(unit, sizeof unit, "Flywheel-Unit: %u", c->config.unit);
    snprintf(boot, sizeof boot, "Flywheel-Boot: %s", batch->boot);
    snprintf(stream, sizeof stream, "Flywheel-Stream: %s", batch->stream);
    snprintf(first, sizeof first, "Flywheel-First: %" PRIu64, batch->first);
    const char *const headers[] = {"Content-Type: application/x-ndjson", unit, boot, stream, first,
                                   NULL};
    fw_http_call call = {.method = "POST", .url = url, .headers = headers, .body = batch->body,
                         .body_bytes = batch->body_bytes};
    return fw_unit_call(c, &call, reply, error);
}

/* What follows from an answer: FW_OK when the queue moved on. */
static fw_status settle_batch(fw_unit_courier *c, const fw_http_reply *reply, fw_error *error) {
    json_t *json = fw_unit_reply_json(reply);
    const json_t *next = json_object_get(json, "next");
    bool said = json_is_integer(next) && json_integer_value(next) >= 0;
    fw_status status = FW_OK;
    if (said && (reply->status == 200 || reply->status == 409)) {
        fw_unit_records_acked(&c->records, (uint64_t)json_integer_value(next));
    } else if (fw_unit_condemns(reply)) {
        fw_log_error("unit %u: the factory refused records: HTTP %d", c->config.unit, reply->status);
        fw_unit_records_condemned(&c->records);
    } else {
        char reason[400];
        fw_unit_reason_of(reply, reason, sizeof reason);
        status = fw_fail(error, FW_IO, "%s", reason);
    }
    json_decref(json);
    return status;
}

static void send_records(fw_unit_courier *c) {
    fw_unit_batch batch = {.body = NULL};
    fw_http_reply reply = {.upload_offset = -1};
    fw_error error;
    if (c->records.count == 0 || !fw_unit_may_try(c, &c->sendings) || fw_unit_is_quiet(c)) return;
    fw_status status = fw_unit_records_next(&c->records, &batch, &error);
    if (status == FW_OK) status = post_batch(c, &batch, &reply, &error);
    if (status == FW_OK) status = settle_batch(c, &reply, &error);
    if (status == FW_OK) {
        fw_unit_succeeded(c, &c->sendings, "sending records");
    } else {
        bool unknown = reply.status / 100 == 4 && reply.status != 408 && reply.status != 409 &&
                       reply.status != 429;
        fw_unit_failed(c, &c->sendings, "sending records",
                       unknown ? NOT_SERVED_MS / 1000 : reply.retry_after_s, error.text);
    }
    free(batch.body);
    fw_unit_clear_reply(&reply);
}

/* ---- the whole ---- */

static fw_status open_updater(fw_unit_courier *c, fw_error *error) {
    const fw_unit_courier_config *config = &c->config;
    fw_unit_updater_config updater = {.env = config->env, .unit = config->unit, .data_folder = config->data_folder,
                                      .shared = c->shared, .load = config->load, .chooser = config->chooser,
                                      .source = {.self = c, .fetch = fetch_object}};
    FW_TRY(fw_unit_updater_open(&c->updater, &updater, error)); /* first what drives */
    open_trust(c);
    return FW_OK;
}

/* Without its key the unit signs no version reports; everything else goes on. */
static void open_identity(fw_unit_courier *c) {
    fw_error error;
    if (fw_unit_identity_open(c, &error) != FW_OK)
        fw_log_error("unit %u: no version reports can be signed: %s", c->config.unit, error.text);
}

fw_status fw_unit_courier_open(const fw_unit_courier_config *config, fw_unit_shared *shared,
                               fw_unit_spool *spool, const fw_http_client *client,
                               fw_unit_courier **out, fw_error *error) {
    if (config->hardware_id && strlen(config->hardware_id) >= FW_HARDWARE_ID_MAX)
        return fw_fail(error, FW_INVALID, "unit: the hardware id is too long");
    if (strlen(config->factory) > 200)
        return fw_fail(error, FW_INVALID, "unit: the factory's address is too long");
    fw_unit_courier *c = calloc(1, sizeof *c);
    if (!c) return fw_fail(error, FW_NO_MEMORY, "unit: no memory for the courier");
    c->config = *config;
    if (c->config.upload_timeout_ms == 0) c->config.upload_timeout_ms = UPLOAD_MS;
    if (c->config.call_timeout_ms == 0) c->config.call_timeout_ms = CALL_MS;
    if (c->config.health_ms == 0) c->config.health_ms = FW_UNIT_HEALTH_MS;
    if (!c->config.hardware_id) c->config.hardware_id = FW_UNIT_HARDWARE;
    c->shared = shared;
    c->spool = spool;
    c->client = c->upload_client = *client;
    c->random = fw_random_indexed(fw_seed_mix(0, "courier"), config->unit);
    c->upload_random = fw_random_indexed(fw_seed_mix(0, "uploader"), config->unit);
    c->ask_offset = fw_unit_spool_count(spool) > 0; /* left by an earlier run: maybe half sent */
    c->started_ns = fw_unit_now_ns(c);
    c->health_due_ns = c->started_ns + (int64_t)c->config.health_ms * 1000000;
    fw_unit_campaigns_open(&c->campaigns, config, shared);
    fw_status status = open_updater(c, error);
    if (status == FW_OK) open_identity(c);
    if (status == FW_OK)
        status = fw_unit_records_open(&c->records, config->env, config->data_folder, shared, error);
    if (status != FW_OK) {
        fw_unit_courier_close(c);
        return status;
    }
    *out = c;
    return FW_OK;
}

void fw_unit_courier_close(fw_unit_courier *courier) {
    if (!courier) return;
    fw_unit_updater_close(&courier->updater);
    fw_unit_trusted_close(courier->trusted);
    fw_private_key_free(courier->key);
    free(courier);
}

static int ms_until(const fw_unit_courier *c, int64_t moment_ns) {
    if (moment_ns == INT64_MAX) return FW_UNIT_REPORT_MS;
    int64_t left = (moment_ns - fw_unit_now_ns(c) + 999999) / 1000000;
    return left < 0 ? 0 : left > FW_UNIT_REPORT_MS ? FW_UNIT_REPORT_MS : (int)left;
}

void fw_unit_courier_upload_through(fw_unit_courier *c, const fw_http_client *client) {
    c->upload_client = *client;
}

int fw_unit_courier_talk(fw_unit_courier *c) {
    fw_unit_report(c);
    fw_unit_identity_tell(c);
    look_after_models(c);
    fetch_campaigns(c);
    add_health(c);
    send_records(c);
    if (c->updater.begun && fw_unit_may_try(c, &c->fetches)) return 0;
    return ms_until(c, c->report_due_ns > c->reports.not_before_ns ? c->report_due_ns
                                                                   : c->reports.not_before_ns);
}

int fw_unit_courier_upload(fw_unit_courier *c) {
    fw_unit_upload(c);
    return ms_until(c, fw_unit_upload_due_ns(c));
}

int fw_unit_courier_step(fw_unit_courier *c) {
    int talk = fw_unit_courier_talk(c), upload = fw_unit_courier_upload(c);
    return talk < upload ? talk : upload;
}
