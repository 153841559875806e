#include "factory/rollout/detection.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

static const double step_h = 0.5, ticks_per_s = 10;
enum { STEPS_MAX = 20000 };

static const fw_harm harms[] = {{"harmless", 1, 1, -1, 0},
                                {"events x1.2", 1.2, 1, -1, 0},
                                {"events x1.5", 1.5, 1, -1, 0},
                                {"events x2", 2, 1, -1, 0},
                                {"events x5", 5, 1, -1, 0},
                                {"crash on start", 1, 1, -1, 1},
                                {"crash on start, 1 in 20", 1, 1, -1, 0.05},
                                {"slow tick, 5 % late", 1, 1, 0.05, 0}};

const fw_harm *fw_harms(int *count) {
    *count = sizeof harms / sizeof *harms;
    return harms;
}

fw_detection_world fw_detection_world_of(void) {
    return (fw_detection_world){.events_per_km = 0.05,
                                .vetoes_per_km = 0.2,
                                .late_share = 1e-4,
                                .crashes_per_hour = 1e-4,
                                .unit_shape = 2,
                                .hour_shape = 4,
                                .day_swing = 0.5,
                                .driving_share = 0.2,
                                .speed_kmh = 30,
                                .takes_share = 0.5,
                                .silent_share = 0.03};
}

/* ---- chance ---- */

static double unit_of(fw_random *r) {
    return ((double)fw_random_u32(r) + 0.5) / 4294967296.0;
}

/* Gamma of mean 1 (Marsaglia and Tsang 2000; shape >= 1). */
static double gamma_of(fw_random *r, double shape) {
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = (double)fw_random_normal(r), v = 1 + c * x;
        if (v <= 0) continue;
        v = v * v * v;
        if (log(unit_of(r)) < 0.5 * x * x + d - d * v + d * log(v)) return d * v / shape;
    }
}

/* Poisson: by products of uniforms (Knuth), of large means in halves. */
static uint64_t poisson(fw_random *r, double mean) {
    uint64_t count = 0;
    for (; mean > 30; mean -= 30) count += poisson(r, 30);
    double limit = exp(-mean), product = unit_of(r);
    for (; product > limit; product *= unit_of(r)) count++;
    return count;
}

/* ---- the fleet ---- */

typedef struct fleet {
    const fw_rollout_plan *plan;
    const fw_detection_world *world;
    const fw_harm *harm;
    fw_random random;
    uint32_t count, simulated; /* units, in the order of the rollout; those that live in this ring */
    double *habits;            /* (count) a unit's own factor; 0: not drawn yet */
    fw_rollout_unit *units;    /* (count) */
    double exposed_km;
} fleet;

static void begin_ring(fleet *f, uint32_t ring) {
    uint32_t reach = fw_rollout_plan_reach(f->plan, ring, f->count), most = reach + FW_DETECTION_CONTROL;
    bool shadow = f->plan->rings[ring].shadow;
    f->simulated = most < f->count ? most : f->count;
    for (uint32_t i = 0; i < f->simulated; i++) {
        fw_rollout_unit *u = &f->units[i];
        if (f->habits[i] <= 0) {
            f->habits[i] = gamma_of(&f->random, f->world->unit_shape);
            u->heard = unit_of(&f->random) >= f->world->silent_share;
        }
        u->lived = u->window = (fw_health){0};
        if (shadow) u->state = i < reach ? FW_ROLLOUT_ACTIVE : FW_ROLLOUT_CONTROL;
        else if (ring > 0 && f->plan->rings[ring - 1].shadow) u->state = FW_ROLLOUT_CONTROL;
        if (!shadow && i < reach && u->state == FW_ROLLOUT_CONTROL) u->state = FW_ROLLOUT_TOLD;
    }
}

/* It takes the model, and some fall over at once. */
static void take(fleet *f, fw_rollout_unit *u) {
    if (!u->heard || unit_of(&f->random) >= f->world->takes_share) return;
    u->state = FW_ROLLOUT_ACTIVE;
    u->lived = u->window = (fw_health){0};
    if (unit_of(&f->random) >= f->harm->crash_share) return;
    u->crashes++;
    u->fallbacks++;
    u->state = FW_ROLLOUT_FAILED;
}

