#include "factory/rollout/engine.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gate/sequential.h"

static const char *const action_names[] = {"wait", "advance", "halt", "done"};
static const char *const measure_names[] = {"events", "vetoes", "late_ticks"};

const char *fw_rollout_action_name(fw_rollout_action action) {
    return action_names[action];
}

const char *fw_rollout_measure_name(fw_rollout_measure measure) {
    return measure_names[measure];
}

static uint64_t count_of(const fw_health *health, fw_rollout_measure measure) {
    return measure == FW_MEASURE_EVENTS   ? health->events
           : measure == FW_MEASURE_VETOES ? health->vetoes
                                          : health->late_ticks;
}

/* Kilometres, or ticks. */
static double exposure_of(const fw_health *health, fw_rollout_measure measure) {
    return measure == FW_MEASURE_LATE ? (double)health->ticks : health->distance_m / 1000;
}

static double rate_of(const fw_health *health, fw_rollout_measure measure) {
    double exposure = exposure_of(health, measure);
    return exposure > 0 ? (double)count_of(health, measure) / exposure : NAN;
}

/* ---- no unit weighs more than others ---- */

/* The most that one unit of a group counts for; INFINITY: any, where they are few. */
typedef struct weight {
    double metres, ticks;
} weight;

/* Exposures by quarters of a power of two, from 2^-POWERS_BELOW on; what is not driven stands nowhere. */
enum { POWERS = 96, POWERS_BELOW = 16, QUARTERS = 4, BINS = POWERS * QUARTERS };
static const double quarter_from[QUARTERS] = {0.5, 0.5946035575013605, 0.7071067811865476, 0.8408964152537145};

static double ticks_of(const fw_health *health) {
    return fmax((double)health->ticks, (double)health->shadow_ticks);
}

static void note_exposure(uint32_t bins[BINS], double exposure) {
    int power = 0, quarter = QUARTERS - 1;
    if (!(exposure > 0)) return;
    double rest = frexp(exposure, &power);
    while (rest < quarter_from[quarter]) quarter--;
    int bin = (power + POWERS_BELOW) * QUARTERS + quarter;
    bins[bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin]++;
}

/* FW_ROLLOUT_WEIGHT times the median, which is rounded down by less than a fifth. */
static double most_of(const uint32_t bins[BINS]) {
    uint32_t all = 0, below = 0;
    for (int i = 0; i < BINS; i++) all += bins[i];
    if (all < FW_ROLLOUT_WEIGHED) return INFINITY;
    int i = 0;
    while ((below += bins[i]) * 2 < all) i++;
    return FW_ROLLOUT_WEIGHT * ldexp(quarter_from[i % QUARTERS], i / QUARTERS - POWERS_BELOW);
}

static bool is_of(const fw_rollout_unit *u, fw_rollout_state group) {
    return u->state == group && (u->heard || group == FW_ROLLOUT_ACTIVE);
}

static weight weight_of(const fw_rollout_unit *units, uint32_t count, fw_rollout_state group, bool window) {
    uint32_t metres[BINS] = {0}, ticks[BINS] = {0};
    for (uint32_t i = 0; i < count; i++) {
        const fw_health *health = window ? &units[i].window : &units[i].lived;
        if (!is_of(&units[i], group)) continue;
        note_exposure(metres, health->distance_m);
        note_exposure(ticks, ticks_of(health));
    }
    return (weight){most_of(metres), most_of(ticks)};
}

static uint64_t share_of(uint64_t count, double share) {
    return share < 1 ? (uint64_t)((double)count * share) : count;
}

/* What it counts for: its own rates, of at most so much. */
static fw_health weighed(const fw_health *health, const weight *most) {
    double way = fmin(1, most->metres / health->distance_m), time = fmin(1, most->ticks / ticks_of(health));
    fw_health out = *health;
    if (way < 1) out.distance_m = most->metres;
    out.events = share_of(health->events, way);
    out.vetoes = share_of(health->vetoes, way);
    out.ticks = share_of(health->ticks, time);
    out.late_ticks = share_of(health->late_ticks, time);
    out.shadow_ticks = share_of(health->shadow_ticks, time);
    out.shadow_disagreements = share_of(health->shadow_disagreements, time);
    return out;
}

/* ---- sums ---- */

/* By group (is it the control?) and span (is it the window?). */
typedef struct weights {
    weight of[2][2];
} weights;

