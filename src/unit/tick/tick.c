/* tick.c - observe, decide, answer, record (tick.h). */
#include "unit/tick/tick.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/env.h"
#include "base/log.h"
#include "bus/bus.h"
#include "lines/driving/act/flattened.h"
#include "lines/driving/act/recorder.h"
#include "unit/tick/capture.h"
#include "unit/tick/outlet.h"

enum { POLL_MS = 200, CONNECT_MS = 500, MODEL_WAIT_MS = 10, RECORDING_TICKS_MIN = 2 };
static const int64_t tick_ns = 100000000; /* FW_DRIVE_TICK_S */
_Static_assert((int)FW_POLICY_FLAT_MAX <= (int)FW_UNIT_MODEL_MAX, "a model that loads fits its slot");

struct fw_unit_tick {
    fw_unit_tick_config config;
    fw_unit_shared *shared;
    char name[16]; /* the unit's number as text */
    fw_policy policy;     /* the one that drives */
    fw_policy_session session;
    uint64_t model_seen; /* sequence last looked at */
    bool has_model;
    uint8_t *slot_copy; /* (FW_UNIT_MODEL_MAX) a staged model's bytes, while they are checked */
    fw_drive_event_state events;
    uint32_t events_drive;
    fw_drive_recorder *recorder;
    fw_unit_outlet outlet;
    int64_t first_ns, last_ns; /* the line's time in the open recording */
    fw_unit_captures *captures;
    fw_drive_obs obs;
    uint8_t frame[FW_BUS_PAYLOAD_MAX];
};

fw_status fw_unit_tick_open(const fw_unit_tick_config *config, fw_unit_shared *shared,
                            fw_unit_tick **out, fw_error *error) {
    fw_unit_tick *tick = calloc(1, sizeof *tick);
    if (!tick) return fw_fail(error, FW_NO_MEMORY, "unit: no memory for the tick");
    tick->config = *config;
    tick->shared = shared;
    atomic_fetch_add(&shared->lost_ticks, atomic_exchange(&shared->unhanded_ticks, 0)); /* of one that died */
    snprintf(tick->name, sizeof tick->name, "%u", config->unit);
    tick->outlet = (fw_unit_outlet){.shared = shared, .stream = FW_UNIT_ROUTINE};
    tick->slot_copy = malloc(FW_UNIT_MODEL_MAX);
    fw_status status = FW_OK;
    if (!tick->slot_copy) status = fw_fail(error, FW_NO_MEMORY, "unit: no memory for a model");
    if (status == FW_OK) status = fw_drive_recorder_open(&tick->recorder, error);
    if (status == FW_OK)
        status = fw_unit_captures_open(shared, tick->name, config->chunk_ns, &tick->captures, error);
    if (status != FW_OK) {
        fw_drive_recorder_close(tick->recorder);
        free(tick->slot_copy);
        free(tick);
        return status;
    }
    fw_drive_recorder_set_chunk_ns(tick->recorder, config->chunk_ns);
    *out = tick;
    return FW_OK;
}

void fw_unit_tick_close(fw_unit_tick *tick) {
    if (!tick) return;
    fw_unit_tick_end_recording(tick);
    fw_unit_captures_close(tick->captures);
    fw_drive_recorder_close(tick->recorder);
    fw_policy_session_close(&tick->session);
    fw_policy_clear(&tick->policy);
    free(tick->slot_copy);
    free(tick);
}

/* ---- the model ---- */

fw_status fw_unit_tick_load(const void *file, size_t file_bytes, void *out, size_t out_max_bytes,
                            size_t *out_bytes, fw_error *error) {
    fw_policy policy;
    FW_TRY(fw_policy_load(file, file_bytes, &policy, error));
    fw_status status = fw_policy_flatten(&policy, out, out_max_bytes, out_bytes, error);
    fw_policy_clear(&policy);
    return status;
}

/* True when the policy answers a plain situation with finite numbers. */
static bool self_test(const fw_policy *policy, fw_policy_session *session) {
    static const fw_drive_obs road = {
        .speed_mps = 8, .length_m = 4.5f, .width_m = 1.8f, .rear_overhang_m = 0.9f, .s_m = 2,
        .route_left_m = 50, .path_count = 4,
        .path = {{0, 0, 3.2f, 13.9f}, {2, 0, 3.2f, 13.9f}, {4, 0, 3.2f, 13.9f}, {6, 0, 3.2f, 13.9f}},
    };
    fw_drive_action action = {0};
    fw_policy_act(policy, session, &road, &action);
    return isfinite(action.accel_mps2) && isfinite(action.curvature_pm);
}

/* Copies model `sequence` out of its slot; false when it is not what was announced. */
static bool copy_model(fw_unit_tick *tick, uint64_t sequence, size_t *size_bytes) {
    fw_unit_slot *slot = &tick->shared->slots[sequence & 1];
    *size_bytes = atomic_load(&slot->size_bytes);
    if (*size_bytes > FW_UNIT_MODEL_MAX) return false;
    fw_unit_slot_get(tick->slot_copy, slot->bytes, *size_bytes);
    uint32_t crc = atomic_load(&slot->crc);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load(&tick->shared->model_writing) >= sequence + 2) return false;
    return fw_mcap_crc32(0, tick->slot_copy, *size_bytes) == crc;
}

