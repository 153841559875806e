/* respond.c - answers: what handlers fill in, and what libmicrohttpd makes of it. */
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/range.h"
#include "http/server_inner.h"

/* ---- for handlers ---- */

void fw_http_respond_json(fw_http_response *response, int status, char *json_text) {
    free(response->body);
    response->status = json_text ? status : 500;
    response->content_type = "application/json";
    response->body = json_text;
    response->body_bytes = json_text ? strlen(json_text) : 0;
}

void fw_http_respond_error(fw_http_response *response, int status, const char *format, ...) {
    char text[500];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_t *json = json_pack("{s:s}", "error", text);
    if (!json) json = json_pack("{s:s}", "error", "request refused (its text is not UTF-8)");
    fw_http_respond_json(response, status, json_dumps(json, JSON_COMPACT));
    json_decref(json);
}

void fw_http_add_header(fw_http_response *response, const char *name, const char *value) {
    FW_ASSERT(response->header_count < FW_HTTP_HEADERS_MAX);
    uint32_t i = response->header_count++;
    snprintf(response->headers[i].name, sizeof response->headers[i].name, "%s", name);
    snprintf(response->headers[i].value, sizeof response->headers[i].value, "%s", value);
}

/* ---- to libmicrohttpd ---- */

static const char *tag_of(const fw_http_response *r) {
    for (uint32_t i = 0; i < r->header_count; i++)
        if (strcasecmp(r->headers[i].name, "ETag") == 0) return r->headers[i].value;
    return NULL;
}

/* Does the client have the file already? If-None-Match: a list of tags, or "*". */
static bool has_it(const fw_http_exchange *x, const char *tag) {
    const char *list = tag ? fw_http_header_of(x, "If-None-Match") : NULL;
    return list && (strcmp(list, "*") == 0 || strstr(list, tag));
}

/* The Range that counts: of a GET, and of the very file that If-Range names. */
static const char *range_of(const fw_http_exchange *x, const char *tag) {
    const char *of = fw_http_header_of(x, "If-Range");
    if (strcmp(x->method, "GET") != 0 || (of && (!tag || strcmp(of, tag) != 0))) return NULL;
    return fw_http_header_of(x, "Range");
}

static struct MHD_Response *file_response(fw_http_exchange *x) {
    fw_http_response *r = &x->response;
    const char *tag = tag_of(r);
    int fd = open(r->file_path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        if (fd >= 0) close(fd);
        r->header_count = 0; /* they were the file's */
        fw_http_respond_error(r, 404, "not found");
        return MHD_create_response_from_buffer(r->body_bytes, r->body, MHD_RESPMEM_MUST_COPY);
    }
    if (has_it(x, tag)) {
        close(fd);
        r->status = 304;
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    }
    uint64_t size = (uint64_t)info.st_size, first = 0, count = size;
    char text[96];
    fw_http_range range = fw_http_parse_range(range_of(x, tag), size, &first, &count);
    if (range == FW_HTTP_RANGE_REFUSED) {
        close(fd);
        snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)size);
        fw_http_add_header(r, "Content-Range", text);
        r->status = 416;
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    }
    if (range == FW_HTTP_RANGE_PART) {
        snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)first,
                 (unsigned long long)(first + count - 1), (unsigned long long)size);
        fw_http_add_header(r, "Content-Range", text);
        r->status = 206;
    }
    struct MHD_Response *out = MHD_create_response_from_fd_at_offset64(count, fd, first);
    if (!out)
        close(fd);
    else
        MHD_add_response_header(out, "Accept-Ranges", "bytes");
    return out;
}

static struct MHD_Response *native_response(fw_http_exchange *x) {
    fw_http_response *r = &x->response;
    if (r->stream) return fw_http_stream_response(x);
    if (r->file_path[0]) return file_response(x);
    if (r->static_body)
        return MHD_create_response_from_buffer(r->body_bytes, (void *)(uintptr_t)r->static_body,
                                               MHD_RESPMEM_PERSISTENT);
    char *body = r->body;
    r->body = NULL; /* taken */
    struct MHD_Response *out = MHD_create_response_from_buffer(
        body ? r->body_bytes : 0, body, body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!out) free(body);
    return out;
}

static void add_headers(fw_http_exchange *x, struct MHD_Response *native) {
    const fw_http_response *r = &x->response;
    if (r->content_type) MHD_add_response_header(native, "Content-Type", r->content_type);
    MHD_add_response_header(native, "X-Content-Type-Options", "nosniff");
    if (x->close) MHD_add_response_header(native, "Connection", "close");
    const char *origin = fw_http_header_of(x, "Origin"); /* a foreign one was refused */
    if (origin && r->status != 403) {
        MHD_add_response_header(native, "Access-Control-Allow-Origin", origin);
        MHD_add_response_header(native, "Vary", "Origin");
    }
    if (origin && x->cross && r->status != 403)
        MHD_add_response_header(native, "Access-Control-Expose-Headers",
                                "Accept-Ranges, Content-Length, Content-Range, ETag, "
                                "Upload-Offset");
    for (uint32_t i = 0; i < r->header_count; i++)
        MHD_add_response_header(native, r->headers[i].name, r->headers[i].value);
}

/* One stream too many becomes a refusal; what it held is let go. */
static void refuse_stream(fw_http_exchange *x) {
    fw_http_response *r = &x->response;
    if (r->stream_free) r->stream_free(r->stream_self);
    *r = (fw_http_response){0};
    fw_http_respond_error(r, 503, "too many live streams; close one, or ask again later");
    fw_http_add_header(r, "Retry-After", "5");
}

enum MHD_Result fw_http_answer(fw_http_exchange *x) {
    if (x->response.stream && !fw_http_stream_may(x->server)) refuse_stream(x);
    bool streams = x->response.stream != NULL;
    struct MHD_Response *native = native_response(x);
    if (!native) return MHD_NO;
    add_headers(x, native);
    fw_http_limits_phase(x->server->limits, x->connection,
                         streams ? FW_HTTP_WORKS : FW_HTTP_ANSWERS);
    enum MHD_Result queued = MHD_queue_response(
        x->native, (unsigned)(x->response.status ? x->response.status : 500), native);
    MHD_destroy_response(native);
    return queued;
}
