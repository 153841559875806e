/* tick.c - observe, decide, answer, record (tick.h). */
#include "unit/tick/tick.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/env.h"
#include "base/log.h"
#include "bus/bus.h"
#include "lines/driving/act/policy.h"
#include "lines/driving/act/recorder.h"

enum { POLL_MS = 200, CONNECT_MS = 500, MODEL_WAIT_MS = 10, RECORDING_TICKS_MIN = 2 };
_Static_assert(sizeof(fw_policy) <= FW_UNIT_MODEL_MAX, "a loaded policy fits its slot");

/* The recording being written into the ring. */
typedef struct recording {
    bool open;
    bool lost;  /* a piece did not fit: the whole recording is given up */
    bool fault; /* the writer failed; as lost */
    uint64_t serial, offset;
} recording;

struct fw_unit_tick {
    fw_unit_tick_config config;
    fw_unit_shared *shared;
    char name[16]; /* the unit's number as text */
    fw_policy policies[2];
    unsigned policy; /* the one of policies that drives */
    uint64_t model_seen; /* sequence last looked at */
    bool has_model;
    fw_policy_session session;
    fw_drive_event_state events;
    uint32_t events_drive;
    fw_drive_recorder *recorder;
    recording recording;
    fw_drive_obs obs;
    uint8_t frame[FW_BUS_PAYLOAD_MAX];
};

fw_status fw_unit_tick_open(const fw_unit_tick_config *config, fw_unit_shared *shared,
                            fw_unit_tick **out, fw_error *error) {
    fw_unit_tick *tick = calloc(1, sizeof *tick);
    if (!tick) return fw_fail(error, FW_NO_MEMORY, "unit: no memory for the tick");
    tick->config = *config;
    tick->shared = shared;
    snprintf(tick->name, sizeof tick->name, "%u", config->unit);
    fw_status status = fw_drive_recorder_open(&tick->recorder, error);
    if (status != FW_OK) {
        free(tick);
        return status;
    }
    *out = tick;
    return FW_OK;
}

void fw_unit_tick_close(fw_unit_tick *tick) {
    if (!tick) return;
    fw_unit_tick_end_recording(tick);
    fw_drive_recorder_close(tick->recorder);
    free(tick);
}

/* ---- the model ---- */

fw_status fw_unit_tick_load(const void *file, size_t file_bytes, void *out, size_t out_max_bytes,
                            size_t *out_bytes, fw_error *error) {
    FW_ASSERT(out_max_bytes >= sizeof(fw_policy));
    memset(out, 0, sizeof(fw_policy));
    FW_TRY(fw_policy_load(file, file_bytes, out, error));
    *out_bytes = sizeof(fw_policy);
    return FW_OK;
}

/* True when the policy answers a plain situation with finite numbers. */
static bool self_test(const fw_policy *policy) {
    static const fw_drive_obs road = {
        .speed_mps = 8, .length_m = 4.5f, .width_m = 1.8f, .rear_overhang_m = 0.9f, .s_m = 2,
        .route_left_m = 50, .path_count = 4,
        .path = {{0, 0, 3.2f, 13.9f}, {2, 0, 3.2f, 13.9f}, {4, 0, 3.2f, 13.9f}, {6, 0, 3.2f, 13.9f}},
    };
    fw_policy_session session;
    fw_drive_action action = {0};
    memset(&session, 0, sizeof session);
    fw_policy_act(policy, &session, &road, &action);
    return isfinite(action.accel_mps2) && isfinite(action.curvature_pm);
}

/* Copies model `sequence` out of its slot; false when it is not what was announced. */
static bool copy_model(fw_unit_tick *tick, uint64_t sequence, fw_policy *out) {
    const fw_unit_slot *slot = &tick->shared->slots[sequence & 1];
    if (slot->size_bytes != sizeof *out) return false;
    memcpy(out, slot->bytes, sizeof *out);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load(&tick->shared->model_writing) >= sequence + 2) return false;
    return fw_mcap_crc32(0, out, sizeof *out) == slot->crc &&
           memcmp(&out->hash, &slot->hash, sizeof out->hash) == 0 && self_test(out);
}

bool fw_unit_tick_take_model(fw_unit_tick *tick) {
    fw_unit_shared *shared = tick->shared;
    uint64_t staged = atomic_load_explicit(&shared->model_staged, memory_order_acquire);
    if (staged == tick->model_seen) return tick->has_model;
    unsigned other = tick->policy ^ 1;
    tick->model_seen = staged;
    if (copy_model(tick, staged, &tick->policies[other])) {
        tick->policy = other;
        tick->has_model = true;
        memset(&tick->session, 0, sizeof tick->session);
        atomic_store(&shared->model_active, staged);
    } else if (atomic_load(&shared->model_writing) == staged) {
        atomic_store(&shared->model_refused, staged);
        fw_log_error("unit %u: model %llu failed its check; the one before goes on",
                     tick->config.unit, (unsigned long long)staged);
    } else {
        tick->model_seen = 0; /* overtaken while it was copied: look again */
    }
    fw_unit_wake(shared->net_wake);
    return tick->has_model;
}

