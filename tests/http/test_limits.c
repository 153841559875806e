/* The server's limits: the slow, the many and the crowd; reading from foreign pages; handlers that
 * wait while others are served. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/server.h"

enum { SINK_STREAMS = 20, WAITERS = 40 };

static fw_http_server *server;
static atomic_int inside, most_inside, closed_sinks, streams_freed;
static atomic_bool gate_open;

static long next_event(void *self, char *out, size_t size) {
    (void)self;
    if (!atomic_load(&gate_open)) return 0;
    return snprintf(out, size, "data: x\n\n");
}
static void free_stream(void *self) {
    (void)self;
    atomic_fetch_add(&streams_freed, 1);
}

static void handle(void *self, const fw_http_request *request, fw_http_response *response) {
    (void)self;
    if (strcmp(request->path, "/wait") == 0) {
        int now = atomic_fetch_add(&inside, 1) + 1;
        if (now > atomic_load(&most_inside)) atomic_store(&most_inside, now);
        while (!atomic_load(&gate_open)) usleep(1000);
        atomic_fetch_sub(&inside, 1);
    }
    if (strcmp(request->path, "/live") == 0) {
        response->status = 200;
        response->content_type = "text/event-stream";
        response->stream = next_event;
        response->stream_free = free_stream;
        return;
    }
    fw_http_respond_json(response, 200, strdup("{}"));
}
static void *open_sink(void *self, const fw_http_request *request, fw_http_response *response) {
    (void)self, (void)response;
    return strcmp(request->path, "/sink") == 0 ? (void *)request->path : NULL;
}
static bool sink_write(void *self, void *sink, const void *bytes, size_t size) {
    (void)self, (void)sink, (void)bytes, (void)size;
    return true;
}
static void close_sink(void *self, void *sink) {
    (void)self, (void)sink;
    atomic_fetch_add(&closed_sinks, 1);
}
static bool admit(void *self, const fw_http_request *request, fw_http_response *response) {
    (void)self, (void)response;
    const char *name = request->header(request->native, "Name");
    if (name) snprintf(request->peer->identity, sizeof request->peer->identity, "%s", name);
    return true;
}

static const fw_http_app app = {NULL, handle, open_sink, sink_write, close_sink, admit};

static void start(fw_http_config config) {
    fw_error error = {""};
    config.address = "127.0.0.1";
    config.body_max_bytes = 100000;
    atomic_store(&gate_open, false);
    atomic_store(&most_inside, 0);
    atomic_store(&closed_sinks, 0);
    atomic_store(&streams_freed, 0);
    if (fw_http_server_start(&config, &app, &server, &error) != FW_OK) fail_msg("%s", error.text);
}
static int stop(void **unused) {
    (void)unused;
    atomic_store(&gate_open, true);
    fw_http_server_stop(server);
    server = NULL;
    return 0;
}

static int dial(void) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(fw_http_server_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}
static void say(int fd, const char *text) {
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (long)strlen(text));
}
/* Reads to the end, or until the answer's body ends with }; the status, 0 for none. */
static int hear(int fd, char answer[8192]) {
    size_t used = 0;
    int status = 0;
    answer[0] = '\0';
    for (ssize_t got; used < 8191 && (got = recv(fd, answer + used, 8191 - used, 0)) > 0;) {
        used += (size_t)got;
        answer[used] = '\0';
        const char *body = strstr(answer, "\r\n\r\n");
        if (body && (strchr(body, '}') || strstr(answer, " 204 "))) break;
    }
    sscanf(answer, "HTTP/1.1 %d", &status);
    return status;
}
static int once(const char *text, char answer[8192]) {
    int fd = dial();
    say(fd, text);
    int status = hear(fd, answer);
    close(fd);
    return status;
}

/* ---- the slow ---- */

/* Sends `head`, then a byte now and then, until the server has had enough. */
static int drip(const char *head, char answer[8192]) {
    int fd = dial();
    char byte;
    say(fd, head);
    for (int i = 0; i < 3000; i++) {
        usleep(20000);
        if (send(fd, "x", 1, MSG_NOSIGNAL) != 1) break;
        if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) break;
    }
    int status = hear(fd, answer);
    close(fd);
    return status;
}

static void headers_that_drip_in(void **unused) {
    (void)unused;
    char answer[8192];
    start((fw_http_config){.header_timeout_s = 1, .idle_timeout_s = 60});
    assert_int_equal(drip("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", answer), 408);
    assert_non_null(strstr(answer, "too slowly"));
}

static void a_body_that_drips_in(void **unused) {
    (void)unused;
    char answer[8192];
    start((fw_http_config){.idle_timeout_s = 2, .body_min_bytes_per_s = 1000});
    assert_int_equal(
        drip("PUT /sink HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\n", answer),
        408);
    for (int i = 0; i < 500 && atomic_load(&closed_sinks) == 0; i++) usleep(10000);
    assert_int_equal(atomic_load(&closed_sinks), 1);
}

