/* capture.c - windows around triggers, and their recordings (capture.h). */
#include "unit/tick/capture.h"

#include <stdlib.h>

#include "base/env.h"
#include "base/log.h"
#include "lines/driving/act/signals.h"
#include "unit/tick/history.h"
#include "unit/tick/outlet.h"

typedef enum window_state { WINDOW_NONE, WINDOW_OPEN, WINDOW_COMPLETE, WINDOW_WRITING } window_state;

typedef struct window {
    window_state state;
    char campaign[FW_CAMPAIGN_ID_MAX];
    uint32_t priority, run;
    uint64_t from, end;                      /* sequences of the history; end: one past the last */
    int64_t from_ns, until_ns, trigger_ns;   /* the line's time */
    uint64_t order;                          /* of completion */
} window;

/* What a run has shown so far. */
typedef struct run {
    uint32_t number; /* 0: none yet */
    uint32_t drive, tick, path_end;
    int64_t time_ns;
} run;

struct fw_unit_captures {
    fw_unit_shared *shared;
    char unit[16];
    fw_unit_history *history;
    fw_drive_recorder *recorder;
    fw_unit_outlet outlet;
    uint64_t set_seen;
    fw_unit_campaigns set, next_set;
    fw_campaign_state states[FW_CAMPAIGNS_MAX], next_states[FW_CAMPAIGNS_MAX];
    window windows[FW_UNIT_WINDOWS_MAX];
    window *writing;  /* NULL: none */
    uint64_t written; /* sequence written next */
    uint64_t orders;
    run run;
    int64_t first_ns, last_ns; /* of the capture being written */
    fw_drive_obs obs;          /* decoded from the history */
};

fw_status fw_unit_captures_open(fw_unit_shared *shared, const char *unit, int64_t chunk_ns,
                                fw_unit_captures **out, fw_error *error) {
    fw_unit_captures *c = calloc(1, sizeof *c);
    if (!c) return fw_fail(error, FW_NO_MEMORY, "unit: no memory for captures");
    c->shared = shared;
    c->outlet = (fw_unit_outlet){.shared = shared, .stream = FW_UNIT_CAPTURE};
    FW_ASSERT(strlen(unit) < sizeof c->unit);
    strcpy(c->unit, unit);
    fw_status status = fw_unit_history_open(&c->history, error);
    if (status == FW_OK) status = fw_drive_recorder_open(&c->recorder, error);
    if (status != FW_OK) {
        fw_unit_captures_close(c);
        return status;
    }
    fw_drive_recorder_set_chunk_ns(c->recorder, chunk_ns);
    *out = c;
    return FW_OK;
}

void fw_unit_captures_close(fw_unit_captures *c) {
    if (!c) return;
    fw_drive_recorder_close(c->recorder);
    fw_unit_history_close(c->history);
    free(c);
}

uint32_t fw_unit_captures_campaigns(const fw_unit_captures *c) { return c->set.count; }

/* ---- the list of campaigns ---- */

static bool same_condition(const fw_campaign *a, const fw_campaign *b) {
    return strcmp(a->id, b->id) == 0 && a->op_count == b->op_count &&
           memcmp(a->ops, b->ops, a->op_count * sizeof *a->ops) == 0;
}

/* The counts of a campaign that was there before. */
static fw_campaign_state state_before(fw_unit_captures *c, const fw_campaign *campaign) {
    for (uint32_t i = 0; i < c->set.count; i++)
        if (same_condition(&c->set.list[i], campaign)) return c->states[i];
    fw_unit_spent *spent = fw_unit_spent_find(c->shared, campaign->id); /* before this process */
    if (!spent) return (fw_campaign_state){0};
    return (fw_campaign_state){.captures = atomic_load(&spent->captures),
                               .captured_bytes = atomic_load(&spent->bytes)};
}

