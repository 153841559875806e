/* gate.c - what comes in, and the decision; its record: record.c. */
#include "gate/gate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const fw_gate_plan fw_gate_usual = {.alpha = 0.05,
                                    .beta = 0.1,
                                    .delta = 0.05,
                                    .epsilon = 0.1,
                                    .slice_level = 0.1,
                                    .slice_min = 40,
                                    .epoch = 1,
                                    .place = 1};

/* ---- names and order ---- */

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

fw_hash fw_gate_suite(const char **hashes, size_t count) {
    fw_sha256 *state = fw_sha256_begin();
    qsort(hashes, count, sizeof *hashes, by_text);
    for (size_t i = 0; i < count; i++) {
        fw_sha256_add(state, hashes[i], strlen(hashes[i]));
        fw_sha256_add(state, "\n", 1);
    }
    return fw_sha256_end(state);
}

fw_hash fw_gate_order(const char *suite, const char *cluster) {
    fw_sha256 *state = fw_sha256_begin();
    fw_sha256_add(state, suite, strlen(suite));
    fw_sha256_add(state, "/", 1);
    fw_sha256_add(state, cluster, strlen(cluster));
    return fw_sha256_end(state);
}

/* ---- pairs ---- */

uint32_t fw_gate_pairs_count(const fw_gate_pairs *p) { return p->both + p->champion + p->candidate + p->neither; }

double fw_gate_pairs_difference(const fw_gate_pairs *p) {
    return ((double)p->candidate - (double)p->champion) / (double)fw_gate_pairs_count(p);
}

static void add_pair(fw_gate_pairs *p, bool champion, bool candidate) {
    if (champion && candidate) p->both++;
    else if (champion) p->champion++;
    else if (candidate) p->candidate++;
    else p->neither++;
}

static void add_pairs(fw_gate_pairs *to, const fw_gate_pairs *p) {
    to->both += p->both;
    to->champion += p->champion;
    to->candidate += p->candidate;
    to->neither += p->neither;
}

void fw_gate_cluster_add(fw_gate_cluster *c, const char *slice, bool champion, bool candidate) {
    if (!slice) {
        add_pair(&c->pairs, champion, candidate);
        return;
    }
    uint32_t i = 0;
    while (i < c->part_count && strcmp(c->parts[i].name, slice) != 0) i++;
    if (i == FW_GATE_SLICES_MAX) return;
    if (i == c->part_count) {
        c->parts[c->part_count++] = (fw_gate_part){0};
        snprintf(c->parts[i].name, sizeof c->parts[i].name, "%s", slice);
    }
    add_pair(&c->parts[i].pairs, champion, candidate);
}

/* ---- observations ---- */

void fw_gate_begin(fw_gate *g, const fw_gate_plan *plan) {
    *g = (fw_gate){.plan = *plan,
                   .alpha_t = fw_gate_alpha(plan->alpha, plan->place, plan->promotions),
                   .clusters = json_array(),
                   .path = json_array()};
    /* a worn suite has no level: what is observed on it counts for nothing */
    g->test = fw_sequential_of(-1, 1, 0, plan->delta, g->alpha_t > 0 ? g->alpha_t : 1e-300, plan->beta);
}

void fw_gate_clear(fw_gate *g) {
    json_decref(g->clusters);
    json_decref(g->path);
    g->clusters = g->path = NULL;
}

static fw_gate_slice *slice_of(fw_gate *g, const char *name) {
    uint32_t i = 0;
    while (i < g->slice_count && strcmp(g->slices[i].name, name) != 0) i++;
    if (i == FW_GATE_SLICES_MAX) return NULL;
    if (i < g->slice_count) return &g->slices[i];
    fw_gate_slice *slice = &g->slices[g->slice_count++];
    *slice = (fw_gate_slice){.not_worse = fw_wager_of(-1, 1, -g->plan.epsilon, true),
                             .worse = fw_wager_of(-1, 1, -g->plan.epsilon, false)};
    snprintf(slice->name, sizeof slice->name, "%s", name);
    return slice;
}

static void add_part(fw_gate *g, const fw_gate_part *part) {
    fw_gate_slice *s = slice_of(g, part->name);
    if (!s) return;
    double x = fw_gate_pairs_difference(&part->pairs), wanted = -log(g->plan.slice_level);
    add_pairs(&s->pairs, &part->pairs);
    s->clusters++;
    fw_wager_add(&s->not_worse, x);
    fw_wager_add(&s->worse, x);
    if (s->verdict != FW_GATE_OPEN) return;
    if (fw_wager_log_e(&s->worse) >= wanted) s->verdict = FW_GATE_FORGOTTEN;
    else if (fw_wager_log_e(&s->not_worse) >= wanted) s->verdict = FW_GATE_KEPT;
}

