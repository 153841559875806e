#include "base/pace.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

enum { WINDOW_S = 15 };
#define SECOND_NS 1000000000LL

void fw_pace_start(fw_pace *pace, int64_t now_ns, double done) {
    *pace = (fw_pace){now_ns, now_ns, now_ns, done, done, done};
}

void fw_pace_note(fw_pace *pace, int64_t now_ns, double done) {
    if (done < pace->last) fw_pace_start(pace, now_ns, done);
    pace->last_ns = now_ns;
    pace->last = done;
    if (now_ns - pace->next_ns < WINDOW_S * SECOND_NS) return;
    pace->mark_ns = pace->next_ns;
    pace->mark = pace->next;
    pace->next_ns = now_ns;
    pace->next = done;
}

double fw_pace_per_s(const fw_pace *pace) {
    int64_t time_ns = pace->last_ns - pace->mark_ns;
    if (time_ns < SECOND_NS || !(pace->last > pace->mark)) return NAN;
    return (pace->last - pace->mark) / ((double)time_ns / 1e9);
}

double fw_pace_left_s(const fw_pace *pace, double total) {
    double left = total - pace->last;
    return (left > 0 ? left : 0) / fw_pace_per_s(pace);
}

static void say_count(double count, char out[32]) {
    if (count >= 999950)
        snprintf(out, 32, "%.1f M", count / 1e6);
    else if (count >= 9999.5)
        snprintf(out, 32, "%.0f k", count / 1e3);
    else
        snprintf(out, 32, "%.*f", count < 9.95 ? 1 : 0, count);
}

static void say_time(double s, char out[32]) {
    long whole = s < 1e9 ? lround(s) : 1000000000;
    if (whole < 120)
        snprintf(out, 32, "%ld s", whole);
    else if (whole < 7200)
        snprintf(out, 32, "%ld min %ld s", whole / 60, whole % 60);
    else
        snprintf(out, 32, "%.1f h", (double)whole / 3600);
}

void fw_pace_words(double per_s, double left_s, const char *unit, char *out, size_t out_size) {
    char rate[32], time[32];
    bool slow = per_s < 1;
    out[0] = '\0';
    if (!isfinite(per_s)) return;
    say_count(slow ? per_s * 60 : per_s, rate);
    if (!isfinite(left_s)) {
        snprintf(out, out_size, "%s %s/%s", rate, unit, slow ? "min" : "s");
        return;
    }
    say_time(left_s, time);
    snprintf(out, out_size, "%s %s/%s, %s left", rate, unit, slow ? "min" : "s", time);
}
