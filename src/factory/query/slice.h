/* slice.h - many recordings, or the seconds around their events, as one MCAP file.
 *
 *   query --> recordings (kept) --> windows of time --> merged by time --> one file
 *             /ego of unit 7, /ego of unit 8       -->  /unit/7/ego, /unit/8/ego
 *
 * Times stay what they were. In lockstep the times of different units and drives overlap, so topics
 * say whose they are, and each channel's metadata has "unit" and "topic". Channels of one unit with
 * the same topic, encoding and schema are one channel. Each source is named in a metadata record
 * "flywheel.source" (sha256, unit, start_ns, end_ns, messages), the whole in "flywheel" (line, form
 * "slice") and "flywheel.slice" (query, recordings, cut).
 *
 * Invariants: (1) messages are in the order of their log times, equal ones in the order of recordings
 * (start, sequence); (2) the same catalogue, query and options give the same bytes; (3) memory: one
 * unpacked chunk for each of at most FW_SLICE_OPEN_MAX recordings that overlap in time; (4) the file
 * appears under its name only when it is whole.
 */
#ifndef FW_FACTORY_SLICE_H
#define FW_FACTORY_SLICE_H

#include "factory/ingest/objects.h"
#include "factory/query/query.h"

enum {
    FW_SLICE_RECORDINGS_MAX = 10000,
    FW_SLICE_OPEN_MAX = 256,
    FW_SLICE_TOPICS_MAX = 64,
    FW_SLICE_CHANNELS_MAX = 1024
};
#define FW_SLICE_BYTES_DEFAULT (1ull << 30)
#define FW_SLICE_BYTES_MAX (16ull << 30)

typedef struct fw_slice_options {
    const char *const *topics; /* (topic_count) as recorded, "/ego"; the caller's */
    size_t topic_count;        /* 0: all */
    bool around_events;        /* only before_ns .. after_ns around events: of the kinds that the query
                                  names, else of any */
    int64_t before_ns, after_ns;
    uint64_t max_bytes; /* the file ends there, cut; 0: the default */
} fw_slice_options;

typedef struct fw_slice_report {
    uint64_t recordings, messages, size_bytes;
    bool cut; /* max_bytes was reached: later messages are missing */
} fw_slice_report;

/* FW_NOT_FOUND: nothing matches; FW_ERASED: something that the query names was erased; FW_TOO_BIG:
 * over the limits above. */
fw_status fw_slice_write(fw_catalogue *catalogue, const fw_objects *objects, const fw_query *query,
                         const char *query_text, const fw_slice_options *options, const char *path,
                         fw_slice_report *report, fw_error *error) FW_MUST;

#endif
