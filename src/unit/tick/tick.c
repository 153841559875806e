/* tick.c - observe, decide, answer, record (tick.h). */
#include "unit/tick/tick.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/env.h"
#include "base/log.h"
#include "bus/bus.h"
#include "lines/driving/act/recorder.h"
#include "unit/tick/capture.h"
#include "unit/tick/outlet.h"
#include "unit/tick/safe.h"
#include "unit/tick/seat.h"
#include "unit/tick/shadow.h"
#include "unit/tick/watch.h"

enum { POLL_MS = 200, CONNECT_MS = 500, MODEL_WAIT_MS = 10, RECORDING_TICKS_MIN = 2 };
static const int64_t tick_ns = 100000000; /* FW_DRIVE_TICK_S */

struct fw_unit_tick {
    fw_unit_tick_config config;
    fw_unit_shared *shared;
    char name[16]; /* the unit's number as text */
    fw_unit_seat seat, spare; /* the model that drives; the one to fall back to at once */
    fw_unit_watch watch;      /* of the one that drives */
    fw_unit_shadow shadow;
    bool safe;          /* the safe controller drives */
    uint8_t *slot_copy; /* (FW_UNIT_MODEL_MAX) a staged model's bytes, while they are checked */
    fw_drive_scene_room room; /* of the tick that is lived */
    fw_drive_scene scene;
    fw_drive_view view;
    fw_drive_event_state events;
    uint32_t events_drive;
    fw_drive_recorder *recorder;
    fw_unit_outlet outlet;
    int64_t first_ns, last_ns; /* the line's time in the open recording */
    fw_unit_captures *captures;
    fw_drive_obs obs;
    uint8_t frame[FW_BUS_PAYLOAD_MAX];
};

static void add(_Atomic uint64_t *count, uint64_t more) {
    atomic_fetch_add_explicit(count, more, memory_order_relaxed);
}

static int64_t thread_cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Would anything else drive? */
static bool has_other(fw_unit_shared *shared, uint64_t sequence) {
    uint64_t other = atomic_load(&shared->models.slots[(sequence & 1) ^ 1].sequence);
    return other != 0 && other < sequence && atomic_load(&shared->model_bad[other & 1]) != other;
}

/* A process before this one has died: whose fault is it taken to be? One that never proved itself is
 * blamed at once where there is another one to drive. */
static void blame_the_dead(fw_unit_shared *shared) {
    uint64_t taking = atomic_exchange(&shared->model_taking, 0), shadow = atomic_exchange(&shared->shadow_taking, 0);
    uint64_t culprit = taking ? taking : atomic_load(&shared->model_active);
    if (atomic_fetch_add(&shared->tick_starts, 1) == 0) return;
    if (shadow != 0) { /* it decides nothing, and who drives is not to blame for it */
        atomic_store(&shared->shadow_active, 0);
        atomic_store(&shared->shadow_refused, shadow);
        fw_log_error("unit: the shadow is dropped: the process died with it");
        return;
    }
    uint32_t row = atomic_fetch_add(&shared->crash_row, 1) + 1;
    atomic_fetch_add(&shared->health.crashes, 1);
    if (culprit == 0) return;
    bool proven = culprit == atomic_load(&shared->model_good) ||
                  culprit <= atomic_load(&shared->model_approved);
    if ((proven || !has_other(shared, culprit)) && row < FW_UNIT_CRASH_ROW) return;
    fw_unit_seat_refuse(shared, culprit, FW_UNIT_REFUSED_CRASH);
    atomic_store(&shared->crash_row, 0);
}

fw_status fw_unit_tick_open(const fw_unit_tick_config *config, fw_unit_shared *shared,
                            fw_unit_tick **out, fw_error *error) {
    fw_unit_tick *tick = calloc(1, sizeof *tick);
    if (!tick) return fw_fail(error, FW_NO_MEMORY, "unit: no memory for the tick");
    tick->config = *config;
    tick->shared = shared;
    atomic_fetch_add(&shared->lost_ticks, atomic_exchange(&shared->unhanded_ticks, 0)); /* of one that died */
    if (!tick->config.env) tick->config.env = fw_env_real();
    if (!tick->config.cpu_ns) tick->config.cpu_ns = thread_cpu_ns;
    blame_the_dead(shared);
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
    fw_unit_seat_clear(&tick->seat);
    fw_unit_seat_clear(&tick->spare);
    fw_unit_shadow_close(&tick->shadow);
    free(tick->slot_copy);
    free(tick);
}