static void add_health(fw_health *sum, const fw_health *more) {
    const fw_health zero = {0};
    fw_health_since(&zero, more, sum);
}

static void add_weighed(fw_health *sum, const fw_health *more, const weight *most) {
    const fw_health counts = weighed(more, most);
    add_health(sum, &counts);
}

static void add_unit(const fw_ring *ring, const fw_rollout_unit *u, const weights *w, fw_rollout_evidence *e) {
    if (u->state == FW_ROLLOUT_CONTROL) {
        if (!u->heard) return;
        e->control++;
        add_health(&e->control_sum, &u->lived);
        add_weighed(&e->control_weighed, &u->lived, &w->of[true][false]);
        add_weighed(&e->control_window, &u->window, &w->of[true][true]);
        return;
    }
    e->told++;
    e->fallbacks += u->fallbacks;
    e->crashes += u->crashes;
    if (u->state == FW_ROLLOUT_FAILED) {
        e->failed++;
        e->refusals += u->fallbacks == 0;
    } else if (u->state == FW_ROLLOUT_TOLD) {
        e->silent += !u->heard;
    } else {
        uint64_t ticks = ring->shadow ? u->lived.shadow_ticks : u->lived.ticks;
        if (u->heard && (e->heard == 0 || ticks < e->ticks_least)) e->ticks_least = ticks;
        e->heard += u->heard;
        e->active++;
        add_health(&e->ring, &u->lived);
        add_weighed(&e->ring_weighed, &u->lived, &w->of[false][false]);
        add_weighed(&e->ring_window, &u->window, &w->of[false][true]);
    }
}

/* ---- ring against control ---- */

/* What is compared: of windows once the ring is settled, else of what was lived since it began. */
typedef struct span {
    const fw_rollout_unit *units;
    uint32_t count;
    bool settled;
    const fw_health *ring, *control;
    weight most; /* that a unit of the control counts for */
} span;

/* How much more the control's units differ from each other than chance alone makes them: Pearson's chi^2 over
 * degrees of freedom. 1 where that cannot be known. */
static double dispersion_of(const fw_rollout_plan *plan, const span *s, fw_rollout_measure measure) {
    double rate = rate_of(s->control, measure), chi2 = 0;
    uint32_t n = 0;
    if (!(rate > 0)) return 1;
    for (uint32_t i = 0; i < s->count; i++) {
        const fw_rollout_unit *u = &s->units[i];
        if (!is_of(u, FW_ROLLOUT_CONTROL)) continue;
        const fw_health health = weighed(s->settled ? &u->window : &u->lived, &s->most);
        double expected = rate * exposure_of(&health, measure);
        if (!(expected > 0)) continue;
        double off = (double)count_of(&health, measure) - expected;
        chi2 += off * off / expected;
        n++;
    }
    return n < 2 || n < plan->control_units_min ? 1 : fmax(chi2 / (n - 1), 1);
}

static uint64_t thinned(uint64_t events, double dispersion, bool up) {
    double x = (double)events / dispersion;
    return (uint64_t)(up ? ceil(x) : floor(x));
}

/* Rounded against what is to be shown. */
static double log_e(const span *s, fw_rollout_measure measure, double dispersion, double ratio, bool harm) {
    return fw_rate_log_e(thinned(count_of(s->ring, measure), dispersion, !harm),
                         exposure_of(s->ring, measure) / dispersion,
                         thinned(count_of(s->control, measure), dispersion, harm),
                         exposure_of(s->control, measure) / dispersion, ratio, harm);
}

static fw_rollout_compared compared(const fw_rollout_plan *plan, const span *s, fw_rollout_measure m) {
    double dispersion = dispersion_of(plan, s, m), harmful = 1 + plan->harm_ratio * (dispersion - 1);
    return (fw_rollout_compared){
        .ring_rate = rate_of(s->ring, m),
        .control_rate = rate_of(s->control, m),
        .dispersion = dispersion,
        .log_e_harm = log_e(s, m, dispersion, s->settled ? 1 : FW_ROLLOUT_UNSETTLED, true),
        .log_e_ruled_out = s->settled ? log_e(s, m, harmful, plan->harm_ratio, false) : 0};
}

static void compare(const fw_rollout_plan *plan, const fw_rollout_unit *units, uint32_t count, bool settled,
                    const weights *w, fw_rollout_evidence *e) {
    const span s = {.units = units,
                    .count = count,
                    .settled = settled,
                    .ring = settled ? &e->ring_window : &e->ring_weighed,
                    .control = settled ? &e->control_window : &e->control_weighed,
                    .most = w->of[true][settled]};
    for (int m = 0; m < FW_MEASURE_COUNT; m++) e->compared[m] = compared(plan, &s, (fw_rollout_measure)m);
}

