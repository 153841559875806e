/* drawing.h - the pieces that pictures of drives share, as SVG (W3C SVG 1.1) in world metres.
 *
 * A panel is a <g> whose unit is the metre, y up: transform="scale(K -K)". Widths of lines are metres too.
 * Everything writes to a stdio stream (usually of open_memstream); errors of writing are the stream's.
 */
#ifndef FW_LINES_DRIVING_DRAWING_H
#define FW_LINES_DRIVING_DRAWING_H

#include <stdio.h>

#include "lines/driving/learn/picture/trace.h"

/* Colours by role; the rest of a picture is greys. */
#define FW_DRAWING_GOOD "#1a7f4b"
#define FW_DRAWING_BAD "#c62f2f"
#define FW_DRAWING_OTHER "#8b96a5"
#define FW_DRAWING_ROUTE "#3572d6"

/* A rectangle of the world; what lies wholly outside of it need not be drawn. */
typedef struct fw_drawing_window {
    float x_m, y_m, half_x_m, half_y_m;
} fw_drawing_window;

/* The road's surface, lanes' edges, the route with its goal: as far as they touch the window. */
void fw_drawing_map(FILE *out, const fw_scenario *scenario, uint32_t route, const fw_drawing_window *window);
/* A car's box at the origin, heading along x, with a windscreen so that one sees where it goes. */
void fw_drawing_car(FILE *out, float length_m, float width_m, const char *colour);
/* The arc that a rear axle at the origin drives in two seconds at this speed, acceleration and curvature. */
void fw_drawing_plan(FILE *out, const fw_trace_frame *frame, const char *colour);
/* Text that may hold anything, escaped. */
void fw_drawing_text(FILE *out, const char *text);

#endif
