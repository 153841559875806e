/* server.h - HTTP as pure functions: a request in, a response out, libmicrohttpd as thin adapter.
 *
 *   socket -> libmicrohttpd -> fw_http_request -> handler(self, request) -> fw_http_response
 *
 * Handlers see no socket and no thread: a test calls them directly. Bodies of at most
 * `body_max_bytes` are collected in memory; larger ones (uploads) go to a fw_http_sink chosen by
 * the application when the headers are in. Server-Sent Events are a response whose `stream`
 * callback is asked for the next bytes.
 *
 * Invariants: (1) binds to the given address only (loopback by default); (2) every limit has a
 * number here or in the config; (3) requests from a foreign web page (Origin not ours, or a Host
 * that is neither an IP literal of ours nor localhost) are refused with 403 before any handler,
 * except GET and HEAD without Origin, whose Host must still be ours (DNS rebinding).
 */
#ifndef FW_HTTP_SERVER_H
#define FW_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct fw_http_request {
    const char *method, *path; /* path without the query, percent-decoded */
    const char *body;          /* NULL when it went to a sink */
    size_t body_bytes;
    void *sink;                /* as returned by open_sink, else NULL */
    /* Header or query value or NULL; names case-insensitive for headers. */
    const char *(*header)(const void *native, const char *name);
    const char *(*query)(const void *native, const char *name);
    const void *native;
} fw_http_request;

enum { FW_HTTP_HEADERS_MAX = 8 };

typedef struct fw_http_response {
    int status;
    const char *content_type;  /* static text */
    char *body;                /* malloc'd, freed by the server; or NULL */
    size_t body_bytes;
    const char *static_body;   /* instead of body: never freed (embedded assets) */
    char file_path[512];       /* instead of body: this file is sent, Range honoured */
    /* instead of body: called again and again for Server-Sent Events; fills out, returns bytes
       (0: nothing yet, asked again within 0.5 s), negative ends the stream */
    long (*stream)(void *self, char *out, size_t out_bytes);
    void *stream_self;
    void (*stream_free)(void *self);
    uint32_t header_count;
    struct { char name[40]; char value[160]; } headers[FW_HTTP_HEADERS_MAX];
} fw_http_response;

typedef struct fw_http_app {
    void *self;
    void (*handle)(void *self, const fw_http_request *request, fw_http_response *response);
    /* Optional: for methods with a body. Returns a sink (passed on in request->sink), or NULL to
       collect in memory; may refuse at once by setting response->status. */
    void *(*open_sink)(void *self, const fw_http_request *request, fw_http_response *response);
    /* Called with each piece; false stops reading (the handler then answers with the reason). */
    bool (*sink_write)(void *self, void *sink, const void *bytes, size_t size_bytes);
    /* Called exactly once for each opened sink, after the handler or when the client vanished. */
    void (*close_sink)(void *self, void *sink);
} fw_http_app;

typedef struct fw_http_config {
    const char *address; /* "127.0.0.1" */
    uint16_t port;       /* 0: any; see fw_http_server_port */
    size_t body_max_bytes;
    unsigned connections_max, idle_timeout_s;
} fw_http_config;

typedef struct fw_http_server fw_http_server;
/* A busy port gives FW_BUSY with one line that names it and says what to do. */
fw_status fw_http_server_start(const fw_http_config *config, const fw_http_app *app,
                               fw_http_server **out, fw_error *error) FW_MUST;
uint16_t fw_http_server_port(const fw_http_server *server);
void fw_http_server_stop(fw_http_server *server);

/* Helpers for handlers. */
void fw_http_respond_json(fw_http_response *response, int status, char *json_text /* taken */);
/* {"error": "..."} */
void fw_http_respond_error(fw_http_response *response, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void fw_http_add_header(fw_http_response *response, const char *name, const char *value);

#endif
