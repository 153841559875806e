/* trace.h - what happened in a simulation: one running hash, and the last lines in words.
 *
 *   fw_sim_say(trace, time, who, ...) --> SHA-256 of all lines: equal for the same seed, or the
 *                                         simulation is not what it claims
 *                                     --> a ring of the last FW_SIM_LINES, shown when something fails
 *   fw_sim_hint(...)                  --> the ring alone: words that hold paths, or the log of the
 *                                         program under test
 */
#ifndef FW_SIM_TRACE_H
#define FW_SIM_TRACE_H

#include <stdint.h>

#include "base/hash.h"

enum { FW_SIM_LINES = 60, FW_SIM_LINE_MAX = 200 };

typedef struct fw_sim_trace {
    fw_sha256 *sha;
    uint64_t lines; /* hashed */
    uint64_t shown;
    char ring[FW_SIM_LINES][FW_SIM_LINE_MAX];
    void (*each)(void *self, const char *line); /* NULL, or sees every line as it comes */
    void *each_self;
} fw_sim_trace;

void fw_sim_trace_begin(fw_sim_trace *trace);
/* The hash of all lines. */
fw_hash fw_sim_trace_end(fw_sim_trace *trace);
void fw_sim_say(fw_sim_trace *trace, int64_t time_ns, const char *who, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void fw_sim_hint(fw_sim_trace *trace, int64_t time_ns, const char *who, const char *text);
/* The last lines, oldest first, malloc'd. */
char *fw_sim_trace_tail(const fw_sim_trace *trace);

#endif