/* Makes the copied model ready and lets it drive; false: the one before goes on. */
static bool change_model(fw_unit_tick *tick, size_t size_bytes) {
    fw_policy policy;
    fw_policy_session session;
    fw_error error;
    fw_status status = fw_policy_unflatten(tick->slot_copy, size_bytes, &policy, &error);
    if (status != FW_OK) {
        fw_log_error("unit %u: %s", tick->config.unit, error.text);
        return false;
    }
    status = fw_policy_session_open(&policy, &session, &error);
    if (status != FW_OK) fw_log_error("unit %u: %s", tick->config.unit, error.text);
    bool fine = status == FW_OK && self_test(&policy, &session);
    if (!fine) {
        if (status == FW_OK) fw_policy_session_close(&session);
        fw_policy_clear(&policy);
        return false;
    }
    fw_policy_session_close(&tick->session);
    fw_policy_clear(&tick->policy);
    tick->policy = policy;
    tick->session = session;
    return true;
}

bool fw_unit_tick_take_model(fw_unit_tick *tick) {
    fw_unit_shared *shared = tick->shared;
    uint64_t staged = atomic_load_explicit(&shared->model_staged, memory_order_acquire);
    size_t size_bytes = 0;
    if (staged == tick->model_seen) return tick->has_model;
    tick->model_seen = staged;
    if (copy_model(tick, staged, &size_bytes) && change_model(tick, size_bytes)) {
        tick->has_model = true;
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

static void begin_recording(fw_unit_tick *tick, const fw_unit_lived *lived) {
    fw_error error;
    fw_unit_begin begin = {.mono_ns = lived->mono_ns, .wall_ns = lived->wall_ns};
    fw_unit_outlet_begin(&tick->outlet, &begin);
    tick->first_ns = lived->obs->time_ns;
    if (fw_drive_recorder_begin(tick->recorder, fw_unit_outlet_sink(&tick->outlet), tick->name,
                                &error) != FW_OK) {
        fw_log_error("unit %u: %s", tick->config.unit, error.text);
        tick->outlet.fault = true;
    }
}

static void end_routine(fw_unit_tick *tick) {
    fw_unit_outlet *outlet = &tick->outlet;
    fw_drive_recorded done = {0};
    fw_error error;
    if (!outlet->open) return;
    if (fw_drive_recorder_so_far(tick->recorder)->ticks < RECORDING_TICKS_MIN) {
        atomic_store(&tick->shared->unhanded_ticks, 0);
        fw_unit_outlet_drop(outlet);
        return;
    }
    if (!outlet->fault && fw_drive_recorder_end(tick->recorder, &done, &error) != FW_OK) {
        fw_log_error("unit %u: %s", tick->config.unit, error.text);
        outlet->fault = true;
    }
    fw_unit_ended ended = {.ticks = done.ticks, .drive = done.drive, .first_tick = done.first_tick,
                           .first_ns = tick->first_ns, .last_ns = tick->last_ns};
    for (int i = 0; i < FW_DRIVE_EVENT_COUNT; i++) ended.events += done.event_counts[i];
    bool whole = fw_unit_outlet_end(outlet, &ended);
    atomic_store(&tick->shared->unhanded_ticks, 0);
    if (whole && !tick->config.captures_only)
        atomic_fetch_add(&tick->shared->recordings, 1);
}

/* END, FLUSH: the routine recording is closed; captures as far as one answer may wait for them. */
static void end_drive(fw_unit_tick *tick) {
    end_routine(tick);
    fw_unit_captures_end(tick->captures);
    (void)fw_unit_captures_rest(tick->captures);
}

void fw_unit_tick_end_recording(fw_unit_tick *tick) {
    end_drive(tick);
    while (fw_unit_captures_rest(tick->captures)) continue;
}

/* The routine recording's part of a tick. */
static void record(fw_unit_tick *tick, const fw_unit_lived *lived) {
    const fw_drive_obs *obs = lived->obs;
    fw_error error;
    if (tick->outlet.open && !fw_drive_recorder_continues(tick->recorder, obs)) end_routine(tick);
    if (!tick->outlet.open) begin_recording(tick, lived);
    if (tick->outlet.fault) return;
    uint64_t before = tick->outlet.offset;
    atomic_fetch_add(&tick->shared->unhanded_ticks, 1);
    tick->outlet.events += (uint32_t)__builtin_popcount(lived->events);
    tick->last_ns = obs->time_ns;
    if (fw_drive_recorder_tick(tick->recorder, obs, lived->decision, lived->events, lived->values,
                               &error) != FW_OK) {
        fw_log_error("unit %u: recording given up: %s", tick->config.unit, error.text);
        tick->outlet.fault = true;
    }
    if (tick->outlet.offset == before) return;
    atomic_store(&tick->shared->unhanded_ticks, 0);
    fw_unit_wake(tick->shared->ring_wake);
}

/* After the answer: events, the routine recording, campaigns. */
static void remember(fw_unit_tick *tick, const fw_drive_decision *decision, size_t wire_bytes,
                     int64_t mono_ns) {
    double values[FW_DRIVE_EVENT_COUNT] = {0};
    if (tick->events_drive != tick->obs.drive) memset(&tick->events, 0, sizeof tick->events);
    tick->events_drive = tick->obs.drive;
    fw_unit_lived lived = {.obs = &tick->obs, .wire = tick->frame, .wire_bytes = wire_bytes,
                           .decision = decision, .values = values, .mono_ns = mono_ns,
                           .wall_ns = fw_env_wall_ns(fw_env_real())};
    lived.events = fw_drive_events(&tick->events, &tick->obs, decision, values);
    record(tick, &lived);
    fw_unit_captures_tick(tick->captures, &lived);
}

/* ---- one frame ---- */

static bool finite_action(const fw_drive_action *action) {
    return isfinite(action->accel_mps2) && isfinite(action->curvature_pm);
}

/* Policy, then guard. A policy that answers no number brakes fully, wheels straight. */
static fw_drive_decision decide(fw_unit_tick *tick) {
    fw_drive_decision decision = {.model = tick->policy.hash};
    fw_drive_scene_room room;
    fw_drive_scene scene;
    fw_drive_view view;
    fw_drive_scene_of(&tick->obs, &room, &scene);
    fw_drive_look(&scene, &view);
    fw_policy_act_scene(&tick->policy, &tick->session, &scene, &view, &decision.policy);
    if (!finite_action(&decision.policy))
        decision.policy = (fw_drive_action){.accel_mps2 = FW_DRIVE_ACCEL_MIN_MPS2};
    decision.action = decision.policy;
    decision.uncertainty = tick->session.uncertainty;
    decision.uncertain = tick->policy.uncertainty_threshold > 0 &&
                         decision.uncertainty > tick->policy.uncertainty_threshold;
    decision.veto = fw_guard(&scene, &view, &decision.action);
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
        .model = tick->policy.hash,
    };
    fw_bus_act_encode(&act, payload);
    if (decision)
        memcpy(payload + FW_BUS_ACT_BYTES, &decision->action, sizeof decision->action);
    return fw_bus_send(fd, FW_BUS_ACT, tick->config.unit, world_tick, payload,
                       decision ? sizeof payload : FW_BUS_ACT_BYTES, error);
}

static void count_time(fw_unit_shared *shared, int64_t answer_ns, int64_t all_ns) {
    if (answer_ns > tick_ns)
        atomic_fetch_add_explicit(&shared->late_ticks, 1, memory_order_relaxed);
    if ((uint64_t)all_ns > atomic_load_explicit(&shared->worst_tick_ns, memory_order_relaxed))
        atomic_store_explicit(&shared->worst_tick_ns, (uint64_t)all_ns, memory_order_relaxed);
}

static fw_status observe(fw_unit_tick *tick, int fd, const fw_bus_head *head, fw_error *error) {
    FW_TRY(fw_drive_obs_decode(tick->frame, head->size_bytes, &tick->obs, error));
    const fw_env *env = fw_env_real();
    int64_t before_ns = fw_env_mono_ns(env);
    fw_drive_decision decision = decide(tick);
    int64_t decide_ns = fw_env_mono_ns(env) - before_ns;
    FW_TRY(answer(tick, fd, head->tick, &decision, decide_ns, error));
    int64_t answered_ns = fw_env_mono_ns(env);
    remember(tick, &decision, head->size_bytes, before_ns);
    count_time(tick->shared, answered_ns - before_ns, fw_env_mono_ns(env) - before_ns);
    atomic_store_explicit(&tick->shared->tick, tick->obs.tick, memory_order_relaxed);
    atomic_fetch_add_explicit(&tick->shared->ticks, 1, memory_order_relaxed);
    if (decision.veto != FW_GUARD_NONE)
        atomic_fetch_add_explicit(&tick->shared->vetoes, 1, memory_order_relaxed);
    return FW_OK;
}

fw_status fw_unit_tick_once(fw_unit_tick *tick, int fd, int timeout_ms, fw_error *error) {
    fw_bus_head head;
    FW_ASSERT(fw_unit_tick_take_model(tick));
    FW_TRY(fw_bus_receive(fd, &head, tick->frame, timeout_ms, error));
    fw_unit_captures_take_campaigns(tick->captures);
    if (head.unit != tick->config.unit)
        return fw_fail(error, FW_CORRUPT, "bus: a frame for unit %u reached unit %u", head.unit,
                       tick->config.unit);
    switch (head.kind) {
    case FW_BUS_OBSERVE: return observe(tick, fd, &head, error);
    case FW_BUS_END:
    case FW_BUS_FLUSH:
        end_drive(tick);
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
        if (status == FW_TIMEOUT) (void)fw_unit_captures_rest(tick->captures);
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
