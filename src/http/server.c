#include "http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "http/origin.h"
#include "http/server_inner.h"

enum {
    STACK_BYTES = 1 << 20,
    LISTEN_BACKLOG = 1024,
    DRAIN_MAX_BYTES = 1 << 20,   /* a refused body this small is read and dropped, so that its
                                    sender sees the answer; curl asks first (100) above it */
    DISCARD_MAX_BYTES = 1 << 28, /* after a sink stopped reading */
    MEMORY_BYTES = 32 << 10,     /* of a connection: headers, and the piece of a body at a time */
    MEMORY_STEP_BYTES = 8 << 10,
    SPARE_CONNECTIONS = 32, /* to tell those over the limit that they are */
    PULSE_MS = 50,
    WATCH_EVERY = 5, /* pulses */
    RETRY_S = 2,
};

/* TLS 1.3 and 1.2, forward secrecy alone. */
static const char tls_priorities[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:%SERVER_PRECEDENCE";

/* ---- what handlers see ---- */

const char *fw_http_header_of(const fw_http_exchange *x, const char *name) {
    return MHD_lookup_connection_value(x->native, MHD_HEADER_KIND, name);
}

static const char *get_header(const void *native, const char *name) {
    return fw_http_header_of(native, name);
}

static const char *get_query(const void *native, const char *name) {
    const fw_http_exchange *x = native;
    return MHD_lookup_connection_value(x->native, MHD_GET_ARGUMENT_KIND, name);
}

fw_http_request fw_http_request_of(const fw_http_exchange *x) {
    return (fw_http_request){.method = x->method,
                             .path = x->path,
                             .body = x->sink ? NULL : x->body,
                             .body_bytes = x->sink ? 0 : x->body_bytes,
                             .sink = x->sink,
                             .header = get_header,
                             .query = get_query,
                             .native = x,
                             .peer = (fw_http_peer *)(uintptr_t)&x->peer};
}

/* ---- sleepers ---- */

bool fw_http_hold(fw_http_server *server) {
    pthread_mutex_lock(&server->lock);
    bool may = !server->stopping;
    if (may) server->held++;
    pthread_mutex_unlock(&server->lock);
    return may;
}

void fw_http_let_go(fw_http_server *server) {
    pthread_mutex_lock(&server->lock);
    if (--server->held == 0) pthread_cond_broadcast(&server->idle);
    pthread_mutex_unlock(&server->lock);
}

/* On a handler's thread. */
static void run_handler(fw_http_exchange *x) {
    fw_http_server *server = x->server;
    struct MHD_Connection *native = x->native;
    fw_http_request request = fw_http_request_of(x);
    server->app.handle(server->app.self, &request, &x->response);
    x->handled = true;
    MHD_resume_connection(native); /* x may be gone from here on */
    fw_http_let_go(server);
}

/* ---- requests ---- */

static void local_address(struct MHD_Connection *connection, char *out, size_t out_size) {
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    snprintf(out, out_size, "none");
    if (!info || getsockname(info->connect_fd, (struct sockaddr *)&address, &size) != 0) return;
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
        inet_ntop(AF_INET, &v4->sin_addr, out, (socklen_t)out_size);
    } else if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
        inet_ntop(AF_INET6, &v6->sin6_addr, out, (socklen_t)out_size);
    }
}

/* Declared size of the body; 0 none, UINT64_MAX unknown (chunked). */
static uint64_t declared_body_bytes(const fw_http_exchange *x) {
    if (fw_http_header_of(x, "Transfer-Encoding")) return UINT64_MAX;
    const char *text = fw_http_header_of(x, "Content-Length");
    return text ? strtoull(text, NULL, 10) : 0;
}

static void refuse_for_now(fw_http_exchange *x, int status, const char *why) {
    char seconds[16];
    fw_http_respond_error(&x->response, status, "%s", why);
    snprintf(seconds, sizeof seconds, "%d", RETRY_S);
    fw_http_add_header(&x->response, "Retry-After", seconds);
}

/* What a browser asks before it lets a foreign page read with a header of its own. */
static void answer_preflight(fw_http_exchange *x) {
    fw_http_response *r = &x->response;
    r->status = 204;
    fw_http_add_header(r, "Access-Control-Allow-Methods", "GET, HEAD, OPTIONS");
    fw_http_add_header(r, "Access-Control-Allow-Headers",
                       "Authorization, If-Match, If-None-Match, If-Range, Range");
    fw_http_add_header(r, "Access-Control-Max-Age", "600");
    if (fw_http_header_of(x, "Access-Control-Request-Private-Network"))
        fw_http_add_header(r, "Access-Control-Allow-Private-Network", "true");
}