/* Half an hour on the road; with the model or without it. */
static void drive(fleet *f, uint32_t i, bool with, double hour, bool shadow) {
    const fw_detection_world *w = f->world;
    fw_rollout_unit *u = &f->units[i];
    double km = w->speed_kmh * step_h, ticks = step_h * 3600 * ticks_per_s;
    double habit = f->habits[i] * gamma_of(&f->random, w->hour_shape) * hour;
    double late = with && f->harm->late_share >= 0 ? f->harm->late_share : w->late_share;
    fw_health lived = {.ticks = (uint64_t)ticks, .distance_m = 1000 * km};
    lived.events = poisson(&f->random, habit * km * w->events_per_km * (with ? f->harm->events : 1));
    lived.vetoes = poisson(&f->random, habit * km * w->vetoes_per_km * (with ? f->harm->vetoes : 1));
    lived.late_ticks = poisson(&f->random, ticks * late);
    if (shadow) lived.shadow_ticks = (uint64_t)ticks;
    fw_health_since(&(fw_health){0}, &lived, &u->lived);
    fw_health_since(&(fw_health){0}, &lived, &u->window);
    if (!with) return;
    u->crashes += (uint32_t)poisson(&f->random, w->crashes_per_hour * step_h);
    f->exposed_km += km;
}

static void live(fleet *f, uint32_t ring, double at_h) {
    const double pi = 3.14159265358979323846;
    bool shadow = f->plan->rings[ring].shadow;
    double hour = 1 + f->world->day_swing * sin(2 * pi * at_h / 24);
    for (uint32_t i = 0; i < f->simulated; i++) {
        fw_rollout_unit *u = &f->units[i];
        if (u->state == FW_ROLLOUT_TOLD) take(f, u);
        if (!u->heard || unit_of(&f->random) >= f->world->driving_share) continue;
        drive(f, i, u->state == FW_ROLLOUT_ACTIVE && !shadow, hour, shadow && u->state == FW_ROLLOUT_ACTIVE);
    }
}

static void begin_windows(fleet *f) {
    for (uint32_t i = 0; i < f->simulated; i++) f->units[i].window = (fw_health){0};
}

/* From ring to ring until it ends. */
static void roll(fleet *f, fw_detection *out) {
    fw_rollout_evidence seen = {0};
    double begun_h = 0;
    uint32_t ring = 0;
    begin_ring(f, ring);
    for (int step = 1; step < STEPS_MAX; step++) {
        double at_h = step * step_h;
        live(f, ring, at_h);
        bool settled = seen.settled;
        fw_rollout_look(f->plan, ring, (at_h - begun_h) * 3600, settled, f->units, f->simulated, &seen);
        if (seen.settled && !settled) begin_windows(f);
        if (seen.action == FW_ROLLOUT_ADVANCE) {
            begin_ring(f, ++ring);
            seen.settled = false;
            begun_h = at_h;
        }
        out->hours = at_h;
        if (seen.action == FW_ROLLOUT_HALT || seen.action == FW_ROLLOUT_DONE) break;
    }
    out->end = seen.action;
    out->ring = ring;
    out->exposed = f->plan->rings[ring].shadow ? 0 : fw_rollout_plan_reach(f->plan, ring, f->count);
    out->exposed_km = f->exposed_km;
    memcpy(out->reason, seen.reason, sizeof out->reason);
}

fw_status fw_detect(const fw_rollout_plan *plan, const fw_detection_world *world, const fw_harm *harm, uint32_t units,
                    uint64_t seed, fw_detection *out, fw_error *error) {
    fleet f = {.plan = plan, .world = world, .harm = harm, .count = units,
               .random = fw_random_named(seed, harm->name)};
    f.habits = calloc(units, sizeof *f.habits);
    f.units = calloc(units, sizeof *f.units);
    fw_status status = f.habits && f.units ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a fleet");
    if (status == FW_OK) roll(&f, out);
    free(f.habits);
    free(f.units);
    return status;
}
