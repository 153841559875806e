/* strip.h - drives as a strip of moments, one row a driver: for reports, and for looking at quickly.
 *
 *            0.0 s        1.6 s        3.2 s     ...   last moment
 *   model A  [panel]      [panel]      [panel]         [panel, ringed red: collision]
 *   model B  [panel]      [panel]      [panel]         [panel: at the goal]
 *
 * Panels of a column show the same time, so that rows can be compared; a row whose drive is over shows its
 * last moment. Where one drive ends before the others, four of the moments are from before its end. Each panel is centred on its own car, north up.
 */
#ifndef FW_LINES_DRIVING_STRIP_H
#define FW_LINES_DRIVING_STRIP_H

#include "lines/driving/learn/picture/trace.h"

enum { FW_STRIP_MOMENTS = 6, FW_STRIP_TRACES_MAX = 8 };

/* The SVG's text, malloc'd. FW_INVALID: no trace has a frame, or there are too many. */
fw_status fw_strip_svg(const fw_scenario *scenario, const fw_trace *traces, uint32_t count, char **out,
                       size_t *size_bytes, fw_error *error) FW_MUST;

#endif