/* ---- what to do ---- */

static bool say(fw_rollout_evidence *e, fw_rollout_action action, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool say(fw_rollout_evidence *e, fw_rollout_action action, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(e->reason, sizeof e->reason, format, arguments);
    va_end(arguments);
    e->action = action;
    return true;
}

static bool over_limit(const fw_rollout_plan *plan, fw_rollout_evidence *e) {
    double share = plan->failures_share_max * e->told;
    if (e->refusals > plan->refusals_max + share)
        return say(e, FW_ROLLOUT_HALT, "%u of %u units refused the model", e->refusals, e->told);
    if (e->fallbacks > plan->fallbacks_max + share)
        return say(e, FW_ROLLOUT_HALT, "%u fallbacks to the last-known-good model on %u units", e->fallbacks, e->told);
    if (e->crashes > plan->crashes_max + share)
        return say(e, FW_ROLLOUT_HALT, "%u crashes on %u units", e->crashes, e->told);
    return false;
}

static double late_share(const fw_health *health) {
    return health->ticks ? (double)health->late_ticks / (double)health->ticks : 0;
}

static bool is_late(const fw_rollout_plan *plan, fw_rollout_evidence *e) {
    double ring = late_share(&e->ring_weighed), control = late_share(&e->control_weighed);
    if (e->ring_weighed.ticks < FW_ROLLOUT_LATE_TICKS || ring - control <= plan->late_share_max) return false;
    return say(e, FW_ROLLOUT_HALT, "%.2g%% of the ring's ticks are late, %.2g%% of the control's", 100 * ring,
               100 * control);
}

static bool disagrees(const fw_rollout_plan *plan, fw_rollout_evidence *e) {
    const fw_health *ring = &e->ring_weighed;
    double share = ring->shadow_ticks ? (double)ring->shadow_disagreements / (double)ring->shadow_ticks : 0;
    if (ring->shadow_ticks < FW_ROLLOUT_LATE_TICKS || share <= plan->disagreement_max) return false;
    return say(e, FW_ROLLOUT_HALT, "the model disagrees with the champion in %.2g%% of the ticks", 100 * share);
}

static uint32_t active_rings(const fw_rollout_plan *plan) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->ring_count; i++) count += !plan->rings[i].shadow;
    return count;
}

static bool harms(const fw_rollout_plan *plan, fw_rollout_evidence *e) {
    double needed = log(active_rings(plan) * FW_MEASURE_COUNT / plan->alpha);
    for (int m = 0; m < FW_MEASURE_COUNT; m++) {
        const fw_rollout_compared *c = &e->compared[m];
        if (c->log_e_harm < needed) continue;
        return say(e, FW_ROLLOUT_HALT, "harm shown: %.3g %s a %s in the ring, %.3g in the control (log e %.1f >= %.1f)",
                   c->ring_rate, measure_names[m], m == FW_MEASURE_LATE ? "tick" : "km", c->control_rate, c->log_e_harm,
                   needed);
    }
    return false;
}

/* Who has half of a ring's time not taken it (a full disk, a unit that will not) holds nobody up any longer, as long as
 * with the refusals there are no more of them than may refuse. */
static uint32_t waited_for(const fw_rollout_plan *plan, const fw_ring *ring, double elapsed_s,
                           const fw_rollout_evidence *e) {
    uint32_t waits = e->told - e->active - e->failed - e->silent;
    double may_refuse = plan->refusals_max + plan->failures_share_max * e->told;
    return elapsed_s >= ring->time_max_s / 2 && waits + e->refusals <= may_refuse ? 0 : waits;
}

