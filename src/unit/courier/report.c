/* report.c - the report's text and its answer (report.h). */
#include "unit/courier/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit/courier/identity.h"

typedef struct state {
    fw_hash active, staged, shadow;
    uint32_t tick, recordings;
    uint64_t spool_bytes, lost_bytes, approved, refused;
    bool safe;
} state;

static state look(fw_unit_courier *c) {
    fw_unit_shared *s = c->shared;
    state now = {0};
    uint64_t ring = fw_unit_ring_used_bytes(&s->ring); /* before the spool: bytes only move there */
    now.active = fw_unit_updater_active(&c->updater);
    now.staged = fw_unit_updater_staged(&c->updater);
    now.shadow = fw_unit_lane_name(&s->shadows, atomic_load(&s->shadow_active));
    now.tick = atomic_load(&s->tick);
    now.recordings = atomic_load(&s->recordings);
    now.spool_bytes = ring + atomic_load(&s->spool_bytes);
    now.lost_bytes = fw_unit_lost_bytes(s);
    now.approved = atomic_load(&s->model_approved);
    now.refused = atomic_load(&s->model_refused);
    now.safe = atomic_load(&s->safe);
    return now;
}

/* Changes that are reported at once. */
static uint64_t state_mix(const fw_unit_courier *c, const state *now) {
    char text[512];
    snprintf(text, sizeof text, "%s %s %s %s %u %d %d %" PRIu64 " %" PRIu64 " %" PRIu64, now->active.hex,
             now->staged.hex, now->shadow.hex, c->updater.slots.state.refused.hex, now->recordings,
             now->spool_bytes > 0, now->safe, now->lost_bytes, now->approved, now->refused);
    return fw_seed_mix(1, text);
}

static json_t *number(uint64_t value) { return json_integer((json_int_t)value); }
static json_t *hash_or_null(const fw_hash *hash) { return hash->hex[0] ? json_string(hash->hex) : json_null(); }

json_t *fw_unit_losses_json(fw_unit_shared *shared) {
    json_t *json = json_object();
    for (int i = 0; i < FW_UNIT_LOSS_COUNT; i++)
        json_object_set_new(json, fw_unit_loss_name((fw_unit_loss)i), number(atomic_load(&shared->lost_bytes[i])));
    return json;
}

/* What was lived since the active model took over; null while it changes. */
static json_t *health_of_model(fw_unit_shared *s) {
    fw_unit_health *h = &s->health;
    uint64_t sequence = atomic_load(&h->sequence);
    fw_hash model = fw_unit_lane_name(&s->models, sequence);
    if (!model.hex[0]) return json_null();
    json_t *json = json_pack("{s:s}", "model", model.hex);
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"ticks", atomic_load(&h->ticks)},           {"events", atomic_load(&h->events)},
        {"vetoes", atomic_load(&h->vetoes)},         {"late_ticks", atomic_load(&h->late_ticks)},
        {"crashes", atomic_load(&h->crashes)},       {"fallbacks", atomic_load(&h->fallbacks)},
        {"shadow_ticks", atomic_load(&h->shadow_ticks)},
        {"shadow_disagreements", atomic_load(&h->shadow_disagreements)},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        json_object_set_new(json, counts[i].name, number(counts[i].value));
    json_object_set_new(json, "distance_m", json_real((double)atomic_load(&h->distance_mm) / 1000));
    if (atomic_load(&h->sequence) == sequence) return json;
    json_decref(json);
    return json_null();
}

static json_t *counts_json(fw_unit_courier *c, const state *now) {
    fw_unit_shared *s = c->shared;
    json_t *json = json_object();
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"tick", now->tick},
        {"recordings", now->recordings},
        {"spool_bytes", now->spool_bytes},
        {"lost_bytes", now->lost_bytes},
        {"ticks", atomic_load(&s->ticks)},
        {"vetoes", atomic_load(&s->vetoes)},
        {"captures", atomic_load(&s->captures)},
        {"lost_ticks", atomic_load(&s->lost_ticks)},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        json_object_set_new(json, counts[i].name, number(counts[i].value));
    return json;
}

