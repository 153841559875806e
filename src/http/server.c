#include "http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <microhttpd.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "http/origin.h"
#include "http/range.h"

enum {
    STACK_BYTES = 1 << 20,
    LISTEN_BACKLOG = 128,
    DRAIN_MAX_BYTES = 1 << 20,   /* a refused body this small is read and dropped, so that its
                                    sender sees the answer; curl asks first (100) above it */
    DISCARD_MAX_BYTES = 1 << 28, /* after a sink stopped reading */
    STREAM_BLOCK_BYTES = 16384,
    STREAM_POLL_MS = 50,
    STREAM_WAIT_MS = 500,
    PATH_MAX_BYTES = 1024,
};

struct fw_http_server {
    struct MHD_Daemon *daemon;
    fw_http_app app;
    size_t body_max_bytes;
    uint16_t port;
    atomic_bool stopping;
};

/* One request, from its headers until its answer is out. */
typedef struct exchange {
    fw_http_server *server;
    struct MHD_Connection *connection;
    char path[PATH_MAX_BYTES], method[16];
    char *body;
    size_t body_bytes;
    uint64_t discarded_bytes;
    void *sink;
    bool sink_stopped, early; /* early: response already decided, the body is dropped */
    fw_http_response response;
} exchange;

/* A response's stream with the server that may stop it. */
typedef struct stream {
    fw_http_server *server;
    long (*next)(void *self, char *out, size_t out_bytes);
    void (*free)(void *self);
    void *self;
} stream;

/* ---- what handlers see ---- */

static const char *get_header(const void *native, const char *name) {
    const exchange *x = native;
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

static const char *get_query(const void *native, const char *name) {
    const exchange *x = native;
    return MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, name);
}

static fw_http_request request_of(const exchange *x) {
    return (fw_http_request){.method = x->method,
                             .path = x->path,
                             .body = x->sink ? NULL : x->body,
                             .body_bytes = x->sink ? 0 : x->body_bytes,
                             .sink = x->sink,
                             .header = get_header,
                             .query = get_query,
                             .native = x};
}

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

/* ---- answers ---- */

static void sleep_ms(long ms) {
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
    nanosleep(&wait, NULL);
}

static ssize_t stream_next(void *self, uint64_t position, char *out, size_t size) {
    stream *s = self;
    (void)position;
    for (int waited_ms = 0; waited_ms < STREAM_WAIT_MS; waited_ms += STREAM_POLL_MS) {
        if (atomic_load(&s->server->stopping)) return MHD_CONTENT_READER_END_OF_STREAM;
        long used = s->next(s->self, out, size);
        if (used < 0) return MHD_CONTENT_READER_END_OF_STREAM;
        if (used > 0) return (ssize_t)used;
        sleep_ms(STREAM_POLL_MS);
    }
    return 0;
}

static void stream_end(void *self) {
    stream *s = self;
    if (s->free) s->free(s->self);
    free(s);
}

static struct MHD_Response *stream_response(exchange *x) {
    stream *s = malloc(sizeof *s);
    if (!s) return NULL;
    *s = (stream){x->server, x->response.stream, x->response.stream_free, x->response.stream_self};
    struct MHD_Response *out = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, stream_next, s, stream_end);
    if (out)
        x->response.stream = NULL; /* taken */
    else
        free(s);
    return out;
}

static struct MHD_Response *file_response(exchange *x) {
    fw_http_response *r = &x->response;
    int fd = open(r->file_path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        if (fd >= 0) close(fd);
        fw_http_respond_error(r, 404, "not found");
        return MHD_create_response_from_buffer(r->body_bytes, r->body, MHD_RESPMEM_MUST_COPY);
    }
    uint64_t size = (uint64_t)info.st_size, first = 0, count = size;
    char text[96];
    fw_http_range range = fw_http_parse_range(get_header(x, "Range"), size, &first, &count);
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
    if (!out) close(fd);
    return out;
}

