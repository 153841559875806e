/* trace.c - the story of a simulation (trace.h). */
#include "sim/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fw_sim_trace_begin(fw_sim_trace *t) { t->sha = fw_sha256_begin(); }

fw_hash fw_sim_trace_end(fw_sim_trace *t) {
    fw_hash hash = fw_sha256_end(t->sha);
    t->sha = NULL;
    return hash;
}

static const char *keep(fw_sim_trace *t, int64_t time_ns, const char *who, const char *text) {
    char *line = t->ring[t->shown++ % FW_SIM_LINES];
    int64_t ms = time_ns / 1000000;
    snprintf(line, FW_SIM_LINE_MAX, "%02d:%02d:%02d.%03d %s: %s", (int)(ms / 3600000),
             (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), (int)(ms % 1000), who, text);
    if (t->each) t->each(t->each_self, line);
    return line;
}

void fw_sim_say(fw_sim_trace *t, int64_t time_ns, const char *who, const char *format, ...) {
    char text[FW_SIM_LINE_MAX], exact[FW_SIM_LINE_MAX + 64];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    keep(t, time_ns, who, text);
    int size = snprintf(exact, sizeof exact, "%lld %s: %s\n", (long long)time_ns, who, text);
    fw_sha256_add(t->sha, exact, (size_t)size < sizeof exact ? (size_t)size : sizeof exact - 1);
    t->lines++;
}

void fw_sim_hint(fw_sim_trace *t, int64_t time_ns, const char *who, const char *text) {
    keep(t, time_ns, who, text);
}

char *fw_sim_trace_tail(const fw_sim_trace *t) {
    char *out = malloc((size_t)FW_SIM_LINES * FW_SIM_LINE_MAX + 1);
    if (!out) return NULL;
    size_t at = 0;
    uint64_t first = t->shown > FW_SIM_LINES ? t->shown - FW_SIM_LINES : 0;
    for (uint64_t i = first; i < t->shown; i++)
        at += (size_t)sprintf(out + at, "%s\n", t->ring[i % FW_SIM_LINES]);
    out[at] = '\0';
    return out;
}
