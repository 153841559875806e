/* pace.h - how fast long work goes, and how long it will still take.
 *
 *      mark           next      last
 *   ----|--------------|---------|---> time       the rate is that between mark and last: of the
 * last
 *       |<- 15 s ----->|<- 0 to 15 s               15 to 30 s, and of all of it before that
 *
 * Long enough to stand still for a reader, short enough to follow a machine that slows down. What
 * `done` counts (steps, bytes, drives) is the caller's.
 */
#ifndef FW_BASE_PACE_H
#define FW_BASE_PACE_H

#include <stddef.h>
#include <stdint.h>

typedef struct fw_pace {
    int64_t mark_ns, next_ns, last_ns; /* monotonic */
    double mark, next, last;           /* what was done then */
} fw_pace;

void fw_pace_start(fw_pace *pace, int64_t now_ns, double done);
/* Less done than before: the work began again, and so does the pace. */
void fw_pace_note(fw_pace *pace, int64_t now_ns, double done);

/* NaN in the first second, and while nothing gets done. */
double fw_pace_per_s(const fw_pace *pace);
double fw_pace_left_s(const fw_pace *pace, double total);

/* "51 k agent-steps/s, 2 min 5 s left"; less than one a second: "8.6 exams/min, ...". "" without a rate;
 * left_s NaN: the rate alone. */
void fw_pace_words(double per_s, double left_s, const char *unit, char *out, size_t out_size);

#endif
