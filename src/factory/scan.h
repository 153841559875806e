/* scan.h - an uploaded recording looked through once: intact, within limits, and its events.
 *
 * /event messages are JSON objects {"event": "hard_brake", "value": -5.2, ...}; an intact file
 * with a malformed event is refused like a broken one. Memory is bounded by the limits below.
 */
#ifndef FW_FACTORY_SCAN_H
#define FW_FACTORY_SCAN_H

#include <stdint.h>

#include "base/status.h"
#include "factory/line.h"

enum { FW_SCAN_EVENTS_MAX = 4096, FW_SCAN_KIND_MAX = 32 };

typedef struct fw_scan_event {
    char kind[FW_SCAN_KIND_MAX];
    int64_t time_ns;
    double value; /* NaN: none */
} fw_scan_event;

typedef struct fw_scan {
    int64_t messages, start_ns, end_ns;
    uint32_t event_count;
    fw_scan_event *events; /* (event_count), owned */
} fw_scan;

/* FW_CORRUPT, FW_TOO_BIG, FW_UNSUPPORTED with a reason: not a recording we take. */
fw_status fw_scan_recording(const char *path, const fw_factory_line *line, fw_scan *out,
                            fw_error *error) FW_MUST;
void fw_scan_clear(fw_scan *scan);

#endif
