/* metrics.h - what the factory counts of itself, for GET /metrics (Prometheus text format 0.0.4).
 *
 *   stations --> atomic counters here --+
 *   catalogue, units, records  ---------+--> fw_metrics_text --> name{label="value"} number
 *
 * Counters start at 0 with the process. Every label has a fixed set of values, so the number of
 * series does not grow with the fleet. Names are the product's: flywheel_<what>_<unit>[_total].
 * To add one: 1. a field or a line here, 2. its line in metrics.c or api_records.c, 3. the table in
 * docs/formats/http.md, 4. tests/factory/test_metrics.c.
 */
#ifndef FW_FACTORY_METRICS_H
#define FW_FACTORY_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Upper bounds of the flush histogram, in ns; the last bucket is +Inf. */
#define FW_METRICS_FLUSH_NS                                                                        \
    {                                                                                              \
        100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 25000000, 50000000,           \
            100000000, 250000000, 1000000000                                                       \
    }
enum { FW_METRICS_FLUSH_BUCKETS = 13, FW_METRICS_CODES = 600 };

typedef struct fw_metrics {
    atomic_uint_fast64_t requests[FW_METRICS_CODES]; /* by HTTP status; 0: others */
    atomic_uint_fast64_t requests_open;
    atomic_uint_fast64_t upload_bytes, uploads_open;
    atomic_uint_fast64_t uploads_whole, uploads_part, uploads_repeated, uploads_refused,
        uploads_failed;
    atomic_uint_fast64_t upload_commits;
    atomic_uint_fast64_t records, records_repeated, record_bytes;
    atomic_uint_fast64_t batches, batches_refused, batches_failed, record_commits;
    atomic_uint_fast64_t flush[FW_METRICS_FLUSH_BUCKETS], flush_sum_ns;
} fw_metrics;

static inline void fw_metrics_add(atomic_uint_fast64_t *counter, uint64_t n) {
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}
static inline uint64_t fw_metrics_get(const atomic_uint_fast64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}
void fw_metrics_flush(fw_metrics *metrics, int64_t ns);
void fw_metrics_answered(fw_metrics *metrics, int http_status);

/* A text that grows; owned by the caller, who frees `text`. After a failed allocation it stays as
 * it was and `failed` is set. */
typedef struct fw_metrics_text {
    char *text;
    size_t size, room;
    int failed;
} fw_metrics_text;
/* "# HELP" and "# TYPE" lines; type is "counter", "gauge" or "histogram". */
void fw_metrics_head(fw_metrics_text *out, const char *name, const char *type, const char *help);
/* One sample; label NULL: none. Values are escaped. */
void fw_metrics_line(fw_metrics_text *out, const char *name, const char *label, const char *value,
                     double number);
/* Head and one sample without a label. */
void fw_metrics_one(fw_metrics_text *out, const char *name, const char *type, const char *help,
                    double number);
/* All that is counted here. */
void fw_metrics_write(const fw_metrics *metrics, fw_metrics_text *out);

#endif