void fw_unit_captures_take_campaigns(fw_unit_captures *c) {
    fw_unit_shared *shared = c->shared;
    uint64_t staged = atomic_load_explicit(&shared->campaign_staged, memory_order_acquire);
    if (staged == c->set_seen) return;
    fw_unit_campaign_slot *slot = &shared->sets[staged & 1];
    fw_unit_slot_get(&c->next_set, &slot->set, sizeof c->next_set);
    uint32_t crc = atomic_load(&slot->crc);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load(&shared->campaign_writing) >= staged + 2) return; /* overtaken: look again */
    c->set_seen = staged;
    if (fw_mcap_crc32(0, &c->next_set, sizeof c->next_set) != crc ||
        c->next_set.count > FW_CAMPAIGNS_MAX) {
        fw_log_error("unit %s: a list of campaigns failed its check; the one before goes on", c->unit);
        return;
    }
    for (uint32_t i = 0; i < c->next_set.count; i++)
        c->next_states[i] = state_before(c, &c->next_set.list[i]);
    memcpy(c->states, c->next_states, sizeof c->states);
    c->set = c->next_set;
    atomic_store(&shared->campaign_active, staged);
    fw_unit_wake(shared->net_wake);
}

/* ---- windows ---- */

static window *find_window(fw_unit_captures *c, window_state state, const char *campaign) {
    for (int i = 0; i < FW_UNIT_WINDOWS_MAX; i++) {
        window *w = &c->windows[i];
        if (w->state == state && (!campaign || strcmp(w->campaign, campaign) == 0)) return w;
    }
    return NULL;
}

static void complete(fw_unit_captures *c, window *w) {
    w->state = WINDOW_COMPLETE;
    w->end = fw_unit_history_next(c->history);
    w->order = c->orders++;
}

/* All open windows, or those whose time is over. */
static void complete_windows(fw_unit_captures *c, bool all, int64_t time_ns) {
    for (int i = 0; i < FW_UNIT_WINDOWS_MAX; i++) {
        window *w = &c->windows[i];
        if (w->state == WINDOW_OPEN && (all || time_ns >= w->until_ns)) complete(c, w);
    }
}

/* To the millisecond, as conditions count: 0.7 s as a float is no tick less, 0.1 s none more. */
static int64_t seconds_ns(double seconds) { return (int64_t)(seconds * 1000 + 0.5) * 1000000; }

/* The oldest tick of this run that is not before from_ns; the run's ticks lie together at the end. */
static uint64_t find_from(const fw_unit_captures *c, int64_t from_ns) {
    uint64_t at = fw_unit_history_next(c->history);
    while (at > fw_unit_history_oldest(c->history)) {
        const void *obs;
        const fw_unit_past *past = fw_unit_history_get(c->history, at - 1, &obs);
        if (past->run != c->run.number || past->time_ns < from_ns) break;
        at--;
    }
    return at;
}

/* Seconds before that memory no longer has: routine recordings may have them. */
static void promote(fw_unit_captures *c, const window *w, const fw_unit_past *first) {
    fw_unit_promote wanted = {.priority = w->priority, .drive = first->drive, .from_ns = w->from_ns,
                              .to_ns = first->time_ns};
    if (first->time_ns <= w->from_ns) return;
    memcpy(wanted.campaign, w->campaign, sizeof wanted.campaign);
    fw_unit_piece piece = {.kind = FW_UNIT_PIECE_PROMOTE, .size_bytes = sizeof wanted};
    (void)fw_unit_ring_put(&c->shared->ring, &piece, &wanted); /* full: more important things wait */
}

static void open_window(fw_unit_captures *c, uint32_t index, int64_t time_ns) {
    const fw_campaign *campaign = &c->set.list[index];
    const void *obs;
    window *w = find_window(c, WINDOW_NONE, NULL);
    if (!w) { /* all wait to be written: this tick gets none, the next one asks again */
        atomic_fetch_add(&c->shared->missed_ticks, 1);
        return;
    }
    *w = (window){.state = WINDOW_OPEN, .priority = campaign->priority, .run = c->run.number,
                  .trigger_ns = time_ns,
                  .from_ns = time_ns - seconds_ns((double)campaign->before_s),
                  .until_ns = time_ns + seconds_ns((double)campaign->after_s)};
    memcpy(w->campaign, campaign->id, sizeof w->campaign);
    w->from = find_from(c, w->from_ns);
    promote(c, w, fw_unit_history_get(c->history, w->from, &obs));
    c->states[index].captures++;
    atomic_fetch_add(&c->shared->triggers, 1);
}

