/* server_inner.h - what the server's files share; included by src/http/ alone.
 *
 *   server.c    life of the daemon, requests       respond.c   answers: bodies, files, headers
 *   handlers.c  threads that run handlers          stream.c    Server-Sent Events
 *   limits.c    connections, their deadlines, rates             peer.c      certificates
 *
 * A connection sleeps (MHD_suspend_connection) while a handler works on it or its stream has
 * nothing to say. Each sleeper is counted, because libmicrohttpd may stop only without any:
 * fw_http_hold before, fw_http_let_go after it was woken; hold says no once the server stops.
 */
#ifndef FW_HTTP_SERVER_INNER_H
#define FW_HTTP_SERVER_INNER_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "http/server.h"

enum { FW_HTTP_PATH_MAX = 1024 };

/* Where a connection stands; what limits.c may end it for. */
typedef enum fw_http_phase {
    FW_HTTP_WAITS,   /* no byte of the next request yet */
    FW_HTTP_HEADERS, /* some, not all */
    FW_HTTP_BODY,
    FW_HTTP_WORKS, /* the server's turn, or a stream: no deadline */
    FW_HTTP_ANSWERS
} fw_http_phase;

/* One socket, from accept to close. */
typedef struct fw_http_connection {
    struct fw_http_connection *before, *after;
    int fd;
    fw_http_phase phase;
    int64_t since_ns; /* start of the phase, or of its window */
    uint64_t since_bytes;
    bool peer_known;
    fw_http_peer peer;
} fw_http_connection;

typedef struct fw_http_limits fw_http_limits;
typedef struct fw_http_handlers fw_http_handlers;
typedef struct fw_http_stream fw_http_stream;

struct fw_http_server {
    struct MHD_Daemon *daemon;
    fw_http_app app;
    fw_http_config config; /* defaults filled in */
    uint16_t port;
    fw_http_limits *limits;
    fw_http_handlers *handlers;
    pthread_t pulse;      /* streams and deadlines */
    atomic_uint streams;  /* open */
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t idle;  /* held came to 0 */
    unsigned held;
    bool stopping;
    fw_http_stream *asleep;
};

/* One request, from its headers until its answer is out. */
typedef struct fw_http_exchange {
    struct fw_http_exchange *next; /* in the handlers' queue */
    fw_http_server *server;
    struct MHD_Connection *native;
    fw_http_connection *connection; /* NULL when there was no memory for one */
    fw_http_peer peer;
    char path[FW_HTTP_PATH_MAX], method[16];
    char *body;
    size_t body_bytes, body_room;
    uint64_t discarded_bytes;
    void *sink;
    bool sink_stopped, handled;
    bool early; /* response already decided, the body is dropped */
    bool cross; /* a foreign page that may read */
    bool close; /* the connection ends with the answer */
    fw_http_response response;
} fw_http_exchange;

bool fw_http_hold(fw_http_server *server);
void fw_http_let_go(fw_http_server *server);
fw_http_request fw_http_request_of(const fw_http_exchange *x);
const char *fw_http_header_of(const fw_http_exchange *x, const char *name);

/* respond.c: queues the exchange's response. */
/* framing.c: why the request may end in more than one place; NULL when it may not. */
const char *fw_http_framing_refused(const fw_http_exchange *x);
enum MHD_Result fw_http_answer(fw_http_exchange *x);

/* stream.c: takes the response's stream; NULL without memory. False: there are enough of them. */
bool fw_http_stream_may(fw_http_server *server);
struct MHD_Response *fw_http_stream_response(fw_http_exchange *x);
/* Asks every sleeping stream once, and wakes those that have something. The pulse's thread. */
void fw_http_streams_ask(fw_http_server *server);

/* handlers.c: threads start when they are needed, at most max; run is called on them. */
fw_status fw_http_handlers_open(unsigned max, void (*run)(fw_http_exchange *x),
                                fw_http_handlers **out, fw_error *error) FW_MUST;
/* False: not even one thread could be started. */
bool fw_http_handlers_push(fw_http_handlers *handlers, fw_http_exchange *x);
/* After the last exchange; waits for the threads. */
void fw_http_handlers_close(fw_http_handlers *handlers);

/* limits.c */
fw_status fw_http_limits_open(const fw_http_config *config, fw_http_limits **out,
                              fw_error *error) FW_MUST;
void fw_http_limits_close(fw_http_limits *limits);
fw_http_connection *fw_http_limits_connected(fw_http_limits *limits, int fd,
                                             const struct sockaddr *address);
/* Before libmicrohttpd closes the socket. */
void fw_http_limits_closed(fw_http_limits *limits, fw_http_connection *connection);
void fw_http_limits_phase(fw_http_limits *limits, fw_http_connection *connection,
                          fw_http_phase phase);
/* May this address open one more at all? Somewhat over the limit, so that an answer can say so. */
bool fw_http_limits_accepts(fw_http_limits *limits, const struct sockaddr *address);
/* 0, or 429 or 503 with the reason and how long to wait. */
int fw_http_limits_crowded(fw_http_limits *limits, const fw_http_peer *peer, const char **why);
int fw_http_limits_rate(fw_http_limits *limits, const fw_http_peer *peer, const char **why);
/* Ends what is overdue. The pulse's thread. */
void fw_http_limits_watch(fw_http_limits *limits);
void fw_http_address_text(const struct sockaddr *address, char out[46]);

/* peer.c: name, fingerprint or refused of the connection's certificate. */
void fw_http_peer_identify(struct MHD_Connection *native, fw_http_peer *peer);

#endif
