#include "lines/driving/learn/scenario/scenario_picture.h"

#include <math.h>

#include "lines/driving/learn/picture/drawing.h"

static void box_of(const fw_scenario *s, float *low_x, float *low_y, float *high_x, float *high_y) {
    const float margin_m = 20;
    *low_x = *low_y = INFINITY;
    *high_x = *high_y = -INFINITY;
    for (uint32_t t = 0; t < s->track_count; t++)
        for (uint32_t i = 0; i < s->tracks[t].count; i++) {
            *low_x = fminf(*low_x, s->tracks[t].x_m[i]), *high_x = fmaxf(*high_x, s->tracks[t].x_m[i]);
            *low_y = fminf(*low_y, s->tracks[t].y_m[i]), *high_y = fmaxf(*high_y, s->tracks[t].y_m[i]);
        }
    *low_x -= margin_m, *low_y -= margin_m, *high_x += margin_m, *high_y += margin_m;
}

/* A track's way in pieces of one colour each: red where it left the area. */
static void draw_way(const fw_scenario *s, const fw_scenario_track *track, FILE *out) {
    for (uint32_t i = 0; i < track->count;) {
        bool off = fw_scenario_off_area(s, track, i);
        fprintf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"0.3\" points=\"",
                off ? FW_DRAWING_BAD : "#222");
        uint32_t from = i > 0 ? i - 1 : 0;
        while (i < track->count && fw_scenario_off_area(s, track, i) == off) i++;
        for (uint32_t k = from; k < i; k++) fprintf(out, "%.2f,%.2f ", (double)track->x_m[k], (double)track->y_m[k]);
        fputs("\"/>\n", out);
    }
}

static void draw_box(const fw_scenario *s, const fw_scenario_track *track, FILE *out) {
    uint32_t i = s->ticks / 2 - track->first;
    if (i >= track->count) return;
    fprintf(out, "<g transform=\"translate(%.2f %.2f) rotate(%.1f)\" opacity=\"0.6\">", (double)track->x_m[i],
            (double)track->y_m[i], (double)track->yaw_rad[i] * 180 / M_PI);
    fw_drawing_car(out, track->kind.length_m, track->kind.width_m,
                   track->route == FW_SCENARIO_NONE ? FW_DRAWING_OTHER : FW_DRAWING_GOOD);
    fputs("</g>\n", out);
}

void fw_scenario_picture(const fw_scenario *s, FILE *out) {
    float x0, y0, x1, y1;
    box_of(s, &x0, &y0, &x1, &y1);
    fw_drawing_window window = {(x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2};
    const double scale = 6; /* pixels a metre */
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"%.2f %.2f %.2f %.2f\">\n"
                 "<rect x=\"%.2f\" y=\"%.2f\" width=\"100%%\" height=\"100%%\" fill=\"#fff\"/><g transform=\"scale(1 -1)\">\n",
            scale * (double)(x1 - x0), scale * (double)(y1 - y0), (double)x0, (double)-y1, (double)(x1 - x0),
            (double)(y1 - y0), (double)x0, (double)-y1);
    fw_drawing_map(out, s, FW_SCENARIO_NONE, &window);
    for (uint32_t r = 0; r < s->route_count; r++) {
        const fw_scenario_route *route = &s->routes[r];
        fputs("<polyline fill=\"none\" stroke=\"" FW_DRAWING_ROUTE "\" stroke-width=\"0.3\" stroke-opacity=\"0.7\" points=\"", out);
        for (uint32_t i = 0; i < route->count; i++)
            fprintf(out, "%.2f,%.2f ", (double)route->points[i].x_m, (double)route->points[i].y_m);
        fprintf(out, "\"/><circle cx=\"%.2f\" cy=\"%.2f\" r=\"1\" fill=\"" FW_DRAWING_ROUTE "\"/>\n",
                (double)route->goal_x_m, (double)route->goal_y_m);
    }
    for (uint32_t t = 0; t < s->track_count; t++) {
        draw_way(s, &s->tracks[t], out);
        draw_box(s, &s->tracks[t], out);
    }
    fputs("</g></svg>\n", out);
}
