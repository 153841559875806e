/* record.c - a decision in words and numbers: docs/formats/gate-record.md. */
#include <math.h>

#include "gate/gate.h"

/* JSON has no infinity: figures that are none are null. */
static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *pairs_of(const fw_gate_pairs *p) {
    return json_pack("{s:i,s:i,s:i,s:i}", "both", (int)p->both, "champion", (int)p->champion, "candidate",
                     (int)p->candidate, "neither", (int)p->neither);
}

static const char *words_of(const fw_gate *g, const fw_gate_slice *s) {
    if (s->verdict == FW_GATE_KEPT) return "kept";
    if (s->verdict == FW_GATE_FORGOTTEN) return "forgotten";
    return s->clusters < g->plan.slice_min ? "too small to show" : "not shown to be kept";
}

static json_t *slices_of(const fw_gate *g) {
    json_t *rows = json_array();
    for (uint32_t i = 0; i < g->slice_count; i++) {
        const fw_gate_slice *s = &g->slices[i];
        json_array_append_new(
            rows, json_pack("{s:s,s:i,s:i,s:f,s:f,s:s,s:o}", "slice", s->name, "drives",
                            (int)fw_gate_pairs_count(&s->pairs), "recordings", (int)s->clusters, "difference",
                            fw_gate_pairs_difference(&s->pairs), "log_e", fw_wager_log_e(&s->not_worse), "verdict",
                            words_of(g, s), "pairs", pairs_of(&s->pairs)));
    }
    return rows;
}

static json_t *limits_of(const fw_gate *g) {
    json_t *rows = json_array();
    for (uint32_t i = 0; i < g->limit_count; i++) {
        const fw_gate_limit_row *l = &g->limits[i];
        json_array_append_new(rows, json_pack("{s:s,s:s,s:o,s:s,s:o,s:b}", "limit", l->name, "unit", l->unit, "value",
                                              number(l->value), "wanted", l->at_least ? "at least" : "at most", "bound",
                                              number(l->bound), "held", (int)l->held));
    }
    return rows;
}

/* At most FW_GATE_PATH_POINTS of the path, its last one among them. */
static json_t *thinned(const json_t *path) {
    json_t *out = json_array();
    size_t count = json_array_size(path), step = count / FW_GATE_PATH_POINTS + 1;
    for (size_t i = 0; i < count; i++)
        if ((count - 1 - i) % step == 0) json_array_append(out, json_array_get(path, i));
    return out;
}

static json_t *hypotheses_of(const fw_gate *g) {
    const fw_gate_plan *p = &g->plan;
    return json_pack("{s:s,s:f,s:s,s:f,s:f,s:s,s:o,s:o,s:f,s:f,s:f,s:i}", "H0", "mean difference of clean shares <= 0",
                     "alpha", p->alpha, "H1", "mean difference of clean shares >= delta", "delta", p->delta, "beta",
                     p->beta, "rule", "e-LOND, gamma 1/(t(t+1))", "alpha_t", number(g->alpha_t), "e_wanted",
                     number(1 / g->alpha_t), "epsilon", p->epsilon, "slice_level", p->slice_level, "share",
                     fw_gate_share(p->place), "slice_min", (int)p->slice_min);
}

static const char *outcome(const fw_gate *g) {
    static const char *const words[] = {[FW_VERDICT_OPEN] = "neither is refuted",
                                        [FW_VERDICT_PROMOTE] = "H0 is refuted",
                                        [FW_VERDICT_FUTILE] = "H1 is refuted"};
    return words[g->test.verdict];
}

json_t *fw_gate_record(const fw_gate *g) {
    double log_e = fw_wager_log_e(&g->test.better);
    return json_pack("{s:i,s:b,s:s,s:o,s:{s:s,s:i,s:i,s:i},s:{s:i,s:i,s:o,s:f,s:f,s:f,s:s,s:i},s:o,s:o,s:o,s:O}",
                     "version", 1, "promote", (int)g->promote, "reason", g->reason, "hypotheses", hypotheses_of(g),
                     "suite", "hash", g->plan.suite, "epoch", (int)g->plan.epoch, "place", (int)g->plan.place,
                     "promotions_before", (int)g->plan.promotions, "primary", "drives",
                     (int)fw_gate_pairs_count(&g->pairs), "recordings", (int)g->cluster_count, "pairs",
                     pairs_of(&g->pairs), "mean_difference", g->cluster_count ? g->sum / g->cluster_count : 0.0, "log_e",
                     log_e, "futile_log_e", fw_wager_log_e(&g->test.futile), "outcome", outcome(g), "decided_at",
                     (int)g->test.decided_at, "slices", slices_of(g), "limits", limits_of(g), "log_wealth",
                     thinned(g->path), "clusters", g->clusters);
}