/* ---- the recording ---- */

static bool put_piece(fw_unit_tick *tick, fw_unit_piece piece, const void *payload) {
    piece.serial = tick->recording.serial;
    return fw_unit_ring_put(&tick->shared->ring, &piece, payload);
}

/* The recorder's sink. A full ring never stops the recorder: what follows is only counted. */
static fw_status to_ring(void *self, const void *bytes, size_t size_bytes, fw_error *error) {
    (void)error;
    fw_unit_tick *tick = self;
    recording *rec = &tick->recording;
    for (size_t at = 0; at < size_bytes;) {
        size_t part = size_bytes - at < FW_UNIT_PIECE_MAX ? size_bytes - at : FW_UNIT_PIECE_MAX;
        fw_unit_piece piece = {.kind = FW_UNIT_PIECE_BYTES, .size_bytes = (uint32_t)part,
                               .offset = rec->offset};
        if (!rec->lost && !put_piece(tick, piece, (const char *)bytes + at)) rec->lost = true;
        rec->offset += part;
        at += part;
    }
    return FW_OK;
}

static void begin_recording(fw_unit_tick *tick) {
    recording *rec = &tick->recording;
    *rec = (recording){.open = true};
    rec->serial = atomic_fetch_add(&tick->shared->serial, 1) + 1;
    rec->lost = !put_piece(tick, (fw_unit_piece){.kind = FW_UNIT_PIECE_BEGIN}, NULL);
    fw_error error;
    fw_mcap_sink sink = {.self = tick, .write = to_ring};
    if (fw_drive_recorder_begin(tick->recorder, sink, tick->name, &error) != FW_OK) {
        fw_log_error("unit %u: %s", tick->config.unit, error.text);
        rec->fault = true;
    }
}

/* Hands the finished recording over; false when the ring had no room for it. */
static bool hand_over(fw_unit_tick *tick, const fw_drive_recorded *done) {
    recording *rec = &tick->recording;
    uint32_t events = 0;
    for (int i = 0; i < FW_DRIVE_EVENT_COUNT; i++) events += done->event_counts[i];
    fw_unit_piece end = {.kind = FW_UNIT_PIECE_END, .offset = rec->offset, .events = events,
                         .ticks = done->ticks, .drive = done->drive,
                         .first_tick = done->first_tick};
    if (rec->lost || rec->fault || !put_piece(tick, end, NULL)) return false;
    atomic_fetch_add(&tick->shared->recordings, 1);
    return true;
}

void fw_unit_tick_end_recording(fw_unit_tick *tick) {
    recording *rec = &tick->recording;
    fw_drive_recorded done;
    fw_error error;
    if (!rec->open) return;
    rec->open = false;
    if (fw_drive_recorder_so_far(tick->recorder)->ticks < RECORDING_TICKS_MIN) {
        (void)put_piece(tick, (fw_unit_piece){.kind = FW_UNIT_PIECE_DROP}, NULL);
    } else {
        if (!rec->fault && fw_drive_recorder_end(tick->recorder, &done, &error) != FW_OK) {
            fw_log_error("unit %u: %s", tick->config.unit, error.text);
            rec->fault = true;
        }
        if (rec->fault || !hand_over(tick, &done)) {
            (void)put_piece(tick, (fw_unit_piece){.kind = FW_UNIT_PIECE_DROP}, NULL);
            atomic_fetch_add(&tick->shared->lost_ring_bytes, rec->offset);
        }
    }
    fw_unit_wake(tick->shared->ring_wake);
}

static void record(fw_unit_tick *tick, const fw_drive_decision *decision) {
    const fw_drive_obs *obs = &tick->obs;
    fw_error error;
    double values[FW_DRIVE_EVENT_COUNT];
    if (tick->events_drive != obs->drive) memset(&tick->events, 0, sizeof tick->events);
    tick->events_drive = obs->drive;
    uint32_t begun = fw_drive_events(&tick->events, obs, decision, values);
    if (tick->recording.open && !fw_drive_recorder_continues(tick->recorder, obs))
        fw_unit_tick_end_recording(tick);
    if (!tick->recording.open) begin_recording(tick);
    if (tick->recording.fault) return;
    uint64_t before = tick->recording.offset;
    if (fw_drive_recorder_tick(tick->recorder, obs, decision, begun, values, &error) != FW_OK) {
        fw_log_error("unit %u: recording given up: %s", tick->config.unit, error.text);
        tick->recording.fault = true;
    }
    if (tick->recording.offset != before) fw_unit_wake(tick->shared->ring_wake);
}

/* ---- one frame ---- */

static bool finite_action(const fw_drive_action *action) {
    return isfinite(action->accel_mps2) && isfinite(action->curvature_pm);
}