/* ---- the model ---- */

/* Health is counted anew for every model, and once for the safe controller. */
static void begin_health(fw_unit_shared *shared, uint64_t sequence, bool fell_back) {
    fw_unit_health *h = &shared->health;
    if (sequence != 0 && atomic_load(&h->sequence) == sequence) return; /* a new process, the same model */
    _Atomic uint64_t *const counts[] = {&h->ticks, &h->distance_mm, &h->events, &h->vetoes, &h->late_ticks,
                                        &h->crashes, &h->fallbacks, &h->shadow_ticks, &h->shadow_disagreements};
    atomic_store(&h->sequence, 0);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) atomic_store(counts[i], 0);
    if (fell_back) atomic_store(&h->fallbacks, 1);
    atomic_store(&h->sequence, sequence);
}

/* The one that drove makes room: it stays ready behind a newer one, unless it never proved itself. */
static void leave_seat(fw_unit_tick *tick) {
    bool refused = tick->seat.sequence != 0 &&
                   atomic_load(&tick->shared->model_bad[tick->seat.sequence & 1]) == tick->seat.sequence;
    if (refused || tick->watch.on || tick->seat.sequence == 0) {
        fw_unit_seat_clear(&tick->seat);
        return;
    }
    fw_unit_seat_clear(&tick->spare);
    tick->spare = tick->seat;
    tick->seat = (fw_unit_seat){0};
}

/* Lets `seat` drive from the next tick on. */
static void enter_seat(fw_unit_tick *tick, fw_unit_seat *seat) {
    fw_unit_shared *shared = tick->shared;
    fw_unit_seat next = *seat;
    *seat = (fw_unit_seat){0};
    bool falls_back = next.sequence < atomic_load(&shared->models.staged);
    leave_seat(tick);
    tick->seat = next;
    tick->safe = false;
    atomic_store(&shared->safe, false);
    bool proven = next.sequence == atomic_load(&shared->model_good) ||
                  next.sequence <= atomic_load(&shared->model_approved);
    tick->watch = (fw_unit_watch){.on = !proven};
    begin_health(shared, next.sequence, falls_back);
    atomic_store(&shared->model_active, next.sequence);
}

/* After a start in the middle of a trial the last-known-good has not driven in this process: it takes the spare seat,
 * for it is asked beside the one on trial (watch.h). Where it cannot be had the trial goes on without. */
static void fill_spare(fw_unit_tick *tick) {
    fw_unit_shared *shared = tick->shared;
    uint64_t good = atomic_load(&shared->model_good);
    if (!tick->watch.on || tick->spare.sequence != 0 || good == 0 || good >= tick->seat.sequence) return;
    atomic_store(&shared->model_taking, good);
    (void)fw_unit_seat_take(&tick->spare, &shared->models, good, tick->slot_copy);
    atomic_store(&shared->model_taking, 0);
}

/* Nothing is left: fixed rules stop the car (safe.h). */
static void enter_safe(fw_unit_tick *tick) {
    if (tick->safe) return;
    fw_log_error("unit %u: no model is left; stopping", tick->config.unit);
    leave_seat(tick);
    tick->safe = true;
    tick->watch.on = false;
    begin_health(tick->shared, 0, true);
    atomic_store(&tick->shared->model_active, 0);
    atomic_store(&tick->shared->safe, true);
}

/* Gets `wanted` ready: out of the spare seat, or out of its slot. */
static fw_unit_seated get_ready(fw_unit_tick *tick, uint64_t wanted) {
    fw_unit_seat fresh = {0};
    if (tick->spare.sequence == wanted) {
        enter_seat(tick, &tick->spare);
        return FW_UNIT_SEATED;
    }
    atomic_store(&tick->shared->model_taking, wanted);
    fw_unit_seated seated = fw_unit_seat_take(&fresh, &tick->shared->models, wanted, tick->slot_copy);
    if (seated == FW_UNIT_SEATED) enter_seat(tick, &fresh);
    atomic_store(&tick->shared->model_taking, 0);
    if (seated == FW_UNIT_SEATED) fill_spare(tick);
    return seated;
}