void fw_gate_add(fw_gate *g, const fw_gate_cluster *c) {
    if (fw_gate_pairs_count(&c->pairs) == 0 || g->cluster_count == FW_GATE_CLUSTERS_MAX) return;
    double x = fw_gate_pairs_difference(&c->pairs);
    bool open = g->test.verdict == FW_VERDICT_OPEN;
    fw_sequential_add(&g->test, x);
    g->cluster_count++;
    g->sum += x;
    add_pairs(&g->pairs, &c->pairs);
    for (uint32_t i = 0; i < c->part_count; i++) add_part(g, &c->parts[i]);
    if (open) json_array_append_new(g->path, json_pack("[i,f]", (int)g->cluster_count, fw_wager_log_e(&g->test.better)));
    json_array_append_new(g->clusters, json_pack("[s,i,i,i,i]", c->name, (int)c->pairs.both, (int)c->pairs.champion,
                                                 (int)c->pairs.candidate, (int)c->pairs.neither));
}

bool fw_gate_lost(const fw_gate *g) {
    if (g->test.verdict == FW_VERDICT_FUTILE || g->alpha_t <= 0) return true;
    for (uint32_t i = 0; i < g->limit_count; i++)
        if (!g->limits[i].held) return true;
    return false;
}

void fw_gate_limit(fw_gate *g, const char *name, const char *unit, double value, double bound, bool at_least) {
    FW_ASSERT(g->limit_count < FW_GATE_LIMITS_MAX);
    bool held = at_least ? value >= bound : value <= bound;
    g->limits[g->limit_count++] = (fw_gate_limit_row){name, unit, value, bound, at_least, held};
}

/* ---- the decision ---- */

static const fw_gate_limit_row *broken_limit(const fw_gate *g) {
    for (uint32_t i = 0; i < g->limit_count; i++)
        if (!g->limits[i].held) return &g->limits[i];
    return NULL;
}

/* The slice that stands against promoting: forgotten, or large and not shown to be kept. */
static const fw_gate_slice *bad_slice(const fw_gate *g) {
    const fw_gate_slice *open = NULL;
    for (uint32_t i = 0; i < g->slice_count; i++) {
        const fw_gate_slice *s = &g->slices[i];
        if (s->verdict == FW_GATE_FORGOTTEN) return s;
        if (s->verdict == FW_GATE_OPEN && s->clusters >= g->plan.slice_min && !open) open = s;
    }
    return open;
}

/* What the test came to, or which slice stands against it. */
static void say_test(const fw_gate *g, char *out, size_t size) {
    const fw_gate_slice *slice = bad_slice(g);
    if (g->test.verdict == FW_VERDICT_FUTILE) snprintf(out, size, "not better by %.3g", g->plan.delta);
    else if (g->test.verdict == FW_VERDICT_OPEN) snprintf(out, size, "not shown to be better");
    else if (slice)
        snprintf(out, size, "%s %s (%+.3f in %u recordings)",
                 slice->verdict == FW_GATE_FORGOTTEN ? "forgets" : "not shown to keep", slice->name,
                 fw_gate_pairs_difference(&slice->pairs), slice->clusters);
    else snprintf(out, size, "better");
}

/* The first words of the reason: a limit that does not hold, then the test where anything was driven. */
static void headline(const fw_gate *g, char *out, size_t size) {
    const fw_gate_limit_row *l = broken_limit(g);
    char test[100] = "";
    if (!l || g->cluster_count > 0) say_test(g, test, sizeof test);
    if (l)
        snprintf(out, size, "%s %.4g%s%s, %s %.4g%s%s", l->name, l->value, l->unit[0] ? " " : "", l->unit,
                 l->at_least ? "at least" : "at most", l->bound, test[0] ? "; " : "", test);
    else snprintf(out, size, "%s", test);
}

void fw_gate_end(fw_gate *g) {
    char head[150];
    uint32_t n = fw_gate_pairs_count(&g->pairs);
    headline(g, head, sizeof head);
    g->promote = g->alpha_t > 0 && g->test.verdict == FW_VERDICT_PROMOTE && !broken_limit(g) && !bad_slice(g);
    double champion = n ? (double)(g->pairs.both + g->pairs.champion) / n : 0;
    double candidate = n ? (double)(g->pairs.both + g->pairs.candidate) / n : 0;
    snprintf(g->reason, sizeof g->reason,
             "%s: clean %.3f, champion %.3f, on %u held-out drives of %u recordings; e-value %.3g of %.3g wanted"
             " (epoch %u, place %u)",
             head, candidate, champion, n, g->cluster_count, exp(fw_wager_log_e(&g->test.better)), 1 / g->alpha_t,
             g->plan.epoch, g->plan.place);
}

void fw_gate_refuse(fw_gate *g, const char *reason) {
    g->promote = false;
    snprintf(g->reason, sizeof g->reason, "%s", reason);
}
