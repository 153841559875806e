/* Which slices an evaluation has: what its drives have in common and what tells them apart. */
#include <string.h>

#include "cli/evaluate.h"

typedef struct slices {
    fw_evaluate_slice *out;
    uint32_t count, first; /* first: of the kind now gathered */
} slices;

/* Adds a value of the kind once, in order of values. */
static void add(slices *s, const char *kind, const char *value, fw_figure_slice which) {
    uint32_t at = s->first;
    if (value[0] == '\0' || s->count == FW_EVALUATE_SLICES_MAX) return;
    while (at < s->count && strcmp(s->out[at].value, value) < 0) at++;
    if (at < s->count && strcmp(s->out[at].value, value) == 0) return;
    memmove(&s->out[at + 1], &s->out[at], (s->count - at) * sizeof *s->out);
    s->out[at] = (fw_evaluate_slice){kind, value, which};
    s->count++;
}

/* A kind with one value says nothing that the whole table does not. */
static void end_kind(slices *s) {
    if (s->count - s->first < 2) s->count = s->first;
    s->first = s->count;
}

uint32_t fw_evaluate_slices(const fw_evaluation *e, fw_sim_traffic traffic, fw_evaluate_slice *out) {
    slices s = {out, 0, 0};
    const fw_score_table *table = &e->score.traffic[traffic];
    for (int kind = 0; kind < 4; kind++) {
        for (uint32_t i = 0; i < table->case_count; i++) {
            const fw_score_case *one = &table->cases[i];
            const fw_scenario *scenario = e->set.items[one->scenario];
            const char *vehicle = scenario->tracks[one->track].kind.name;
            fw_figure_slice which = fw_figure_all;
            bool light = scenario->light_count > 0;
            switch (kind) {
            case 0: which.site = scenario->tags.site, add(&s, "site", which.site, which); break;
            case 1:
                which.manoeuvre = (int)one->manoeuvre;
                add(&s, "manoeuvre", fw_score_manoeuvre_name(one->manoeuvre), which);
                break;
            case 2: which.vehicle = vehicle, add(&s, "vehicle", vehicle, which); break;
            default: which.light = light, add(&s, "light", light ? "a light" : "none", which); break;
            }
        }
        end_kind(&s);
    }
    return s.count;
}

fw_figures fw_evaluate_figures(const fw_evaluation *e, fw_sim_traffic traffic, const fw_figure_slice *slice) {
    return (fw_figures){(const fw_scenario *const *)e->set.items, &e->score, traffic, slice};
}
