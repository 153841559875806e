/* links: fw_driving_learn */
/* An imported scene or a suite from anywhere: any bytes give a scenario that keeps its promises, or an error with a
 * reason. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "lines/driving/learn/scenario/scene.h"
#include "lines/driving/learn/scenario/suite.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static void check(const fw_scenario *s) {
    for (uint32_t t = 0; t < s->track_count; t++) {
        const fw_scenario_track *track = &s->tracks[t];
        FW_ASSERT(track->first + track->count <= s->ticks);
        FW_ASSERT(track->route == FW_SCENARIO_NONE || track->route < s->route_count);
        for (uint32_t i = 0; i < track->count; i++) {
            FW_ASSERT(isfinite(track->x_m[i]) && isfinite(track->yaw_rad[i]) && isfinite(track->curvature_pm[i]));
            FW_ASSERT(track->speed_mps[i] >= 0 && (i == 0 || track->way_m[i] >= track->way_m[i - 1]));
        }
    }
    for (uint32_t r = 0; r < s->route_count; r++)
        for (uint32_t i = 0; i < s->routes[r].count; i++)
            FW_ASSERT(isfinite(s->routes[r].points[i].x_m) && isfinite(s->routes[r].heading_rad[i]));
    for (uint32_t i = 0; i < s->start_count; i++) FW_ASSERT(s->starts[i].track < s->track_count);
    FW_ASSERT(s->active_at[s->ticks] > 0 && s->start_count > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    fw_scene *scene = NULL;
    fw_scenario *scenario = NULL;
    fw_scene_report report;
    fw_suite suite;
    fw_error error = {""};
    if (fw_suite_parse((const char *)bytes, size_bytes, &suite, &error) == FW_OK) fw_suite_clear(&suite);
    if (fw_scene_parse(bytes, size_bytes, &scene, &error) != FW_OK) {
        FW_ASSERT(!scene && error.text[0]);
        return 0;
    }
    if (fw_scenario_of_scene(scene, fw_vehicles_builtin(), &scenario, &report, &error) == FW_OK) {
        check(scenario);
        fw_scenario_free(scenario);
    }
    fw_scene_free(scene);
    return 0;
}
