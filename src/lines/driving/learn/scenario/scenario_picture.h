/* scenario_picture.h - a whole scenario as SVG, to look at what was made of a recording.
 *
 *   lanes grey, routes blue with their goals, logged ways black, red where a corner was off the area;
 *   boxes where everybody was in the middle of the log. Metres, y up, as drawing.h.
 */
#ifndef FW_LINES_DRIVING_SCENARIO_PICTURE_H
#define FW_LINES_DRIVING_SCENARIO_PICTURE_H

#include <stdio.h>

#include "lines/driving/learn/scenario/scenario.h"

/* Errors of writing are the stream's. */
void fw_scenario_picture(const fw_scenario *scenario, FILE *out);

#endif
