/* server.h - HTTP as pure functions: a request in, a response out, libmicrohttpd as thin adapter.
 *
 *   socket -> I/O threads (epoll, TLS) -> admit -> open_sink, sink_write   on an I/O thread
 *                                                -> handle                 on a handler thread
 *                                                -> response               on an I/O thread
 *
 * Handlers see no socket and no thread: a test calls them directly. Bodies of at most
 * `body_max_bytes` are collected in memory; larger ones (uploads) go to a fw_http_sink chosen by
 * the application when the headers are in. While a handler works, or waits for a disk, its
 * connection sleeps and no I/O thread waits with it: `handlers_max` of them at once. Server-Sent
 * Events are a response whose `stream` callback is asked for the next bytes by one thread for all.
 *
 * Limits, each with its answer:
 *     headers over 32 KiB together 431, path 414, body 413
 *     headers (or the TLS handshake) not whole in header_timeout_s          408, closed
 *     a body slower than body_min_bytes_per_s over 10 s                     408, closed
 *     an answer taken slower than that over 10 s, idle_timeout_s of silence closed
 *     more than requests_per_s of one identity or address                   429, Retry-After
 *     more than address_connections_max of one address                      429, closed
 *     more than connections_max                                             503, closed
 *     more than streams_max Server-Sent Event streams at once               503, Retry-After
 *
 * Invariants: (1) binds to the given address only (loopback by default); (2) every limit has a
 * number here or in the config; (3) requests from a foreign web page (Origin not ours, or a Host
 * that is neither an IP literal of ours nor localhost nor one of `names`) are refused with 403
 * before any handler, except GET and HEAD without Origin, whose Host must still be ours (DNS
 * rebinding), and GET, HEAD and preflight OPTIONS below one of `cors_paths` from one of
 * `cors_origins`; (4) with TLS: 1.2 and 1.3 alone; a client's certificate is asked for and checked
 * against ca_pem before it is shown to the application, and a request without one, or with a bad
 * one, is the application's to refuse in `admit`.
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
    void *sink; /* as returned by open_sink, else NULL */
    /* Header or query value or NULL; names case-insensitive for headers. */
    const char *(*header)(const void *native, const char *name);
    const char *(*query)(const void *native, const char *name);
    const void *native;
    struct fw_http_peer *peer; /* NULL: a test's own request, taken as plain and local */
} fw_http_request;

/* Who is at the other end of a connection. */
typedef struct fw_http_peer {
    char address[46]; /* IP literal */
    bool tls;
    char name[64];        /* common name of its certificate, "" without a good one */
    char fingerprint[65]; /* SHA-256 of that certificate, lower-case hex */
    char refused[160];    /* why the certificate that it showed does not count; "" */
    char identity[80];    /* set by admit: whom the rate limit counts for; "": the address */
} fw_http_peer;

enum { FW_HTTP_HEADERS_MAX = 8 };

typedef struct fw_http_response {
    int status;
    const char *content_type; /* static text */
    char *body;               /* malloc'd, freed by the server; or NULL */
    size_t body_bytes;
    const char *static_body; /* instead of body: never freed (embedded assets) */
    char file_path[512];     /* instead of body: this file is sent, Range honoured */
    /* instead of body: called again and again for Server-Sent Events; fills out, returns bytes
       (0: nothing yet, asked again within 0.5 s), negative ends the stream */
    long (*stream)(void *self, char *out, size_t out_bytes);
    void *stream_self;
    void (*stream_free)(void *self);
    uint32_t header_count;
    struct {
        char name[40];
        char value[160];
    } headers[FW_HTTP_HEADERS_MAX];
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
    /* Optional: called first, with the headers; false refuses with what it set in response. */
    bool (*admit)(void *self, const fw_http_request *request, fw_http_response *response);
} fw_http_app;

/* PEM texts. */
typedef struct fw_http_tls {
    const char *ca_pem; /* the only authority whose client certificates count */
    const char *cert_pem, *key_pem;
} fw_http_tls;

typedef struct fw_http_config {
    const char *address; /* "127.0.0.1" */
    uint16_t port;       /* 0: any; see fw_http_server_port */
    size_t body_max_bytes;
    unsigned connections_max, idle_timeout_s; /* 0: 128, 30 */
    unsigned header_timeout_s;                /* 0: 10 */
    unsigned body_min_bytes_per_s;            /* 0: 128 */
    unsigned handlers_max;                    /* 0: 64 */
    unsigned io_threads;                      /* 0: 4 */
    unsigned streams_max;                     /* open at once; 0: 64 */
    unsigned address_connections_max;         /* 0: no limit */
    unsigned requests_per_s, requests_burst;  /* 0: no limit */
    const fw_http_tls *tls;                   /* NULL: plain HTTP */
    /* NULL or NULL-terminated; they outlive the server. */
    const char *const *names;        /* host names that are ours too */
    const char *const *cors_origins; /* "https://app.foxglove.dev" */
    const char *const *cors_paths;   /* "/v1/objects/": what these may read */
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