static char *report_text(fw_unit_courier *c, const state *now) {
    const fw_unit_slots_state *slots = &c->updater.slots.state;
    json_t *json = counts_json(c, now);
    json_object_set_new(json, "active", hash_or_null(&now->active));
    json_object_set_new(json, "staged", hash_or_null(&now->staged));
    json_object_set_new(json, "shadow", hash_or_null(&now->shadow));
    json_object_set_new(json, "safe", json_boolean(now->safe));
    json_object_set_new(json, "lost", fw_unit_losses_json(c->shared));
    json_object_set_new(json, "campaigns", json_string(c->campaigns.version));
    json_object_set_new(json, "health", health_of_model(c->shared));
    if (slots->refused.hex[0]) {
        json_object_set_new(json, "refused", json_string(slots->refused.hex));
        json_object_set_new(json, "refused_why", json_string(slots->refused_why));
    }
    char *versions = fw_unit_identity_versions(c);
    if (versions) json_object_set_new(json, "versions", json_string(versions));
    c->attack_sent = versions != NULL;
    free(versions);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

/* What the factory wants of this unit: a model, a list of campaigns, a candidate to run in shadow. */
static void take_answer(fw_unit_courier *c, const fw_http_reply *reply) {
    json_t *json = fw_unit_reply_json(reply);
    const char *target = json_string_value(json_object_get(json, "target"));
    const char *version = json_string_value(json_object_get(json, "campaigns"));
    const char *nonce = json_string_value(json_object_get(json, "nonce"));
    const char *shadow = json_string_value(json_object_get(json, "shadow"));
    fw_hash wanted = {{0}};
    if (version && strlen(version) < sizeof c->campaigns_wanted) strcpy(c->campaigns_wanted, version);
    if (nonce && strlen(nonce) < sizeof c->nonce) strcpy(c->nonce, nonce);
    if (target && fw_hash_parse(target, &wanted, NULL) == FW_OK && strcmp(wanted.hex, c->target.hex) != 0) {
        c->target = wanted;
        c->fetches = (fw_unit_backoff){0};
    }
    if (json_object_get(json, "shadow")) {
        c->shadow_wanted = (fw_hash){{0}};
        if (shadow && fw_hash_parse(shadow, &wanted, NULL) == FW_OK) c->shadow_wanted = wanted;
    }
    json_decref(json);
}

static fw_status post(fw_unit_courier *c, const char *text, fw_http_reply *reply, fw_error *error) {
    char url[300];
    snprintf(url, sizeof url, "%s/v1/units/%u/report", c->config.factory, c->config.unit);
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    fw_http_call call = {.method = "POST", .url = url, .headers = headers, .body = text, .body_bytes = strlen(text)};
    FW_TRY(fw_unit_call(c, &call, reply, error));
    return reply->status / 100 == 2 ? FW_OK : fw_fail(error, FW_IO, "the factory answered %d", reply->status);
}

void fw_unit_report(fw_unit_courier *c) {
    state now = look(c);
    uint64_t mix = state_mix(c, &now);
    fw_http_reply reply = {.upload_offset = -1};
    fw_error error;
    if (!fw_unit_may_try(c, &c->reports)) return;
    if (fw_unit_now_ns(c) < c->report_due_ns && mix == c->reported_state) return;
    char *text = report_text(c, &now);
    fw_status status = text ? post(c, text, &reply, &error) : fw_fail(&error, FW_NO_MEMORY, "no memory for a report");
    free(text);
    if (status == FW_OK) {
        fw_unit_succeeded(c, &c->reports, "reporting to the factory");
        c->reported_state = mix;
        if (c->attack_sent) c->attack[0] = '\0';
        take_answer(c, &reply);
    } else {
        fw_unit_failed(c, &c->reports, "reporting to the factory", reply.retry_after_s, error.text);
    }
    c->report_due_ns = fw_unit_now_ns(c) + (int64_t)FW_UNIT_REPORT_MS * 1000000;
    fw_unit_clear_reply(&reply);
}
