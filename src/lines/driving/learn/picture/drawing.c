#include "lines/driving/learn/picture/drawing.h"

#include <math.h>

static bool touches(const fw_drawing_window *w, float x, float y) {
    return fabsf(x - w->x_m) < w->half_x_m + 10 && fabsf(y - w->y_m) < w->half_y_m + 10;
}

static bool lane_touches(const fw_scenario *s, const fw_scenario_lane *lane, const fw_drawing_window *w) {
    for (uint32_t i = 0; i < lane->count; i++) {
        const fw_scenario_lane_point *p = &s->lane_points[lane->first + i];
        if (touches(w, p->left_x_m, p->left_y_m) || touches(w, p->right_x_m, p->right_y_m)) return true;
    }
    return false;
}

/* One side of a lane as "x,y x,y ..."; backwards when the outline is closed along it. */
static void side(FILE *out, const fw_scenario *s, const fw_scenario_lane *lane, bool left, bool backwards) {
    for (uint32_t k = 0; k < lane->count; k++) {
        const fw_scenario_lane_point *p = &s->lane_points[lane->first + (backwards ? lane->count - 1 - k : k)];
        fprintf(out, "%.2f,%.2f ", (double)(left ? p->left_x_m : p->right_x_m),
                (double)(left ? p->left_y_m : p->right_y_m));
    }
}

static void lanes(FILE *out, const fw_scenario *s, const fw_drawing_window *w) {
    for (uint32_t i = 0; i < s->lane_count; i++) {
        const fw_scenario_lane *lane = &s->lanes[i];
        if (!lane_touches(s, lane, w)) continue;
        fprintf(out, "<polygon fill=\"#e8ebef\" stroke=\"#e8ebef\" stroke-width=\"0.15\" points=\"");
        side(out, s, lane, true, false);
        side(out, s, lane, false, true);
        fprintf(out, "\"/>\n");
    }
    for (uint32_t i = 0; i < s->lane_count; i++)
        for (int left = 0; left < 2 && lane_touches(s, &s->lanes[i], w); left++) {
            fprintf(out, "<polyline fill=\"none\" stroke=\"#b9c1cc\" stroke-width=\"0.12\" points=\"");
            side(out, s, &s->lanes[i], left == 1, false);
            fprintf(out, "\"/>\n");
        }
}

/* Where there are no lanes, the corridor is the road. */
static void corridor(FILE *out, const fw_scenario_route *r, const char *colour, bool wide) {
    for (uint32_t i = 0; i + 1 < r->count; i++) {
        const fw_drive_point *p = &r->points[i], *q = p + 1;
        fprintf(out, "<line stroke=\"%s\" stroke-width=\"%.2f\" stroke-linecap=\"round\" x1=\"%.2f\" y1=\"%.2f\" "
                     "x2=\"%.2f\" y2=\"%.2f\"/>\n", colour, wide ? (double)p->width_m : 0.25, (double)p->x_m,
                (double)p->y_m, (double)q->x_m, (double)q->y_m);
    }
}

static void route(FILE *out, const fw_scenario_route *r, const fw_drawing_window *w) {
    fprintf(out, "<polyline fill=\"none\" stroke=\"" FW_DRAWING_ROUTE
                 "\" stroke-width=\"0.3\" stroke-dasharray=\"1.5 1.5\" points=\"");
    for (uint32_t i = 0; i < r->count; i++)
        if (touches(w, r->points[i].x_m, r->points[i].y_m))
            fprintf(out, "%.2f,%.2f ", (double)r->points[i].x_m, (double)r->points[i].y_m);
    fprintf(out, "\"/>\n");
    if (r->goal_s_m > 0)
        fprintf(out, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"3\" fill=\"" FW_DRAWING_ROUTE
                     "\" fill-opacity=\"0.2\" stroke=\"" FW_DRAWING_ROUTE "\" stroke-width=\"0.25\"/>\n",
                (double)r->goal_x_m, (double)r->goal_y_m);
}

void fw_drawing_map(FILE *out, const fw_scenario *s, uint32_t at, const fw_drawing_window *w) {
    bool there = at != FW_SCENARIO_NONE;
    if (s->lane_count > 0) lanes(out, s, w);
    else if (there) corridor(out, &s->routes[at], "#e8ebef", true);
    if (there) route(out, &s->routes[at], w);
}

void fw_drawing_car(FILE *out, float length_m, float width_m, const char *colour) {
    double l = (double)length_m, w = (double)width_m;
    fprintf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" rx=\"0.3\" fill=\"%s\" stroke=\"#fff\" "
                 "stroke-width=\"0.1\"/><rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"#fff\" "
                 "fill-opacity=\"0.75\"/>", -l / 2, -w / 2, l, w, colour, l * 0.18, -w * 0.36, l * 0.12, w * 0.72);
}

void fw_drawing_plan(FILE *out, const fw_trace_frame *f, const char *colour) {
    double x = 0, y = 0, yaw = 0, speed = (double)f->speed_mps;
    fprintf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"0.45\" stroke-linecap=\"round\" "
                 "stroke-opacity=\"0.8\" points=\"0,0", colour);
    for (int k = 0; k < 20; k++) {
        double next = fmax(0, speed + (double)f->accel_mps2 * 0.1), way = 0.05 * (speed + next);
        x += way * cos(yaw), y += way * sin(yaw);
        yaw += way * (double)f->curvature_pm;
        speed = next;
        fprintf(out, " %.2f,%.2f", x, y);
    }
    fprintf(out, "\"/>");
}

void fw_drawing_text(FILE *out, const char *text) {
    for (; *text; text++) {
        if (*text == '<') fputs("&lt;", out);
        else if (*text == '>') fputs("&gt;", out);
        else if (*text == '&') fputs("&amp;", out);
        else if (*text == '"') fputs("&quot;", out);
        else if ((unsigned char)*text >= ' ') fputc(*text, out);
    }
}