/* What must still come before the ring may pass. */
static bool lacks(const fw_rollout_plan *plan, const fw_ring *ring, double elapsed_s, fw_rollout_evidence *e) {
    uint32_t waits = waited_for(plan, ring, elapsed_s, e);
    if (waits > 0) return say(e, FW_ROLLOUT_WAIT, "%u of %u units do not have it yet", waits, e->told);
    if (e->heard == 0) return say(e, FW_ROLLOUT_WAIT, "no unit that has it answers");
    if (e->ticks_least < ring->ticks_min)
        return say(e, FW_ROLLOUT_WAIT, "%llu of %llu ticks lived", (unsigned long long)e->ticks_least,
                   (unsigned long long)ring->ticks_min);
    if (e->ring_weighed.distance_m < ring->distance_min_m)
        return say(e, FW_ROLLOUT_WAIT, "%.1f of %.1f km driven", e->ring_weighed.distance_m / 1000, ring->distance_min_m / 1000);
    if (elapsed_s < ring->time_min_s)
        return say(e, FW_ROLLOUT_WAIT, "%.0f of %.0f s passed", elapsed_s, ring->time_min_s);
    if (!ring->rule_out) return false;
    double needed = -log(plan->beta);
    for (int m = 0; m <= FW_MEASURE_VETOES; m++) {
        if (e->compared[m].log_e_ruled_out >= needed) continue;
        return say(e, FW_ROLLOUT_WAIT, "%s at x%g the control's are not ruled out yet (log e %.1f of %.1f)",
                   measure_names[m], plan->harm_ratio, e->compared[m].log_e_ruled_out, needed);
    }
    return false;
}

static void decide(const fw_rollout_plan *plan, uint32_t ring, double elapsed_s, fw_rollout_evidence *e) {
    const fw_ring *r = &plan->rings[ring];
    if (over_limit(plan, e) || is_late(plan, e)) return;
    if (r->shadow ? disagrees(plan, e) : harms(plan, e)) return;
    if (lacks(plan, r, elapsed_s, e)) {
        char what[sizeof e->reason];
        if (elapsed_s < r->time_max_s) return;
        memcpy(what, e->reason, sizeof what);
        say(e, FW_ROLLOUT_HALT, "undecided after %.0f s: %.180s", elapsed_s, what);
        return;
    }
    const char *how = r->rule_out ? "the harm is ruled out" : "the stated exposure is through, no harm was shown";
    bool last = ring + 1 == plan->ring_count;
    say(e, last ? FW_ROLLOUT_DONE : FW_ROLLOUT_ADVANCE, "%u of %u units %s it, %.1f km: %s", e->active, e->told,
        r->shadow ? "shadow" : "run", e->ring.distance_m / 1000, how);
}

void fw_rollout_look(const fw_rollout_plan *plan, uint32_t ring, double elapsed_s, bool settled,
                     const fw_rollout_unit *units, uint32_t count, fw_rollout_evidence *out) {
    weights w;
    FW_ASSERT(ring < plan->ring_count);
    *out = (fw_rollout_evidence){.action = FW_ROLLOUT_WAIT};
    for (int control = 0; control < 2; control++)
        for (int window = 0; window < 2; window++)
            w.of[control][window] =
                weight_of(units, count, control ? FW_ROLLOUT_CONTROL : FW_ROLLOUT_ACTIVE, window);
    for (uint32_t i = 0; i < count; i++) add_unit(&plan->rings[ring], &units[i], &w, out);
    out->settled = settled || (out->heard > 0 && waited_for(plan, &plan->rings[ring], elapsed_s, out) == 0);
    compare(plan, units, count, settled, &w, out);
    decide(plan, ring, elapsed_s, out);
}

/* ---- as JSON ---- */

static json_t *number(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *compared_json(const fw_rollout_compared *c) {
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "ring_rate", number(c->ring_rate), "control_rate", number(c->control_rate),
                     "dispersion", number(c->dispersion), "log_e_harm", number(c->log_e_harm), "log_e_ruled_out",
                     number(c->log_e_ruled_out));
}

json_t *fw_rollout_evidence_json(const fw_rollout_evidence *e) {
    json_t *compared = json_object();
    for (int m = 0; m < FW_MEASURE_COUNT; m++)
        json_object_set_new(compared, measure_names[m], compared_json(&e->compared[m]));
    return json_pack("{s:s,s:s,s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o}", "action", action_names[e->action],
                     "reason", e->reason, "settled", e->settled, "told", (json_int_t)e->told, "active", (json_int_t)e->active, "failed",
                     (json_int_t)e->failed, "silent", (json_int_t)e->silent, "control", (json_int_t)e->control,
                     "refusals", (json_int_t)e->refusals, "fallbacks", (json_int_t)e->fallbacks, "crashes",
                     (json_int_t)e->crashes, "ticks_least", (json_int_t)e->ticks_least, "ring",
                     fw_health_json(&e->ring), "control_counts", fw_health_json(&e->control_sum), "compared", compared);
}