/* The rule about foreign pages, crowds, who it is, and rates: refusals set the response. */
static void check_sender(fw_http_exchange *x) {
    char address[64];
    const char *why = NULL;
    const fw_http_config *config = &x->server->config;
    local_address(x->native, address, sizeof address);
    const fw_http_origin_rule rule = {.local_address = address,
                                      .tls = config->tls != NULL,
                                      .names = config->names,
                                      .cors_origins = config->cors_origins,
                                      .cors_paths = config->cors_paths};
    const char *refused =
        fw_http_origin_refused(&rule, x->method, x->path, fw_http_header_of(x, "Host"),
                               fw_http_header_of(x, "Origin"), &x->cross);
    if (!refused && !x->cross && fw_http_fetch_foreign(x->path, fw_http_header_of(x, "Sec-Fetch-Site")))
        refused = "requests from a foreign web page are refused";
    int crowded = fw_http_limits_crowded(x->server->limits, &x->peer, &why);
    if (crowded) {
        x->close = true;
        refuse_for_now(x, crowded, why);
    } else if (refused) {
        fw_http_respond_error(&x->response, 403, "%s", refused);
    } else if (x->path[0] && x->path[0] != '/') {
        fw_http_respond_error(&x->response, 400, "want a path that begins with /");
    } else if (!x->path[0]) {
        fw_http_respond_error(&x->response, 414, "the path is over %d bytes", FW_HTTP_PATH_MAX - 1);
    } else if (x->cross && strcmp(x->method, "OPTIONS") == 0) {
        answer_preflight(x);
    } else {
        fw_http_request request = fw_http_request_of(x);
        bool may = !x->server->app.admit ||
                   x->server->app.admit(x->server->app.self, &request, &x->response);
        int rate = fw_http_limits_rate(x->server->limits, &x->peer, &why);
        if (rate)
            refuse_for_now(x, rate, why);
        else if (!may && !x->response.status)
            fw_http_respond_error(&x->response, 403, "not allowed");
    }
}

/* Where the body goes. */
static void open_body(fw_http_exchange *x, uint64_t declared) {
    const fw_http_app *app = &x->server->app;
    size_t max = x->server->config.body_max_bytes;
    fw_http_request request = fw_http_request_of(x);
    if (app->open_sink) x->sink = app->open_sink(app->self, &request, &x->response);
    if (!x->sink && !x->response.status && declared != UINT64_MAX && declared > max)
        fw_http_respond_error(&x->response, 413, "the body has %llu bytes, the limit is %zu",
                              (unsigned long long)declared, max);
}

/* Headers are in. */
static enum MHD_Result begin(fw_http_exchange *x) {
    uint64_t declared = declared_body_bytes(x);
    const char *refused = fw_http_framing_refused(x);
    if (refused) {
        x->early = x->close = true;
        fw_http_respond_error(&x->response, 400, "%s", refused);
        return fw_http_answer(x);
    }
    check_sender(x);
    if (!x->response.status && declared > 0) open_body(x, declared);
    x->early = x->response.status != 0;
    if (x->early && declared > DRAIN_MAX_BYTES) return fw_http_answer(x);
    fw_http_limits_phase(x->server->limits, x->connection,
                         declared > 0 ? FW_HTTP_BODY : FW_HTTP_WORKS);
    return MHD_YES;
}

static bool grow_body(fw_http_exchange *x, size_t size) {
    size_t wanted = x->body_bytes + size + 1;
    if (wanted <= x->body_room) return true;
    uint64_t declared = declared_body_bytes(x); /* at most body_max_bytes, or unknown */
    size_t room =
        declared != UINT64_MAX && declared + 1 >= wanted ? (size_t)declared + 1 : wanted * 2;
    char *grown = realloc(x->body, room);
    if (!grown) return false;
    x->body = grown;
    x->body_room = room;
    return true;
}

static enum MHD_Result collect(fw_http_exchange *x, const char *bytes, size_t size) {
    const fw_http_app *app = &x->server->app;
    if (x->early || x->sink_stopped) {
        x->discarded_bytes += size;
        return x->discarded_bytes <= DISCARD_MAX_BYTES ? MHD_YES : MHD_NO;
    }
    if (x->sink) {
        x->sink_stopped = !app->sink_write(app->self, x->sink, bytes, size);
        return MHD_YES;
    }
    if (size > x->server->config.body_max_bytes - x->body_bytes) {
        fw_http_respond_error(&x->response, 413, "the body is over the limit of %zu bytes",
                              x->server->config.body_max_bytes);
        x->early = true;
        return MHD_YES;
    }
    if (!grow_body(x, size)) return MHD_NO;
    memcpy(x->body + x->body_bytes, bytes, size);
    x->body_bytes += size;
    x->body[x->body_bytes] = '\0';
    return MHD_YES;
}

