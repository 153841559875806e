#include "factory/metrics.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t flush_bounds_ns[FW_METRICS_FLUSH_BUCKETS - 1] = FW_METRICS_FLUSH_NS;

void fw_metrics_flush(fw_metrics *metrics, int64_t ns) {
    int bucket = 0;
    if (ns < 0) ns = 0;
    while (bucket < FW_METRICS_FLUSH_BUCKETS - 1 && ns > flush_bounds_ns[bucket]) bucket++;
    fw_metrics_add(&metrics->flush[bucket], 1);
    fw_metrics_add(&metrics->flush_sum_ns, (uint64_t)ns);
}

void fw_metrics_answered(fw_metrics *metrics, int http_status) {
    bool known = http_status >= 100 && http_status < FW_METRICS_CODES;
    fw_metrics_add(&metrics->requests[known ? http_status : 0], 1);
}

/* ---- text ---- */

static void append(fw_metrics_text *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append(fw_metrics_text *out, const char *format, ...) {
    char line[400];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (out->failed || size < 0 || (size_t)size >= sizeof line) {
        out->failed = 1;
        return;
    }
    if (out->size + (size_t)size + 1 > out->room) {
        size_t room = out->room ? out->room * 2 : 4096;
        char *grown = realloc(out->text, room);
        if (!grown) {
            out->failed = 1;
            return;
        }
        out->text = grown;
        out->room = room;
    }
    memcpy(out->text + out->size, line, (size_t)size + 1);
    out->size += (size_t)size;
}

void fw_metrics_head(fw_metrics_text *out, const char *name, const char *type, const char *help) {
    append(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number_text(double number, char out[40]) {
    if (isinf(number))
        snprintf(out, 40, number > 0 ? "+Inf" : "-Inf");
    else if (number == floor(number) && fabs(number) < 9e15)
        snprintf(out, 40, "%.0f", number);
    else
        snprintf(out, 40, "%.9g", number);
}

void fw_metrics_line(fw_metrics_text *out, const char *name, const char *label, const char *value,
                     double number) {
    char digits[40], escaped[140];
    size_t used = 0;
    number_text(number, digits);
    if (!label) {
        append(out, "%s %s\n", name, digits);
        return;
    }
    for (; *value && used < sizeof escaped - 3; value++) {
        if (*value == '\\' || *value == '"' || *value == '\n') escaped[used++] = '\\';
        escaped[used++] = *value == '\n' ? 'n' : *value;
    }
    escaped[used] = '\0';
    append(out, "%s{%s=\"%s\"} %s\n", name, label, escaped, digits);
}

void fw_metrics_one(fw_metrics_text *out, const char *name, const char *type, const char *help,
                    double number) {
    fw_metrics_head(out, name, type, help);
    fw_metrics_line(out, name, NULL, NULL, number);
}

/* ---- what is counted here ---- */

static double get(const atomic_uint_fast64_t *counter) {
    return (double)fw_metrics_get(counter);
}

static void write_requests(const fw_metrics *m, fw_metrics_text *out) {
    char code[8];
    fw_metrics_head(out, "flywheel_requests_total", "counter", "HTTP requests answered, by status");
    for (int i = 100; i < FW_METRICS_CODES; i++) {
        if (fw_metrics_get(&m->requests[i]) == 0) continue;
        snprintf(code, sizeof code, "%d", i);
        fw_metrics_line(out, "flywheel_requests_total", "code", code, get(&m->requests[i]));
    }
    fw_metrics_line(out, "flywheel_requests_total", "code", "other", get(&m->requests[0]));
    fw_metrics_one(out, "flywheel_requests_open", "gauge", "HTTP requests in a handler now",
                   get(&m->requests_open));
}

static void write_uploads(const fw_metrics *m, fw_metrics_text *out) {
    static const char name[] = "flywheel_uploads_total";
    fw_metrics_head(out, name, "counter",
                    "PUTs of objects: whole, part, repeated, refused (4xx), failed (5xx)");
    fw_metrics_line(out, name, "result", "whole", get(&m->uploads_whole));
    fw_metrics_line(out, name, "result", "part", get(&m->uploads_part));
    fw_metrics_line(out, name, "result", "repeated", get(&m->uploads_repeated));
    fw_metrics_line(out, name, "result", "refused", get(&m->uploads_refused));
    fw_metrics_line(out, name, "result", "failed", get(&m->uploads_failed));
    fw_metrics_one(out, "flywheel_upload_bytes_total", "counter", "Bytes of objects received",
                   get(&m->upload_bytes));
    fw_metrics_one(out, "flywheel_uploads_open", "gauge", "PUTs under way",
                   get(&m->uploads_open));
    fw_metrics_one(out, "flywheel_upload_commits_total", "counter",
                   "Catalogue commits of whole uploads; several may share one",
                   get(&m->upload_commits));
}

static void write_records(const fw_metrics *m, fw_metrics_text *out) {
    static const char name[] = "flywheel_record_batches_total";
    fw_metrics_one(out, "flywheel_records_total", "counter", "Small records made durable",
                   get(&m->records));
    fw_metrics_one(out, "flywheel_records_repeated_total", "counter",
                   "Small records that were here already", get(&m->records_repeated));
    fw_metrics_one(out, "flywheel_record_bytes_total", "counter",
                   "Bytes of small records made durable", get(&m->record_bytes));
    fw_metrics_head(out, name, "counter", "Batches of records: taken, refused (4xx), failed (5xx)");
    fw_metrics_line(out, name, "result", "taken", get(&m->batches));
    fw_metrics_line(out, name, "result", "refused", get(&m->batches_refused));
    fw_metrics_line(out, name, "result", "failed", get(&m->batches_failed));
    fw_metrics_one(out, "flywheel_record_commits_total", "counter",
                   "Group commits of records; batches taken divided by it is their size",
                   get(&m->record_commits));
}

static void write_flushes(const fw_metrics *m, fw_metrics_text *out) {
    static const char name[] = "flywheel_flush_seconds";
    char bound[40];
    uint64_t sum = 0;
    fw_metrics_head(out, name, "histogram", "How long making data durable took");
    for (int i = 0; i < FW_METRICS_FLUSH_BUCKETS; i++) {
        bool last = i == FW_METRICS_FLUSH_BUCKETS - 1;
        sum += fw_metrics_get(&m->flush[i]);
        number_text(last ? (double)INFINITY : (double)flush_bounds_ns[i] / 1e9, bound);
        fw_metrics_line(out, "flywheel_flush_seconds_bucket", "le", bound, (double)sum);
    }
    fw_metrics_line(out, "flywheel_flush_seconds_sum", NULL, NULL, get(&m->flush_sum_ns) / 1e9);
    fw_metrics_line(out, "flywheel_flush_seconds_count", NULL, NULL, (double)sum);
}

void fw_metrics_write(const fw_metrics *metrics, fw_metrics_text *out) {
    write_requests(metrics, out);
    write_uploads(metrics, out);
    write_records(metrics, out);
    write_flushes(metrics, out);
}