bool fw_unit_tick_take_model(fw_unit_tick *tick) {
    fw_unit_shared *shared = tick->shared;
    for (int tries = 0; tries < 3; tries++) { /* the staged one, the other one, none */
        uint64_t wanted = fw_unit_seat_wanted(shared);
        if (wanted == 0) {
            bool had = atomic_load(&shared->models.staged) != 0 || atomic_load(&shared->safe_wanted);
            if (had) enter_safe(tick);
            return had;
        }
        if (wanted == tick->seat.sequence) return true;
        fw_unit_seated seated = get_ready(tick, wanted);
        fw_unit_wake(shared->net_wake);
        if (seated == FW_UNIT_SEATED) return true;
        if (seated == FW_UNIT_SEAT_OVERTAKEN) continue;
        fw_unit_seat_refuse(shared, wanted, FW_UNIT_REFUSED_CHECK);
        fw_log_error("unit %u: model %llu failed its check", tick->config.unit, (unsigned long long)wanted);
    }
    return tick->seat.sequence != 0 || tick->safe;
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
                           .wall_ns = fw_env_wall_ns(tick->config.env)};
    lived.events = fw_drive_events(&tick->events, &tick->obs, decision, values);
    add(&tick->shared->health.events, (uint64_t)__builtin_popcount(lived.events));
    record(tick, &lived);
    fw_unit_captures_tick(tick->captures, &lived);
}

/* ---- one frame ---- */

/* Policy, then guard. A policy that answers no number brakes fully, wheels straight. *finite: it did not. */
static fw_drive_decision decide(fw_unit_tick *tick, bool *finite) {
    fw_drive_decision decision = {.model = tick->seat.policy.hash};
    fw_drive_scene_of(&tick->obs, &tick->room, &tick->scene);
    fw_drive_look(&tick->scene, &tick->view);
    if (tick->safe)
        fw_unit_safe_act(&tick->view, &decision.policy);
    else
        fw_policy_act_scene(&tick->seat.policy, &tick->seat.session, &tick->scene, &tick->view,
                            &decision.policy);
    *finite = fw_unit_seat_finite(&decision.policy);
    if (!*finite) decision.policy = (fw_drive_action){.accel_mps2 = FW_DRIVE_ACCEL_MIN_MPS2};
    decision.action = decision.policy;
    decision.uncertainty = tick->seat.session.uncertainty;
    decision.uncertain = tick->seat.policy.uncertainty_threshold > 0 &&
                         decision.uncertainty > tick->seat.policy.uncertainty_threshold;
    decision.veto = fw_guard(&tick->scene, &tick->view, &decision.action);
    return decision;
}

/* Vetoed, and the last-known-good would not have been: watch.h. */
static bool is_lone_veto(fw_unit_tick *tick, const fw_drive_decision *decision) {
    fw_drive_action other = {0};
    if (!tick->watch.on || decision->veto == FW_GUARD_NONE || tick->spare.sequence == 0) return false;
    fw_policy_act_scene(&tick->spare.policy, &tick->spare.session, &tick->scene, &tick->view, &other);
    return fw_guard(&tick->scene, &tick->view, &other) == FW_GUARD_NONE;
}