/* Puts the connection to sleep and gives the request to a handler's thread. */
static enum MHD_Result hand_over(fw_http_exchange *x) {
    fw_http_server *server = x->server;
    fw_http_limits_phase(server->limits, x->connection, FW_HTTP_WORKS);
    if (!fw_http_hold(server)) {
        refuse_for_now(x, 503, "the server stops");
        return fw_http_answer(x);
    }
    MHD_suspend_connection(x->native);
    if (fw_http_handlers_push(server->handlers, x)) return MHD_YES;
    refuse_for_now(x, 503, "the server has no thread for this");
    x->handled = true;
    MHD_resume_connection(x->native);
    fw_http_let_go(server);
    return MHD_YES;
}

static fw_http_exchange *begin_exchange(fw_http_server *server, struct MHD_Connection *connection,
                                        const char *url, const char *method) {
    fw_http_exchange *x = calloc(1, sizeof *x);
    if (!x) return NULL;
    x->server = server;
    x->native = connection;
    if (strlen(url) < sizeof x->path) snprintf(x->path, sizeof x->path, "%s", url);
    snprintf(x->method, sizeof x->method, "%s", method);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    fw_http_connection *c = info ? info->socket_context : NULL;
    x->connection = c;
    x->peer.tls = server->config.tls != NULL; /* whatever else fails: never taken for local */
    if (!c) {
        snprintf(x->peer.refused, sizeof x->peer.refused, "no memory to look at the certificate");
        return x;
    }
    if (!c->peer_known) {
        fw_http_peer_identify(connection, &c->peer);
        c->peer.tls = x->peer.tls;
        c->peer_known = true;
    }
    x->peer = c->peer;
    return x;
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state) {
    fw_http_exchange *x = *state;
    (void)version;
    if (!x) {
        x = begin_exchange(self, connection, url, method);
        *state = x;
        return x ? begin(x) : MHD_NO;
    }
    if (*upload_size > 0) {
        enum MHD_Result result = collect(x, upload, *upload_size);
        *upload_size = 0;
        return result;
    }
    return x->early || x->handled ? fw_http_answer(x) : hand_over(x);
}

static void on_completed(void *self, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why) {
    fw_http_server *server = self;
    fw_http_exchange *x = *state;
    (void)connection, (void)why;
    if (!x) return;
    fw_http_limits_phase(server->limits, x->connection, FW_HTTP_WAITS);
    if (x->sink) server->app.close_sink(server->app.self, x->sink);
    if (x->response.stream && x->response.stream_free)
        x->response.stream_free(x->response.stream_self);
    free(x->response.body);
    free(x->body);
    free(x);
    *state = NULL;
}

/* ---- life ---- */

static enum MHD_Result on_accept(void *self, const struct sockaddr *address, socklen_t size) {
    (void)size;
    return fw_http_limits_accepts(((fw_http_server *)self)->limits, address) ? MHD_YES : MHD_NO;
}

static void on_connection(void *self, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what) {
    fw_http_server *server = self;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        fw_http_limits_closed(server->limits, *context);
        *context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int socket_fd = fd ? fd->connect_fd : -1;
    const union MHD_ConnectionInfo *address =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    *context =
        fw_http_limits_connected(server->limits, socket_fd, address ? address->client_addr : NULL);
}

/* Asks the streams twenty times a second, and the deadlines four times, until nobody sleeps. */
static void *pulse(void *self) {
    fw_http_server *server = self;
    const struct timespec wait = {.tv_nsec = PULSE_MS * 1000000};
    for (unsigned beat = 0;; beat++) {
        fw_http_streams_ask(server);
        if (beat % WATCH_EVERY == 0) fw_http_limits_watch(server->limits);
        pthread_mutex_lock(&server->lock);
        bool over = server->stopping && server->held == 0;
        pthread_mutex_unlock(&server->lock);
        if (over) return NULL;
        nanosleep(&wait, NULL);
    }
}

static fw_status bind_listener(const fw_http_config *config, int *out, uint16_t *port,
                               fw_error *error) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(config->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(config->port)};
    bool is_v4 = inet_pton(AF_INET, config->address, &v4.sin_addr) == 1;
    if (!is_v4 && inet_pton(AF_INET6, config->address, &v6.sin6_addr) != 1)
        return fw_fail(error, FW_INVALID, "%s is not an IP address to listen on", config->address);
    const struct sockaddr *address = is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t size = is_v4 ? sizeof v4 : sizeof v6;
    int one = 1, fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fw_fail_errno(error, "cannot open a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, address, size) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        fw_status status =
            errno == EADDRINUSE
                ? fw_fail(error, FW_BUSY,
                          "port %u on %s is in use by another program; stop it or choose another "
                          "port (--listen %s:%u)",
                          config->port, config->address, config->address, config->port + 1u)
                : fw_fail_errno(error, "cannot listen on %s port %u", config->address,
                                config->port);
        close(fd);
        return status;
    }
    struct sockaddr_storage bound;
    socklen_t bound_size = sizeof bound;
    FW_ASSERT(getsockname(fd, (struct sockaddr *)&bound, &bound_size) == 0);
    *port = ntohs(is_v4 ? ((struct sockaddr_in *)&bound)->sin_port
                        : ((struct sockaddr_in6 *)&bound)->sin6_port);
    *out = fd;
    return FW_OK;
}