/* Policy, then guard. A policy that answers no number brakes fully, wheels straight. */
static fw_drive_decision decide(fw_unit_tick *tick) {
    fw_drive_decision decision = {.model = tick->policies[tick->policy].hash};
    fw_policy_act(&tick->policies[tick->policy], &tick->session, &tick->obs, &decision.policy);
    if (!finite_action(&decision.policy))
        decision.policy = (fw_drive_action){.accel_mps2 = FW_DRIVE_ACCEL_MIN_MPS2};
    decision.action = decision.policy;
    decision.veto = fw_guard(&tick->obs, &decision.action);
    return decision;
}

static fw_status answer(fw_unit_tick *tick, int fd, uint32_t world_tick,
                        const fw_drive_decision *decision, int64_t decide_ns, fw_error *error) {
    uint8_t payload[FW_BUS_ACT_BYTES + sizeof(fw_drive_action)];
    fw_bus_act act = {
        .recordings = atomic_load(&tick->shared->recordings),
        .acted = decision != NULL,
        .vetoed = decision && decision->veto != FW_GUARD_NONE,
        .decide_ns = decide_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)decide_ns,
        .lost_bytes = fw_unit_lost_bytes(tick->shared),
        .model = tick->policies[tick->policy].hash,
    };
    fw_bus_act_encode(&act, payload);
    if (decision)
        memcpy(payload + FW_BUS_ACT_BYTES, &decision->action, sizeof decision->action);
    return fw_bus_send(fd, FW_BUS_ACT, tick->config.unit, world_tick, payload,
                       decision ? sizeof payload : FW_BUS_ACT_BYTES, error);
}

static fw_status observe(fw_unit_tick *tick, int fd, const fw_bus_head *head, fw_error *error) {
    FW_TRY(fw_drive_obs_decode(tick->frame, head->size_bytes, &tick->obs, error));
    const fw_env *env = fw_env_real();
    int64_t before_ns = fw_env_mono_ns(env);
    fw_drive_decision decision = decide(tick);
    int64_t decide_ns = fw_env_mono_ns(env) - before_ns;
    FW_TRY(answer(tick, fd, head->tick, &decision, decide_ns, error));
    record(tick, &decision);
    atomic_store_explicit(&tick->shared->tick, tick->obs.tick, memory_order_relaxed);
    atomic_fetch_add_explicit(&tick->shared->ticks, 1, memory_order_relaxed);
    if (decision.veto != FW_GUARD_NONE)
        atomic_fetch_add_explicit(&tick->shared->vetoes, 1, memory_order_relaxed);
    return FW_OK;
}

fw_status fw_unit_tick_once(fw_unit_tick *tick, int fd, int timeout_ms, fw_error *error) {
    fw_bus_head head;
    FW_TRY(fw_bus_receive(fd, &head, tick->frame, timeout_ms, error));
    FW_ASSERT(fw_unit_tick_take_model(tick));
    if (head.unit != tick->config.unit)
        return fw_fail(error, FW_CORRUPT, "bus: a frame for unit %u reached unit %u", head.unit,
                       tick->config.unit);
    switch (head.kind) {
    case FW_BUS_OBSERVE: return observe(tick, fd, &head, error);
    case FW_BUS_END:
    case FW_BUS_FLUSH:
        fw_unit_tick_end_recording(tick);
        return answer(tick, fd, head.tick, NULL, 0, error);
    default: return fw_fail(error, FW_CORRUPT, "bus: kind %u makes no sense here", head.kind);
    }
}

/* ---- the process ---- */

static bool stopping(const fw_unit_tick *tick) { return atomic_load(&tick->shared->stop); }

static void talk(fw_unit_tick *tick, int fd) {
    fw_error error;
    while (!stopping(tick)) {
        fw_status status = fw_unit_tick_once(tick, fd, POLL_MS, &error);
        if (status == FW_TIMEOUT || status == FW_OK) continue;
        if (status == FW_CLOSED)
            fw_log_info("unit %u: the world left; waiting for it", tick->config.unit);
        else
            fw_log_warn("unit %u: cut the world off: %s", tick->config.unit, error.text);
        return;
    }
}

void fw_unit_tick_run(fw_unit_tick *tick) {
    const fw_env *env = fw_env_real();
    while (!stopping(tick) && !fw_unit_tick_take_model(tick))
        fw_env_sleep_ns(env, (int64_t)MODEL_WAIT_MS * 1000000);
    while (!stopping(tick)) {
        fw_error error;
        int fd = -1;
        fw_status status = fw_bus_connect(tick->config.bus_path, tick->config.unit, "driving",
                                          CONNECT_MS, &fd, &error);
        if (status == FW_OK) {
            talk(tick, fd);
            fw_unit_tick_end_recording(tick);
            close(fd);
        } else if (status != FW_TIMEOUT) {
            fw_log_warn("unit %u: %s", tick->config.unit, error.text);
        }
        if (!stopping(tick)) fw_env_sleep_ns(env, (int64_t)POLL_MS * 1000000 / 4);
    }
    fw_unit_tick_end_recording(tick);
}
