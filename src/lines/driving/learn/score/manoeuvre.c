/* What a piece of route asks for, from its points alone: headings tell turns, a shift to the side with
 * the heading back where it was tells lane changes. */
#include <math.h>

#include "lines/driving/learn/score/score.h"

static const float turn_rad = 0.5236f;    /* 30 degrees in all */
static const float parallel_rad = 0.0349f; /* 2 degrees: the same heading again */
static const float shift_m = 2.5f;         /* to the side, at least */
enum { CHANGE_POINTS = 40 };               /* within 80 m */

const char *fw_score_manoeuvre_name(fw_score_manoeuvre manoeuvre) {
    static const char *const names[FW_SCORE_MANOEUVRES] = {"straight", "lane change", "turn left",
                                                           "turn right"};
    return names[manoeuvre];
}

static float wrap(float rad) { return remainderf(rad, 2.0f * (float)M_PI); }

static uint32_t point_at(const fw_scenario_route *route, float s_m) {
    float at = floorf(s_m / FW_DRIVE_GRID_M) - (float)route->first;
    if (!(at > 0)) return 0;
    return at < (float)(route->count - 1) ? (uint32_t)at : route->count - 1;
}

/* How far point j lies beside the line through point i, in the mean of both headings. */
static float shift_between(const fw_scenario_route *route, uint32_t i, uint32_t j) {
    float turn = wrap(route->heading_rad[j] - route->heading_rad[i]);
    float heading = route->heading_rad[i] + turn / 2;
    float dx = route->points[j].x_m - route->points[i].x_m, dy = route->points[j].y_m - route->points[i].y_m;
    return fabsf(turn) < parallel_rad ? fabsf(cosf(heading) * dy - sinf(heading) * dx) : 0;
}

static bool changes_lane(const fw_scenario_route *route, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++)
        for (uint32_t j = i + 1; j <= to && j <= i + CHANGE_POINTS; j++)
            if (shift_between(route, i, j) >= shift_m) return true;
    return false;
}

fw_score_manoeuvre fw_score_manoeuvre_of(const fw_scenario_route *route, float from_s_m, float to_s_m) {
    if (route->count == 0) return FW_SCORE_STRAIGHT;
    uint32_t from = point_at(route, from_s_m), to = point_at(route, to_s_m);
    float turned = 0;
    for (uint32_t i = from; i < to; i++) turned += wrap(route->heading_rad[i + 1] - route->heading_rad[i]);
    if (turned >= turn_rad) return FW_SCORE_TURN_LEFT;
    if (turned <= -turn_rad) return FW_SCORE_TURN_RIGHT;
    return changes_lane(route, from, to) ? FW_SCORE_LANE_CHANGE : FW_SCORE_STRAIGHT;
}