static struct MHD_Response *native_response(exchange *x) {
    fw_http_response *r = &x->response;
    if (r->stream) return stream_response(x);
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

static void add_headers(exchange *x, struct MHD_Response *native) {
    const fw_http_response *r = &x->response;
    if (r->content_type) MHD_add_response_header(native, "Content-Type", r->content_type);
    MHD_add_response_header(native, "X-Content-Type-Options", "nosniff");
    const char *origin = get_header(x, "Origin"); /* ours: a foreign one was refused */
    if (origin && r->status != 403) {
        MHD_add_response_header(native, "Access-Control-Allow-Origin", origin);
        MHD_add_response_header(native, "Vary", "Origin");
    }
    for (uint32_t i = 0; i < r->header_count; i++)
        MHD_add_response_header(native, r->headers[i].name, r->headers[i].value);
}

static enum MHD_Result answer(exchange *x) {
    struct MHD_Response *native = native_response(x);
    if (!native) return MHD_NO;
    add_headers(x, native);
    enum MHD_Result queued = MHD_queue_response(
        x->connection, (unsigned)(x->response.status ? x->response.status : 500), native);
    MHD_destroy_response(native);
    return queued;
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
static uint64_t declared_body_bytes(const exchange *x) {
    if (get_header(x, "Transfer-Encoding")) return UINT64_MAX;
    const char *text = get_header(x, "Content-Length");
    return text ? strtoull(text, NULL, 10) : 0;
}

/* Headers are in: the rule about foreign pages, limits, and where the body goes. */
static enum MHD_Result begin(exchange *x) {
    char address[64];
    fw_http_response *r = &x->response;
    uint64_t declared = declared_body_bytes(x);
    local_address(x->connection, address, sizeof address);
    const char *refused =
        fw_http_origin_refused(x->method, get_header(x, "Host"), get_header(x, "Origin"), address);
    if (refused) {
        fw_http_respond_error(r, 403, "%s", refused);
    } else if (x->path[0] != '/') {
        fw_http_respond_error(r, 414, "the path is over %d bytes", PATH_MAX_BYTES - 1);
    } else if (declared > 0) {
        fw_http_request request = request_of(x);
        if (x->server->app.open_sink)
            x->sink = x->server->app.open_sink(x->server->app.self, &request, r);
        if (!x->sink && !r->status && declared != UINT64_MAX &&
            declared > x->server->body_max_bytes)
            fw_http_respond_error(r, 413, "the body has %llu bytes, the limit is %zu",
                                  (unsigned long long)declared, x->server->body_max_bytes);
    }
    x->early = r->status != 0;
    return x->early && declared > DRAIN_MAX_BYTES ? answer(x) : MHD_YES;
}

static enum MHD_Result collect(exchange *x, const char *bytes, size_t size) {
    if (x->early || x->sink_stopped) {
        x->discarded_bytes += size;
        return x->discarded_bytes <= DISCARD_MAX_BYTES ? MHD_YES : MHD_NO;
    }
    if (x->sink) {
        x->sink_stopped = !x->server->app.sink_write(x->server->app.self, x->sink, bytes, size);
        return MHD_YES;
    }
    if (size > x->server->body_max_bytes - x->body_bytes) {
        fw_http_respond_error(&x->response, 413, "the body is over the limit of %zu bytes",
                              x->server->body_max_bytes);
        x->early = true;
        return MHD_YES;
    }
    char *grown = realloc(x->body, x->body_bytes + size + 1);
    if (!grown) return MHD_NO;
    memcpy(grown + x->body_bytes, bytes, size);
    x->body = grown;
    x->body_bytes += size;
    x->body[x->body_bytes] = '\0';
    return MHD_YES;
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state) {
    exchange *x = *state;
    (void)version;
    if (!x) {
        x = calloc(1, sizeof *x);
        if (!x) return MHD_NO;
        *state = x;
        x->server = self;
        x->connection = connection;
        if (strlen(url) < sizeof x->path) snprintf(x->path, sizeof x->path, "%s", url);
        snprintf(x->method, sizeof x->method, "%s", method);
        return begin(x);
    }
    if (*upload_size > 0) {
        enum MHD_Result result = collect(x, upload, *upload_size);
        *upload_size = 0;
        return result;
    }
    if (!x->early) {
        fw_http_request request = request_of(x);
        x->server->app.handle(x->server->app.self, &request, &x->response);
    }
    return answer(x);
}

static void on_completed(void *self, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why) {
    fw_http_server *server = self;
    exchange *x = *state;
    (void)connection, (void)why;
    if (!x) return;
    if (x->sink) server->app.close_sink(server->app.self, x->sink);
    if (x->response.stream && x->response.stream_free)
        x->response.stream_free(x->response.stream_self);
    free(x->response.body);
    free(x->body);
    free(x);
    *state = NULL;
}

/* ---- life ---- */

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

fw_status fw_http_server_start(const fw_http_config *config, const fw_http_app *app,
                               fw_http_server **out, fw_error *error) {
    int listener = -1;
    fw_http_server *server = calloc(1, sizeof *server);
    if (!server) return fw_fail(error, FW_NO_MEMORY, "no memory for the HTTP server");
    server->app = *app;
    server->body_max_bytes = config->body_max_bytes;
    fw_status status = bind_listener(config, &listener, &server->port, error);
    if (status != FW_OK) {
        free(server);
        return status;
    }
    server->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
            MHD_USE_ITC | MHD_USE_ERROR_LOG,
        config->port, NULL, NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_CONNECTION_LIMIT, config->connections_max ? config->connections_max : 128u,
        MHD_OPTION_CONNECTION_TIMEOUT, config->idle_timeout_s ? config->idle_timeout_s : 30u,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_END);
    if (!server->daemon) {
        close(listener);
        free(server);
        return fw_fail(error, FW_IO, "the HTTP server does not start");
    }
    *out = server;
    return FW_OK;
}

uint16_t fw_http_server_port(const fw_http_server *server) {
    return server->port;
}

void fw_http_server_stop(fw_http_server *server) {
    if (!server) return;
    atomic_store(&server->stopping, true);
    MHD_stop_daemon(server->daemon);
    free(server);
}
