/* scene_report.h - private: the figures of fw_scene_report that need the whole scenario. */
#ifndef FW_LINES_DRIVING_SCENARIO_SCENE_REPORT_H
#define FW_LINES_DRIVING_SCENARIO_SCENE_REPORT_H

#include "lines/driving/learn/scenario/scene.h"

/* objects: by track. Fills all but fates, curvature and goals, which are known while routes are made. */
fw_status fw_scene_report_fill(const fw_scene *scene, const fw_scene_object **objects, const fw_scenario *s,
                               fw_scene_report *report, fw_error *error) FW_MUST;

#endif
