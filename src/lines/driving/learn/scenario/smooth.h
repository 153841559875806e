/* smooth.h - private: tracks without their noise.
 *
 *   given:    x, y, yaw of a box's centre, tick by tick, each off by some decimetres; some ticks missing
 *   smoothed: one path that a car can drive: x, y, yaw, speed
 *
 * Positions: x and y each minimise   sum_t w_t (z_t - given_t)^2 + lambda sum_t (third difference of z)_t^2,
 * w_t = 1 where the tick was given, else 0 (Whittaker 1923; Eilers, A Perfect Smoother, Anal. Chem. 75, 2003).
 * That is what a Rauch-Tung-Striebel smoother of a point whose acceleration drifts at random gives, in one banded
 * solve. lambda halves whatever swings faster than FW_SMOOTH_CUTOFF_HZ; people move pedals slower than that
 * (Thiemann, Treiber, Kesting 2008 smooth NGSIM's accelerations over 4 s, positions over 0.5 s).
 *
 * Heading: a car does not slip sideways, so its rear axle, d behind the centre, follows the centre like a drawn
 * point: d yaw/dt = v/d sin(course - yaw). Driving, the path alone says where the car points; standing, yaw stays
 * as it is, and noise of centimetres does not turn the box. It begins with the course of the first metres, or with
 * the given yaw where the car has not moved that far (FW_SMOOTH_COURSE_M).
 *
 * Speed is that of the centre along the heading, never negative.
 */
#ifndef FW_LINES_DRIVING_SCENARIO_SMOOTH_H
#define FW_LINES_DRIVING_SCENARIO_SMOOTH_H

#include "lines/driving/learn/scenario/scenario.h"

#define FW_SMOOTH_CUTOFF_HZ 0.5
#define FW_SMOOTH_COURSE_M 2.0

/* z (count) minimises the sum above. work: (4 * count). */
void fw_smooth_line(const double *given, const double *weight, uint32_t count, double lambda, double *z, double *work);
/* lambda of a series with one value each `step` for a cutoff wavelength in the same unit (s or m). */
double fw_smooth_lambda(double step, double wavelength);

/* A track as given; NaN: missing. The first and the last tick have their place. */
typedef struct fw_smooth_given {
    const double *x_m, *y_m, *yaw_rad; /* (count) */
    uint32_t count;
} fw_smooth_given;

/* Fills track's x_m, y_m, yaw_rad and speed_mps; its count and kind stand. */
fw_status fw_smooth_track(const fw_smooth_given *given, fw_scenario_track *track, fw_error *error) FW_MUST;

#endif