/* After the answer: the verdict of the watch, and the shadow. */
static void judge(fw_unit_tick *tick, const fw_drive_decision *decision, bool finite, int64_t cpu_ns) {
    fw_unit_shared *shared = tick->shared;
    fw_unit_watched lived = {.finite = finite, .decide_cpu_ns = cpu_ns};
    if (tick->safe) return;
    atomic_store_explicit(&shared->deciding_since_ns, fw_env_mono_ns(tick->config.env), memory_order_relaxed);
    lived.lone_veto = is_lone_veto(tick, decision);
    bool watched = tick->watch.on;
    fw_unit_refusal why = fw_unit_watch_tick(&tick->watch, &lived);
    if (why != FW_UNIT_REFUSED_NOT) {
        fw_log_error("unit %u: model %.12s is refused (%s) after %u ticks of its watch", tick->config.unit,
                     tick->seat.policy.hash.hex, fw_unit_refusal_name(why), tick->watch.ticks);
        fw_unit_seat_refuse(shared, tick->seat.sequence, why);
    } else if (watched && !tick->watch.on) {
        atomic_store(&shared->model_approved, tick->seat.sequence);
        fw_unit_wake(shared->net_wake);
    }
    fw_unit_shadow_tick(&tick->shadow, shared, &tick->scene, &tick->view, &decision->policy,
                        tick->config.cpu_ns);
    atomic_store_explicit(&shared->deciding_since_ns, 0, memory_order_relaxed);
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
        .model = tick->seat.policy.hash,
    };
    fw_bus_act_encode(&act, payload);
    if (decision)
        memcpy(payload + FW_BUS_ACT_BYTES, &decision->action, sizeof decision->action);
    return fw_bus_send(fd, FW_BUS_ACT, tick->config.unit, world_tick, payload,
                       decision ? sizeof payload : FW_BUS_ACT_BYTES, error);
}

static void count_time(fw_unit_shared *shared, int64_t answer_ns, int64_t all_ns) {
    if (answer_ns > tick_ns) {
        add(&shared->late_ticks, 1);
        add(&shared->health.late_ticks, 1);
    }
    if ((uint64_t)all_ns > atomic_load_explicit(&shared->worst_tick_ns, memory_order_relaxed))
        atomic_store_explicit(&shared->worst_tick_ns, (uint64_t)all_ns, memory_order_relaxed);
}

static void count_tick(fw_unit_tick *tick, const fw_drive_decision *decision) {
    fw_unit_shared *shared = tick->shared;
    fw_unit_health *health = &shared->health;
    bool vetoed = decision->veto != FW_GUARD_NONE;
    float speed_mps = tick->obs.speed_mps;
    atomic_store_explicit(&shared->tick, tick->obs.tick, memory_order_relaxed);
    add(&shared->ticks, 1);
    add(&shared->vetoes, vetoed);
    add(&health->ticks, 1);
    add(&health->vetoes, vetoed);
    if (speed_mps > 0 && speed_mps < 200)
        add(&health->distance_mm, (uint64_t)(speed_mps * FW_DRIVE_TICK_S * 1000));
    if (atomic_load_explicit(&health->ticks, memory_order_relaxed) % FW_UNIT_WATCH_TICKS == 0)
        atomic_store_explicit(&shared->crash_row, 0, memory_order_relaxed);
}

static fw_status observe(fw_unit_tick *tick, int fd, const fw_bus_head *head, fw_error *error) {
    FW_TRY(fw_drive_obs_decode(tick->frame, head->size_bytes, &tick->obs, error));
    const fw_env *env = tick->config.env;
    bool finite = true;
    int64_t before_ns = fw_env_mono_ns(env), cpu_ns = tick->config.cpu_ns();
    atomic_store_explicit(&tick->shared->deciding_since_ns, before_ns, memory_order_relaxed);
    fw_drive_decision decision = decide(tick, &finite);
    cpu_ns = tick->config.cpu_ns() - cpu_ns;
    atomic_store_explicit(&tick->shared->deciding_since_ns, 0, memory_order_relaxed);
    int64_t decide_ns = fw_env_mono_ns(env) - before_ns;
    FW_TRY(answer(tick, fd, head->tick, &decision, decide_ns, error));
    int64_t answered_ns = fw_env_mono_ns(env);
    remember(tick, &decision, head->size_bytes, before_ns);
    count_tick(tick, &decision);
    count_time(tick->shared, answered_ns - before_ns, fw_env_mono_ns(env) - before_ns);
    judge(tick, &decision, finite, cpu_ns);
    return FW_OK;
}

fw_status fw_unit_tick_once(fw_unit_tick *tick, int fd, int timeout_ms, fw_error *error) {
    fw_bus_head head;
    FW_ASSERT(fw_unit_tick_take_model(tick));
    fw_unit_shadow_take(&tick->shadow, tick->shared, tick->slot_copy);
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
    const fw_env *env = tick->config.env;
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