/* A connection that waits for its next request is idle, not slow. */
static void idle_is_not_slow(void **unused) {
    (void)unused;
    char answer[8192];
    start((fw_http_config){.header_timeout_s = 1, .idle_timeout_s = 60});
    int fd = dial();
    for (int i = 0; i < 2; i++) {
        say(fd, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_int_equal(hear(fd, answer), 200);
        usleep(1800000);
    }
    close(fd);
}

static void big_headers_are_431(void **unused) {
    (void)unused;
    char text[60000], answer[8192];
    start((fw_http_config){0});
    int used = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Big: ");
    memset(text + used, 'y', 40000);
    strcpy(text + used + 40000, "\r\n\r\n");
    assert_int_equal(once(text, answer), 431);
}

/* ---- the many ---- */

static void rates_are_by_identity(void **unused) {
    (void)unused;
    char answer[8192];
    int refused = 0;
    start((fw_http_config){.requests_per_s = 1, .requests_burst = 5});
    for (int i = 0; i < 20; i++)
        refused += once("GET / HTTP/1.1\r\nHost: localhost\r\nName: a\r\n\r\n", answer) == 429;
    assert_true(refused >= 5 && refused <= 15);
    assert_int_equal(once("GET / HTTP/1.1\r\nHost: localhost\r\nName: a\r\n\r\n", answer), 429);
    assert_non_null(strstr(answer, "Retry-After: "));
    assert_int_equal(once("GET / HTTP/1.1\r\nHost: localhost\r\nName: b\r\n\r\n", answer), 200);
}

static void a_crowd_from_one_address(void **unused) {
    (void)unused;
    char answer[8192];
    int fds[4];
    start((fw_http_config){.address_connections_max = 4});
    for (int i = 0; i < 4; i++) {
        fds[i] = dial();
        say(fds[i], "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_int_equal(hear(fds[i], answer), 200);
    }
    assert_int_equal(once("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", answer), 429);
    assert_non_null(strstr(answer, "Connection: close"));
    close(fds[0]);
    int status = 429; /* its place is free as soon as the server has seen it go */
    for (int i = 0; i < 500 && status == 429; i++) {
        usleep(10000);
        status = once("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", answer);
    }
    assert_int_equal(status, 200);
    for (int i = 1; i < 4; i++) close(fds[i]);
}

static void a_crowd_in_all(void **unused) {
    (void)unused;
    char answer[8192];
    int fds[6];
    start((fw_http_config){.connections_max = 6, .io_threads = 2});
    for (int i = 0; i < 6; i++) {
        fds[i] = dial();
        say(fds[i], "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_int_equal(hear(fds[i], answer), 200);
    }
    assert_int_equal(once("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", answer), 503);
    for (int i = 0; i < 6; i++) close(fds[i]);
}

/* ---- waiting ---- */

/* Handlers that wait for a disk hold up nobody else, and as many wait together as may. */
static void handlers_wait_together(void **unused) {
    (void)unused;
    char answer[8192];
    int fds[WAITERS];
    start((fw_http_config){.handlers_max = WAITERS + 1, .io_threads = 2});
    for (int i = 0; i < WAITERS; i++) {
        fds[i] = dial();
        say(fds[i], "POST /wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi");
    }
    for (int i = 0; i < 2000 && atomic_load(&inside) < WAITERS; i++) usleep(5000);
    assert_int_equal(atomic_load(&inside), WAITERS);
    assert_int_equal(once("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", answer), 200);
    atomic_store(&gate_open, true);
    for (int i = 0; i < WAITERS; i++) {
        assert_int_equal(hear(fds[i], answer), 200);
        close(fds[i]);
    }
    assert_int_equal(atomic_load(&most_inside), WAITERS);
}

/* More than there are threads: the rest queue up, and all are answered. */
static void more_than_threads_queue(void **unused) {
    (void)unused;
    char answer[8192];
    int fds[WAITERS];
    start((fw_http_config){.handlers_max = 3});
    for (int i = 0; i < WAITERS; i++) {
        fds[i] = dial();
        say(fds[i], "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    for (int i = 0; i < 2000 && atomic_load(&inside) < 3; i++) usleep(5000);
    atomic_store(&gate_open, true);
    for (int i = 0; i < WAITERS; i++) {
        assert_int_equal(hear(fds[i], answer), 200);
        close(fds[i]);
    }
    assert_int_equal(atomic_load(&most_inside), 3);
}

static void the_server_stops_with_sleepers(void **unused) {
    (void)unused;
    int fds[SINK_STREAMS];
    char answer[8192];
    start((fw_http_config){.io_threads = 2});
    for (int i = 0; i < SINK_STREAMS; i++) {
        fds[i] = dial();
        say(fds[i], "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    for (int i = 0; i < SINK_STREAMS; i++) /* their headers come before any event */
        assert_true(recv(fds[i], answer, sizeof answer, 0) > 0);
    int silent = dial();
    int half = dial();
    say(half, "PUT /sink HTTP/1.1\r\nHost: localhost\r\nContent-Length: 90000\r\n\r\nxx");
    fw_http_server_stop(server);
    server = NULL;
    assert_int_equal(atomic_load(&streams_freed), SINK_STREAMS);
    for (int i = 0; i < SINK_STREAMS; i++) close(fds[i]);
    close(silent);
    close(half);
}

static void streams_are_counted(void **unused) {
    (void)unused;
    char answer[8192];
    int fds[3], status = 503;
    start((fw_http_config){.streams_max = 3});
    for (int i = 0; i < 3; i++) {
        fds[i] = dial();
        say(fds[i], "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_true(recv(fds[i], answer, sizeof answer, 0) > 0);
    }
    assert_int_equal(once("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n", answer), 503);
    assert_int_equal(atomic_load(&streams_freed), 1);
    for (int i = 0; i < 3; i++) close(fds[i]);
    atomic_store(&gate_open, true); /* an event for each: the server sees that they are gone */
    for (int i = 0; i < 500 && status == 503; i++) {
        int fd = dial();
        usleep(20000);
        say(fd, "GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_true(recv(fd, answer, 12, MSG_WAITALL) == 12);
        answer[12] = '\0';
        sscanf(answer, "HTTP/1.1 %d", &status);
        close(fd);
    }
    assert_int_equal(status, 200);
}

/* ---- foreign pages ---- */

static const char *const origins[] = {"https://pages.example", NULL};
static const char *const paths[] = {"/v1/objects/", NULL};

static int from_page(const char *method, const char *path, const char *origin, char answer[8192]) {
    char text[500];
    snprintf(text, sizeof text,
             "%s %s HTTP/1.1\r\nHost: localhost\r\nOrigin: %s\r\nContent-Length: 0\r\n\r\n", method,
             path, origin);
    return once(text, answer);
}

static void named_pages_may_read_what_is_named(void **unused) {
    (void)unused;
    char answer[8192];
    const char *page = origins[0];
    start((fw_http_config){.cors_origins = origins, .cors_paths = paths});
    assert_int_equal(from_page("GET", "/v1/objects/a", page, answer), 200);
    assert_non_null(strstr(answer, "Access-Control-Allow-Origin: https://pages.example\r\n"));
    assert_non_null(strstr(answer, "Content-Range, ETag, Upload-Offset"));
    assert_non_null(strstr(answer, "Vary: Origin"));
    assert_null(strstr(answer, "Allow-Credentials"));
    assert_int_equal(from_page("OPTIONS", "/v1/objects/a", page, answer), 204);
    assert_non_null(strstr(answer, "Access-Control-Allow-Methods: GET, HEAD, OPTIONS"));
    assert_non_null(strstr(answer, "Range"));
    static const struct {
        const char *method, *path, *origin;
    } refused[] = {
        {"PUT", "/v1/objects/a", "https://pages.example"},
        {"POST", "/v1/objects/a", "https://pages.example"},
        {"GET", "/v1/status", "https://pages.example"},
        {"OPTIONS", "/v1/status", "https://pages.example"},
        {"GET", "/v1/objects/a", "https://other.example"},
        {"GET", "/v1/objects/a", "http://pages.example"},
        {"GET", "/v1/objects/a", "https://pages.example.evil"},
        {"GET", "/v1/objects/a", "null"},
        {"OPTIONS", "/v1/objects/a", "https://other.example"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        int status = from_page(refused[i].method, refused[i].path, refused[i].origin, answer);
        if (status != 403 || strstr(answer, "Allow-Origin"))
            fail_msg("%s %s from %s: %d", refused[i].method, refused[i].path, refused[i].origin,
                     status);
    }
}

static void no_foreign_page_reads_by_default(void **unused) {
    (void)unused;
    char answer[8192];
    start((fw_http_config){0});
    assert_int_equal(from_page("GET", "/v1/objects/a", "https://pages.example", answer), 403);
    assert_int_equal(from_page("OPTIONS", "/v1/objects/a", "https://pages.example", answer), 403);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
#define TEST(name) cmocka_unit_test_teardown(name, stop)
    const struct CMUnitTest tests[] = {
        TEST(headers_that_drip_in),
        TEST(a_body_that_drips_in),
        TEST(idle_is_not_slow),
        TEST(big_headers_are_431),
        TEST(rates_are_by_identity),
        TEST(a_crowd_from_one_address),
        TEST(a_crowd_in_all),
        TEST(handlers_wait_together),
        TEST(more_than_threads_queue),
        TEST(the_server_stops_with_sleepers),
        TEST(streams_are_counted),
        TEST(named_pages_may_read_what_is_named),
        TEST(no_foreign_page_reads_by_default),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
