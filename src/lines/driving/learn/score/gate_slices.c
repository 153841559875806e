#include "lines/driving/learn/score/gate_slices.h"

#include <stdio.h>

enum { DENSE_USERS = 8 };
static const float fast_mps = 11, slow_mps = 3;

void fw_gate_slices_add(fw_gate_cluster *cluster, const fw_scenario *s, const fw_score_case *one, bool champion,
                        bool candidate) {
    const fw_scenario_track *track = &s->tracks[one->track];
    const float speed_mps = track->speed_mps[one->tick - track->first];
    const uint32_t users = one->tick < s->ticks ? s->active_at[one->tick + 1] - s->active_at[one->tick] : 0;
    char vehicle[FW_GATE_NAME_MAX], site[FW_GATE_NAME_MAX];
    snprintf(vehicle, sizeof vehicle, "vehicle %.20s", track->kind.name);
    snprintf(site, sizeof site, "site %.23s", s->tags.site);
    const struct {
        const char *name;
        bool in;
    } slices[] = {{"signals", s->light_count > 0},
                  {"dense", users >= DENSE_USERS},
                  {"turn left", one->manoeuvre == FW_SCORE_TURN_LEFT},
                  {"turn right", one->manoeuvre == FW_SCORE_TURN_RIGHT},
                  {"fast", speed_mps >= fast_mps},
                  {"slow", speed_mps < slow_mps},
                  {vehicle, track->kind.name[0] != 0},
                  {site, s->tags.site[0] != 0}};
    fw_gate_cluster_add(cluster, NULL, champion, candidate);
    for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++)
        if (slices[i].in) fw_gate_cluster_add(cluster, slices[i].name, champion, candidate);
}