static void on_log(void *self, const char *format, va_list args) {
    char text[300];
    (void)self;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\r\n")] = '\0';
    fw_log_debug("http: %s", text);
}

static fw_http_config with_defaults(const fw_http_config *config) {
    fw_http_config c = *config;
    if (!c.connections_max) c.connections_max = 128;
    if (!c.idle_timeout_s) c.idle_timeout_s = 30;
    if (!c.header_timeout_s) c.header_timeout_s = 10;
    if (!c.body_min_bytes_per_s) c.body_min_bytes_per_s = 128;
    if (!c.handlers_max) c.handlers_max = 64;
    if (!c.io_threads) c.io_threads = 4;
    if (!c.streams_max) c.streams_max = 64;
    if (!c.requests_burst) c.requests_burst = c.requests_per_s;
    return c;
}

static struct MHD_Daemon *start_daemon(fw_http_server *server, int listener) {
    const fw_http_config *c = &server->config;
    const fw_http_tls *tls = c->tls;
    const struct MHD_OptionItem secure[] = {
        {MHD_OPTION_HTTPS_MEM_KEY, 0, tls ? (void *)(uintptr_t)tls->key_pem : NULL},
        {MHD_OPTION_HTTPS_MEM_CERT, 0, tls ? (void *)(uintptr_t)tls->cert_pem : NULL},
        {MHD_OPTION_HTTPS_MEM_TRUST, 0, tls ? (void *)(uintptr_t)tls->ca_pem : NULL},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)tls_priorities},
        {MHD_OPTION_END, 0, NULL}};
    const struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     MHD_USE_ERROR_LOG | (tls ? (unsigned)MHD_USE_TLS : 0u);
    unsigned connections = c->connections_max + SPARE_CONNECTIONS;
    unsigned threads = c->io_threads < connections ? c->io_threads : connections;
    return MHD_start_daemon(
        flags, c->port, on_accept, server, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log,
        NULL, MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_CONNECTION_LIMIT,
        connections, MHD_OPTION_CONNECTION_TIMEOUT, c->idle_timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_BYTES,
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)MEMORY_STEP_BYTES,
        MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0u, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_BYTES, MHD_OPTION_ARRAY, tls ? secure : plain, MHD_OPTION_END);
}

static void free_server(fw_http_server *server) {
    fw_http_handlers_close(server->handlers);
    fw_http_limits_close(server->limits);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->idle);
    free(server);
}

fw_status fw_http_server_start(const fw_http_config *config, const fw_http_app *app,
                               fw_http_server **out, fw_error *error) {
    int listener = -1;
    fw_http_server *server = calloc(1, sizeof *server);
    if (!server) return fw_fail(error, FW_NO_MEMORY, "no memory for the HTTP server");
    server->app = *app;
    server->config = with_defaults(config);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->idle, NULL);
    fw_status status = fw_http_limits_open(&server->config, &server->limits, error);
    if (status == FW_OK)
        status = fw_http_handlers_open(server->config.handlers_max, run_handler, &server->handlers,
                                       error);
    if (status == FW_OK) status = bind_listener(config, &listener, &server->port, error);
    if (status != FW_OK) {
        free_server(server);
        return status;
    }
    server->daemon = start_daemon(server, listener);
    if (!server->daemon) {
        close(listener);
        free_server(server);
        return fw_fail(error, FW_IO, "the HTTP server does not start");
    }
    if (pthread_create(&server->pulse, NULL, pulse, server) != 0) {
        MHD_stop_daemon(server->daemon);
        free_server(server);
        return fw_fail(error, FW_NO_MEMORY, "no thread for the HTTP server");
    }
    *out = server;
    return FW_OK;
}

uint16_t fw_http_server_port(const fw_http_server *server) {
    return server->port;
}

void fw_http_server_stop(fw_http_server *server) {
    if (!server) return;
    pthread_mutex_lock(&server->lock);
    server->stopping = true; /* nobody falls asleep any more */
    while (server->held > 0) pthread_cond_wait(&server->idle, &server->lock);
    pthread_mutex_unlock(&server->lock);
    pthread_join(server->pulse, NULL);
    MHD_stop_daemon(server->daemon);
    free_server(server);
}
