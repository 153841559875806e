#include "lines/driving/learn/scenario/smooth.h"

#include <math.h>
#include <stdlib.h>

/* ---- a line ---- */

double fw_smooth_lambda(double step, double wavelength) {
    double swing = 2 * sin(M_PI * step / wavelength); /* what one difference does to that wave */
    return 1 / pow(swing, 6);
}

enum { BAND = 3, ROW = BAND + 1 };

/* Adds lambda D'D of third differences: d = z0 - 3 z1 + 3 z2 - z3. m[i * ROW + k] is the element (i, i - k). */
static void add_penalty(double *m, uint32_t count, double lambda) {
    static const double d[ROW] = {1, -3, 3, -1};
    for (uint32_t t = 0; t + BAND < count; t++)
        for (uint32_t i = 0; i < ROW; i++)
            for (uint32_t j = 0; j <= i; j++) m[(t + i) * ROW + (i - j)] += lambda * d[i] * d[j];
}

/* Cholesky of a band: m becomes L, in place. */
static void factor(double *m, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = i < BAND ? i : BAND;; k--) { /* the element (i, j), j = i - k */
            uint32_t j = i - k;
            double sum = m[i * ROW + k];
            for (uint32_t p = j < BAND ? 0 : j - BAND; p < j; p++)
                if (i - p <= BAND) sum -= m[i * ROW + (i - p)] * m[j * ROW + (j - p)];
            m[i * ROW + k] = k == 0 ? sqrt(fmax(sum, 1e-12)) : sum / m[j * ROW];
            if (k == 0) break;
        }
}

static void solve(const double *m, uint32_t count, double *z) {
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 1; k <= BAND && k <= i; k++) z[i] -= m[i * ROW + k] * z[i - k];
        z[i] /= m[i * ROW];
    }
    for (uint32_t i = count; i-- > 0;) {
        for (uint32_t k = 1; k <= BAND && i + k < count; k++) z[i] -= m[(i + k) * ROW + k] * z[i + k];
        z[i] /= m[i * ROW];
    }
}

void fw_smooth_line(const double *given, const double *weight, uint32_t count, double lambda, double *z,
                    double *work) {
    const double anchor = given[0]; /* small numbers are exact numbers */
    for (uint32_t i = 0; i < ROW * count; i++) work[i] = 0;
    for (uint32_t i = 0; i < count; i++) {
        work[i * ROW] = weight[i];
        z[i] = weight[i] > 0 ? weight[i] * (given[i] - anchor) : 0;
    }
    add_penalty(work, count, lambda);
    for (uint32_t i = 0; i < count; i++) work[i * ROW] += 1e-9; /* fewer than three given ticks leave it loose */
    factor(work, count);
    solve(work, count, z);
    for (uint32_t i = 0; i < count; i++) z[i] += anchor;
}

/* ---- a track ---- */

static double slope(const double *z, uint32_t count, uint32_t i) {
    uint32_t before = i > 0 ? i - 1 : 0, after = i + 1 < count ? i + 1 : i;
    return after > before ? (z[after] - z[before]) / ((double)(after - before) * (double)FW_DRIVE_TICK_S) : 0;
}

static double first_yaw(const fw_smooth_given *given, const double *x, const double *y) {
    for (uint32_t i = 1; i < given->count; i++)
        if (hypot(x[i] - x[0], y[i] - y[0]) >= FW_SMOOTH_COURSE_M) return atan2(y[i] - y[0], x[i] - x[0]);
    for (uint32_t i = 0; i < given->count; i++)
        if (isfinite(given->yaw_rad[i])) return given->yaw_rad[i];
    return atan2(y[given->count - 1] - y[0], x[given->count - 1] - x[0]);
}

/* One tick of the drawn point: exact for a straight way w: tan(a/2) shrinks by exp(-w/d). */
static double drawn(double yaw, double dx, double dy, double back_m) {
    double way = hypot(dx, dy);
    if (way <= 0) return yaw;
    double course = atan2(dy, dx), off = remainder(course - yaw, 2 * M_PI);
    if (fabs(off) > M_PI / 2) return yaw; /* it does not drive backwards: that is noise of one that stands */
    return course - 2 * atan(tan(off / 2) * exp(-way / back_m));
}

static void fill(const fw_smooth_given *given, const double *x, const double *y, fw_scenario_track *track) {
    double back_m = fmax(0.5, (double)(track->kind.length_m / 2 - track->kind.rear_overhang_m));
    double yaw = first_yaw(given, x, y);
    for (uint32_t i = 0; i < given->count; i++) {
        if (i > 0) yaw = drawn(yaw, x[i] - x[i - 1], y[i] - y[i - 1], back_m);
        double along = slope(x, given->count, i) * cos(yaw) + slope(y, given->count, i) * sin(yaw);
        track->x_m[i] = (float)x[i];
        track->y_m[i] = (float)y[i];
        track->yaw_rad[i] = (float)remainder(yaw, 2 * M_PI);
        track->speed_mps[i] = (float)fmax(0, along);
    }
}

fw_status fw_smooth_track(const fw_smooth_given *given, fw_scenario_track *track, fw_error *error) {
    uint32_t count = given->count;
    FW_ASSERT(count >= 1 && count == track->count);
    double *room = calloc((size_t)count * (3 + ROW), sizeof *room);
    if (!room) return fw_fail(error, FW_NO_MEMORY, "scene: no memory to smooth a track");
    double *x = room, *y = x + count, *weight = y + count, *work = weight + count;
    double lambda = fw_smooth_lambda((double)FW_DRIVE_TICK_S, 1 / FW_SMOOTH_CUTOFF_HZ);
    for (uint32_t i = 0; i < count; i++) weight[i] = isfinite(given->x_m[i]) && isfinite(given->y_m[i]);
    fw_smooth_line(given->x_m, weight, count, lambda, x, work);
    fw_smooth_line(given->y_m, weight, count, lambda, y, work);
    fill(given, x, y, track);
    free(room);
    return FW_OK;
}
