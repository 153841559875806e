/* A scene of synthetic_scene.h as a CommonRoad file, for tests of what begins with an import.
 *
 *   synthetic_xml(path, synthetic_curve(60));   frees the scene
 */
#ifndef FW_TESTS_SYNTHETIC_XML_H
#define FW_TESTS_SYNTHETIC_XML_H

#include "synthetic_scene.h"

static inline void synthetic_bound(FILE *out, const fw_scene *s, const char *name, uint32_t first, uint32_t count) {
    fprintf(out, "<%s>", name);
    for (uint32_t i = first; i < first + count; i++)
        fprintf(out, "<point><x>%.4f</x><y>%.4f</y></point>", s->points[i].x_m, s->points[i].y_m);
    fprintf(out, "</%s>\n", name);
}

static inline void synthetic_lanelet_xml(FILE *out, const fw_scene *s, const fw_scene_lanelet *l) {
    static const char *const kinds[] = {"successor", "predecessor", "adjacentLeft", "adjacentRight"};
    fprintf(out, "<lanelet id=\"%s\">\n", l->id);
    synthetic_bound(out, s, "leftBound", l->left_first, l->left_count);
    synthetic_bound(out, s, "rightBound", l->right_first, l->right_count);
    for (uint32_t i = l->link_first; i < l->link_first + l->link_count; i++)
        fprintf(out, "<%s ref=\"%s\"%s/>\n", kinds[s->links[i].kind], s->lanelets[s->links[i].lanelet].id,
                s->links[i].kind >= FW_SCENE_LEFT ? " drivingDir=\"same\"" : "");
    fprintf(out, "<speedLimit>%.1f</speedLimit></lanelet>\n", l->limit_mps);
}

static inline void synthetic_state_xml(FILE *out, const fw_scene_state *s, const char *name) {
    fprintf(out, "<%s><position><point><x>%.4f</x><y>%.4f</y></point></position><orientation><exact>%.4f</exact>"
                 "</orientation><time><exact>%u</exact></time><velocity><exact>%.4f</exact></velocity></%s>\n",
            name, s->x_m, s->y_m, s->yaw_rad, s->step, s->speed_mps, name);
}

static inline void synthetic_object_xml(FILE *out, const fw_scene *s, const fw_scene_object *o) {
    fprintf(out, "<obstacle id=\"%s\"><role>dynamic</role><type>car</type><shape><rectangle><length>%.2f</length>"
                 "<width>%.2f</width></rectangle></shape>\n", o->id, o->length_m, o->width_m);
    synthetic_state_xml(out, &s->states[o->state_first], "initialState");
    fprintf(out, "<trajectory>\n");
    for (uint32_t i = 1; i < o->state_count; i++) synthetic_state_xml(out, &s->states[o->state_first + i], "state");
    fprintf(out, "</trajectory></obstacle>\n");
}

static inline void synthetic_xml(const char *path, fw_scene *s) {
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fprintf(out, "<?xml version=\"1.0\"?>\n<commonRoad commonRoadVersion=\"2018b\" timeStepSize=\"0.1\">\n");
    for (uint32_t i = 0; i < s->lanelet_count; i++) synthetic_lanelet_xml(out, s, &s->lanelets[i]);
    for (uint32_t i = 0; i < s->object_count; i++) synthetic_object_xml(out, s, &s->objects[i]);
    fprintf(out, "</commonRoad>\n");
    assert_int_equal(fclose(out), 0);
    fw_scene_free(s);
}

#endif
