/* animation.h - drives as an SVG that moves (SMIL animation, as every browser plays it): no script, one file.
 *
 * One panel a driver, side by side, each following its own car; all start together, wait at their end for
 * the longest and begin again. A failure rings its panel red from the moment on.
 */
#ifndef FW_LINES_DRIVING_ANIMATION_H
#define FW_LINES_DRIVING_ANIMATION_H

#include "lines/driving/learn/picture/trace.h"

/* The SVG's text, malloc'd. FW_INVALID: no trace has two frames, or there are more than 8. */
fw_status fw_animation_svg(const fw_scenario *scenario, const fw_trace *traces, uint32_t count, char **out,
                           size_t *size_bytes, fw_error *error) FW_MUST;

#endif