static void trigger(fw_unit_captures *c, uint32_t index, int64_t time_ns) {
    const fw_campaign *campaign = &c->set.list[index];
    window *w = find_window(c, WINDOW_OPEN, campaign->id);
    if (!w) {
        open_window(c, index, time_ns);
        return;
    }
    int64_t until_ns = time_ns + seconds_ns((double)campaign->after_s);
    int64_t most_ns = w->from_ns + seconds_ns(FW_UNIT_CAPTURE_MAX_S);
    w->until_ns = until_ns < most_ns ? until_ns : most_ns;
}

/* ---- runs ---- */

static bool goes_on(const run *r, const fw_drive_obs *obs) {
    bool route_gap = obs->path_count > 0 && r->path_end > 0 && obs->path_first > r->path_end;
    return r->number > 0 && obs->drive == r->drive && obs->tick > r->tick &&
           obs->time_ns >= r->time_ns && !route_gap;
}

static void follow_run(fw_unit_captures *c, const fw_drive_obs *obs) {
    run *r = &c->run;
    if (!goes_on(r, obs)) {
        complete_windows(c, true, 0);
        for (uint32_t i = 0; i < c->set.count; i++) fw_campaign_restart(&c->states[i]);
        *r = (run){.number = r->number + 1, .drive = obs->drive};
    }
    r->tick = obs->tick;
    r->time_ns = obs->time_ns;
    if (obs->path_count > 0) r->path_end = obs->path_first + obs->path_count;
}

/* ---- writing ---- */

static window *next_to_write(fw_unit_captures *c) {
    window *best = NULL;
    for (int i = 0; i < FW_UNIT_WINDOWS_MAX; i++) {
        window *w = &c->windows[i];
        if (w->state == WINDOW_COMPLETE && (!best || w->order < best->order)) best = w;
    }
    return best;
}

/* The unit's clocks at a tick of the past. */
static void begin_capture(fw_unit_captures *c, window *w, const fw_unit_lived *now) {
    const void *obs;
    const fw_env *env = fw_env_real();
    fw_error error;
    if (w->from < fw_unit_history_oldest(c->history)) {
        atomic_fetch_add(&c->shared->missed_ticks, fw_unit_history_oldest(c->history) - w->from);
        w->from = fw_unit_history_oldest(c->history);
    }
    w->state = WINDOW_WRITING;
    c->writing = w;
    c->written = w->from;
    if (w->from >= w->end) return; /* nothing left of it */
    const fw_unit_past *first = fw_unit_history_get(c->history, w->from, &obs);
    int64_t mono_ns = now ? now->mono_ns : fw_env_mono_ns(env);
    int64_t wall_ns = now ? now->wall_ns : fw_env_wall_ns(env);
    fw_unit_begin begin = {.priority = w->priority, .trigger_ns = w->trigger_ns,
                           .mono_ns = first->mono_ns, .wall_ns = wall_ns - (mono_ns - first->mono_ns)};
    memcpy(begin.campaign, w->campaign, sizeof begin.campaign);
    promote(c, w, first);
    fw_unit_outlet_begin(&c->outlet, &begin);
    if (fw_drive_recorder_begin(c->recorder, fw_unit_outlet_sink(&c->outlet), c->unit, &error) != FW_OK) {
        fw_log_error("unit %s: capture: %s", c->unit, error.text);
        c->outlet.fault = true;
    }
    fw_drive_recorder_mark(c->recorder, w->campaign, w->trigger_ns);
}

static void count_bytes(fw_unit_captures *c, const char *campaign, uint64_t size_bytes) {
    for (uint32_t i = 0; i < c->set.count; i++)
        if (strcmp(c->set.list[i].id, campaign) == 0) c->states[i].captured_bytes += size_bytes;
}

static void end_capture(fw_unit_captures *c) {
    window *w = c->writing;
    fw_drive_recorded done = {0};
    fw_error error;
    c->writing = NULL;
    w->state = WINDOW_NONE;
    if (!c->outlet.open) return;
    if (fw_drive_recorder_so_far(c->recorder)->ticks < 2) {
        fw_unit_outlet_drop(&c->outlet);
        return;
    }
    if (!c->outlet.fault && fw_drive_recorder_end(c->recorder, &done, &error) != FW_OK) {
        fw_log_error("unit %s: capture: %s", c->unit, error.text);
        c->outlet.fault = true;
    }
    fw_unit_ended ended = {.ticks = done.ticks, .drive = done.drive, .first_tick = done.first_tick,
                           .first_ns = c->first_ns, .last_ns = c->last_ns};
    for (int i = 0; i < FW_DRIVE_EVENT_COUNT; i++) ended.events += done.event_counts[i];
    count_bytes(c, w->campaign, c->outlet.offset);
    if (!fw_unit_outlet_end(&c->outlet, &ended)) return;
    atomic_fetch_add(&c->shared->captures, 1);
    atomic_fetch_add(&c->shared->recordings, 1);
}

/* One tick of the past; false when the capture must end before it. */
static bool write_one(fw_unit_captures *c, uint64_t sequence) {
    const void *wire;
    fw_error error;
    const fw_unit_past *past = fw_unit_history_get(c->history, sequence, &wire);
    if (c->outlet.fault || past->run != c->writing->run) return false;
    if (fw_drive_obs_decode(wire, past->obs_bytes, &c->obs, &error) != FW_OK ||
        !fw_drive_recorder_continues(c->recorder, &c->obs))
        return false;
    if (fw_drive_recorder_tick(c->recorder, &c->obs, &past->decision, past->events, past->values,
                               &error) != FW_OK) {
        fw_log_error("unit %s: capture given up: %s", c->unit, error.text);
        c->outlet.fault = true;
        return false;
    }
    c->outlet.events += (uint32_t)__builtin_popcount(past->events);
    if (sequence == c->writing->from) c->first_ns = past->time_ns;
    c->last_ns = past->time_ns;
    return true;
}

/* Writes at most `ticks` ticks, at least 1, of one capture; returns how many (the capture's end counts as
 * one), 0 when nothing is left to write. */
static uint32_t write_some(fw_unit_captures *c, uint32_t ticks, const fw_unit_lived *now) {
    if (!c->writing) {
        window *w = next_to_write(c);
        if (!w) return 0;
        begin_capture(c, w, now);
    }
    for (uint32_t i = 0; i < ticks; i++) {
        bool gone = c->written < fw_unit_history_oldest(c->history);
        if (gone && c->written < c->writing->end)
            atomic_fetch_add(&c->shared->missed_ticks, c->writing->end - c->written);
        if (gone || c->written >= c->writing->end || !write_one(c, c->written)) {
            end_capture(c);
            return i + 1;
        }
        c->written++;
    }
    return ticks;
}

/* ---- one tick ---- */

void fw_unit_captures_tick(fw_unit_captures *c, const fw_unit_lived *l) {
    double signals[FW_DRIVE_SIGNAL_COUNT];
    fw_unit_past past = {.obs_bytes = (uint32_t)l->wire_bytes, .drive = l->obs->drive,
                         .events = l->events, .time_ns = l->obs->time_ns, .mono_ns = l->mono_ns,
                         .decision = *l->decision};
    memcpy(past.values, l->values, sizeof past.values);
    follow_run(c, l->obs);
    past.run = c->run.number;
    fw_unit_history_push(c->history, &past, l->wire);
    if (c->set.count > 0) {
        fw_drive_signals_of(l->obs, l->decision, l->events, signals);
        for (uint32_t i = 0; i < c->set.count; i++)
            if (fw_campaign_step(&c->set.list[i], &c->states[i], c->unit, signals, l->obs->time_ns,
                                 l->wall_ns))
                trigger(c, i, l->obs->time_ns);
    }
    complete_windows(c, false, l->obs->time_ns);
    (void)write_some(c, FW_UNIT_CAPTURE_TICKS, l);
}

void fw_unit_captures_end(fw_unit_captures *c) { complete_windows(c, true, 0); }

bool fw_unit_captures_rest(fw_unit_captures *c) {
    for (uint32_t left = FW_UNIT_CAPTURE_REST_TICKS; left > 0;) {
        uint32_t wrote = write_some(c, left, NULL);
        if (wrote == 0) return false;
        left -= wrote;
    }
    return true;
}
