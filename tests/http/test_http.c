/* The HTTP adapter and client against each other over loopback, and raw sockets for the rude. */
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
#include <unistd.h>

#include <cmocka.h>

#include "base/env.h"
#include "base/file.h"
#include "http/client.h"
#include "http/origin.h"
#include "http/range.h"
#include "http/server.h"

enum { BODY_MAX = 1000, SINK_MAX = 100000 };

typedef struct app {
    char sunk[SINK_MAX];
    size_t sunk_bytes, sink_stop_at;
    atomic_int handled, sinks_closed, streams_freed, events_sent;
} app;

static app state;
static fw_http_server *server;

static long next_event(void *self, char *out, size_t size) {
    app *a = self;
    int sent = atomic_fetch_add(&a->events_sent, 1);
    if (sent == 3) return -1;
    return snprintf(out, size, "event: status\ndata: {\"n\":%d}\n\n", sent);
}
static void free_stream(void *self) {
    atomic_fetch_add(&((app *)self)->streams_freed, 1);
}

static void handle(void *self, const fw_http_request *request, fw_http_response *response) {
    app *a = self;
    atomic_fetch_add(&a->handled, 1);
    if (strcmp(request->path, "/echo") == 0) {
        response->status = 200;
        response->content_type = "text/plain";
        response->body = malloc(request->body_bytes + 1);
        memcpy(response->body, request->body ? request->body : "", request->body_bytes);
        response->body_bytes = request->body_bytes;
    } else if (strcmp(request->path, "/live") == 0) {
        response->status = 200;
        response->content_type = "text/event-stream";
        response->stream = next_event;
        response->stream_self = a;
        response->stream_free = free_stream;
    } else if (strcmp(request->path, "/file") == 0) {
        response->status = 200;
        fw_http_add_header(response, "ETag", "\"tag\"");
        snprintf(response->file_path, sizeof response->file_path, "%s",
                 request->query(request->native, "path"));
    } else if (request->sink) {
        fw_http_add_header(response, "Upload-Offset", "7");
        fw_http_add_header(response, "Retry-After", "9");
        fw_http_respond_json(response, 201, strdup("{}"));
    } else {
        fw_http_respond_error(response, 404, "no %s here", request->path);
    }
}

static void *open_sink(void *self, const fw_http_request *request, fw_http_response *response) {
    app *a = self;
    if (strcmp(request->path, "/full") == 0) fw_http_respond_error(response, 507, "disk full");
    if (strcmp(request->path, "/sink") != 0) return NULL;
    a->sunk_bytes = 0;
    return a;
}
static bool sink_write(void *self, void *sink, const void *bytes, size_t size) {
    app *a = self;
    assert_ptr_equal(a, sink);
    if (a->sink_stop_at && a->sunk_bytes + size > a->sink_stop_at) return false;
    assert_true(a->sunk_bytes + size <= SINK_MAX);
    memcpy(a->sunk + a->sunk_bytes, bytes, size);
    a->sunk_bytes += size;
    return true;
}
static void close_sink(void *self, void *sink) {
    assert_ptr_equal(self, sink);
    atomic_fetch_add(&((app *)self)->sinks_closed, 1);
}

static const fw_http_app the_app = {&state, handle, open_sink, sink_write, close_sink, NULL};

static int start(void **unused) {
    (void)unused;
    memset(&state, 0, sizeof state);
    fw_http_config config = {.address = "127.0.0.1",
                             .body_max_bytes = BODY_MAX,
                             .connections_max = 8,
                             .idle_timeout_s = 1};
    fw_error error;
    return fw_http_server_start(&config, &the_app, &server, &error);
}
static int stop(void **unused) {
    (void)unused;
    fw_http_server_stop(server);
    return 0;
}

static fw_status call_with(fw_http_call call, const char *path, fw_http_reply *reply) {
    fw_http_client client;
    fw_error error = {""};
    char url[300];
    assert_int_equal(fw_http_client_curl(&client, &error), FW_OK);
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", fw_http_server_port(server), path);
    call.url = url;
    if (!call.reply_max_bytes) call.reply_max_bytes = 100000;
    if (!call.timeout_ms) call.timeout_ms = 20000;
    fw_status status = client.perform(client.self, &call, reply, &error);
    client.free(client.self);
    return status;
}

static int connect_raw(void) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(fw_http_server_port(server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}
/* Sends raw text, reads until the server closes; returns the HTTP status, 0 for none. */
static int raw(const char *text) {
    int fd = connect_raw(), status = 0;
    char buffer[4096] = "";
    size_t used = 0;
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (long)strlen(text));
    for (ssize_t got; (got = recv(fd, buffer + used, sizeof buffer - 1 - used, 0)) > 0;)
        used += (size_t)got;
    close(fd);
    sscanf(buffer, "HTTP/1.1 %d", &status);
    return status;
}

static void echo_round_trip(void **unused) {
    (void)unused;
    fw_http_reply reply;
    assert_int_equal(call_with((fw_http_call){.method = "POST", .body = "hello", .body_bytes = 5},
                               "/echo", &reply),
                     FW_OK);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, "hello");
    assert_int_equal(reply.upload_offset, -1);
    fw_http_reply_clear(&reply);
    assert_int_equal(call_with((fw_http_call){.method = "GET"}, "/no%20such", &reply), FW_OK);
    assert_int_equal(reply.status, 404);
    assert_non_null(strstr(reply.body, "no /no such here"));
    fw_http_reply_clear(&reply);
}

static void body_over_limit_is_413(void **unused) {
    (void)unused;
    char big[BODY_MAX + 1];
    memset(big, 'x', sizeof big);
    fw_http_reply reply;
    assert_int_equal(
        call_with((fw_http_call){.method = "POST", .body = big, .body_bytes = sizeof big}, "/echo",
                  &reply),
        FW_OK);
    assert_int_equal(reply.status, 413);
    assert_int_equal(atomic_load(&state.handled), 0);
    fw_http_reply_clear(&reply);
    assert_int_equal(
        call_with((fw_http_call){.method = "POST", .body = big, .body_bytes = BODY_MAX}, "/echo",
                  &reply),
        FW_OK);
    assert_int_equal(reply.status, 200);
    fw_http_reply_clear(&reply);
}

static void chunked_body_over_limit_is_413(void **unused) {
    (void)unused;
    char text[3000];
    int used = snprintf(text, sizeof text,
                        "POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: "
                        "close\r\nTransfer-Encoding: chunked\r\n\r\n600\r\n");
    memset(text + used, 'y', 0x600);
    strcpy(text + used + 0x600, "\r\n0\r\n\r\n");
    assert_int_equal(raw(text), 413);
}

static void a_request_that_may_end_in_two_places_is_refused(void **unused) {
    (void)unused;
    const struct {
        const char *headers;
        int status;
    } cases[] = {
        {"Content-Length: 2\r\n", 200},
        {"Content-Length: 2\r\nContent-Length: 50\r\n", 400},
        {"Content-Length: 2\r\nContent-Length: 2\r\n", 400},
        {"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", 400},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
        {"Transfer-Encoding: gzip\r\n", 400},
        {"Transfer-Encoding: gzip, chunked\r\n", 400},
        {"Transfer-Encoding: xchunked\r\n", 400},
        {"Content-Length: +2\r\n", 400},
        {"Content-Length : 2\r\n", 400},
        {"Content-Length: 2\r\nHost: evil.example\r\n", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[400];
        snprintf(text, sizeof text, "POST /echo HTTP/1.1\r\nHost: localhost\r\n%s%s\r\nhi",
                 cases[i].headers, cases[i].status == 200 ? "Connection: close\r\n" : "");
        int status = raw(text); /* returns when the server closes: nothing behind it is read */
        if (status != cases[i].status) fail_msg("%s: %d", cases[i].headers, status);
    }
    assert_int_equal(atomic_load(&state.handled), 1);
}

static void numbers_do_not_wrap(void **unused) {
    (void)unused;
    const struct {
        const char *text;
        bool good;
        uint64_t value;
    } cases[] = {
        {"0", true, 0},
        {"4611686018427387903", true, 4611686018427387903u},
        {"4611686018427387904", false, 0},
        {"18446744073709551615", false, 0},
        {"18446744073709551616", false, 0}, /* 2^64: was 0 */
        {"18446744073709551618", false, 0},
        {"20000000000000000000", false, 0},
        {"40000000000000000000", false, 0},
        {"99999999999999999999999", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = cases[i].text;
        uint64_t value = 0;
        bool good = fw_http_parse_number(&at, &value);
        if (good != cases[i].good || value != cases[i].value) fail_msg("%s", cases[i].text);
    }
    uint64_t first, last, total;
    assert_false(fw_http_parse_content_range("bytes 0-1/18446744073709551618", &first, &last, &total));
}

static void foreign_pages_are_refused(void **unused) {
    (void)unused;
    char text[300];
    assert_int_equal(raw("POST /echo HTTP/1.1\r\nHost: 127.0.0.1:1\r\nOrigin: http://evil.example"
                         "\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"),
                     403);
    assert_int_equal(raw("POST /echo HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n"
                         "Connection: close\r\n\r\nhi"),
                     403);
    assert_int_equal(raw("GET /echo HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
                     403);
    assert_int_equal(raw("POST /echo HTTP/1.1\r\nHost: 127.0.0.1:1\r\nOrigin: null\r\n"
                         "Content-Length: 2\r\nConnection: close\r\n\r\nhi"),
                     403);
    assert_int_equal(atomic_load(&state.handled), 0);
    snprintf(text, sizeof text,
             "POST /echo HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nOrigin: "
             "http://127.0.0.1:%u\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
             fw_http_server_port(server), fw_http_server_port(server));
    assert_int_equal(raw(text), 200);
}

static bool ours(const char *host, const char *local_address) {
    const fw_http_origin_rule rule = {.local_address = local_address};
    return fw_http_host_ours(&rule, host);
}
static const char *refused(const char *method, const char *host, const char *origin) {
    const fw_http_origin_rule rule = {.local_address = "127.0.0.1"};
    bool cross = true;
    const char *why = fw_http_origin_refused(&rule, method, "/v1/objects/x", host, origin, &cross);
    assert_false(cross);
    return why;
}

static void origin_rule(void **unused) {
    (void)unused;
    assert_true(ours("localhost", "127.0.0.1"));
    assert_true(ours("LOCALHOST:80", "127.0.0.1"));
    assert_true(ours("[::1]:8080", "::1"));
    assert_true(ours("10.0.0.5:8080", "10.0.0.5"));
    assert_false(ours("127.0.0.1", "10.0.0.5"));
    assert_false(ours("127.0.0.1.evil.example", "127.0.0.1"));
    assert_false(ours("localhost:80:90", "127.0.0.1"));
    assert_false(ours("localhost.evil", "127.0.0.1"));
    assert_false(ours("[::1", "::1"));
    assert_false(ours("", "127.0.0.1"));
    assert_false(ours(NULL, "127.0.0.1"));
    const char *us = "127.0.0.1:8080";
    assert_null(refused("POST", us, NULL));
    assert_null(refused("POST", us, "http://127.0.0.1:8080"));
    assert_non_null(refused("POST", us, "http://127.0.0.1:9090"));
    assert_null(refused("GET", us, "http://127.0.0.1:9090"));
    assert_non_null(refused("GET", us, "http://evil.example"));
    assert_non_null(refused("GET", us, "https://127.0.0.1"));
    assert_non_null(refused("PUT", us, "http://localhost:8080"));
}

static void sink_takes_an_upload(void **unused) {
    (void)unused;
    char folder[] = "/tmp/fw_http_XXXXXX", path[64], big[SINK_MAX];
    fw_error error;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)(i * 7);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, big, sizeof big, &error), FW_OK);
    fw_http_reply reply;
    const char *const headers[] = {"Flywheel-Unit: 3", NULL};
    assert_int_equal(call_with((fw_http_call){.method = "PUT",
                                              .body_path = path,
                                              .body_offset = 100,
                                              .headers = headers},
                               "/sink", &reply),
                     FW_OK);
    assert_int_equal(reply.status, 201);
    assert_int_equal(reply.upload_offset, 7);
    assert_int_equal(reply.retry_after_s, 9);
    assert_int_equal(state.sunk_bytes, sizeof big - 100);
    assert_memory_equal(state.sunk, big + 100, sizeof big - 100);
    fw_http_reply_clear(&reply);
    state.sink_stop_at = 50000; /* the sink stops reading: the handler still answers */
    assert_int_equal(call_with((fw_http_call){.method = "PUT", .body_path = path}, "/sink", &reply),
                     FW_OK);
    assert_int_equal(reply.status, 201);
    fw_http_reply_clear(&reply);
    assert_int_equal(call_with((fw_http_call){.method = "PUT", .body_path = path}, "/full", &reply),
                     FW_OK);
    assert_int_equal(reply.status, 507);
    fw_http_reply_clear(&reply);
    fw_http_server_stop(server);
    server = NULL;
    assert_int_equal(atomic_load(&state.sinks_closed), 2);
    assert_int_equal(fw_folder_remove(folder, &error), FW_OK);
}

static void vanished_client_closes_its_sink(void **unused) {
    (void)unused;
    int fd = connect_raw();
    const char *text = "PUT /sink HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\npart";
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (long)strlen(text));
    usleep(100000);
    close(fd);
    fw_http_server_stop(server);
    server = NULL;
    assert_int_equal(atomic_load(&state.sinks_closed), 1);
    assert_int_equal(atomic_load(&state.handled), 0);
}

static void slow_client_is_cut_off(void **unused) {
    (void)unused;
    int fd = connect_raw();
    const char *half = "GET /echo HTTP/1.1\r\nHost: loc";
    char byte;
    assert_int_equal(send(fd, half, strlen(half), MSG_NOSIGNAL), (long)strlen(half));
    fw_http_reply reply; /* meanwhile others are served */
    assert_int_equal(call_with((fw_http_call){.method = "GET"}, "/echo", &reply), FW_OK);
    assert_int_equal(reply.status, 200);
    fw_http_reply_clear(&reply);
    while (recv(fd, &byte, 1, 0) > 0) continue; /* ends only because the server closes */
    close(fd);
}

static void files_honour_ranges(void **unused) {
    (void)unused;
    char folder[] = "/tmp/fw_http_XXXXXX", path[64], url[100];
    fw_error error;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, "0123456789", 10, &error), FW_OK);
    snprintf(url, sizeof url, "/file?path=%s", path);
    const struct {
        const char *range;
        int status;
        const char *body;
    } cases[] = {
        {"Range: bytes=2-4", 206, "234"}, {"Range: bytes=7-", 206, "789"},
        {"Range: bytes=-2", 206, "89"},   {"Range: bytes=5-99", 206, "56789"},
        {"Range: bytes=10-", 416, ""},    {"Range: nonsense", 200, "0123456789"},
        {"Range: bytes=0-0", 206, "0"},   {"Range: bytes=4-2", 416, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const headers[] = {cases[i].range, NULL};
        fw_http_reply reply;
        assert_int_equal(
            call_with((fw_http_call){.method = "GET", .headers = headers}, url, &reply), FW_OK);
        assert_int_equal(reply.status, cases[i].status);
        assert_string_equal(reply.body, cases[i].body);
        fw_http_reply_clear(&reply);
    }
    assert_int_equal(fw_folder_remove(folder, &error), FW_OK);
    fw_http_reply reply;
    assert_int_equal(call_with((fw_http_call){.method = "GET"}, url, &reply), FW_OK);
    assert_int_equal(reply.status, 404);
    fw_http_reply_clear(&reply);
}

static void files_are_not_sent_twice(void **unused) {
    (void)unused;
    char folder[] = "/tmp/fw_http_XXXXXX", path[64], text[400];
    fw_error error;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, "0123456789", 10, &error), FW_OK);
    const struct {
        const char *method, *headers;
        int status;
    } cases[] = {
        {"GET", "If-None-Match: \"tag\"\r\n", 304},
        {"GET", "If-None-Match: \"other\", \"tag\"\r\nRange: bytes=0-1\r\n", 304},
        {"HEAD", "If-None-Match: *\r\n", 304},
        {"GET", "If-None-Match: \"other\"\r\n", 200},
        {"GET", "If-None-Match: tag\r\n", 200},
        {"GET", "If-Range: \"tag\"\r\nRange: bytes=0-1\r\n", 206},
        {"GET", "If-Range: \"other\"\r\nRange: bytes=0-1\r\n", 200},
        {"GET", "Range: bytes=0-1\r\n", 206},
        {"HEAD", "Range: bytes=0-1\r\n", 200},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text,
                 "%s /file?path=%s HTTP/1.1\r\nHost: localhost\r\n%sConnection: close\r\n\r\n",
                 cases[i].method, path, cases[i].headers);
        int status = raw(text);
        if (status != cases[i].status)
            fail_msg("%s %s: %d", cases[i].method, cases[i].headers, status);
    }
    assert_int_equal(fw_folder_remove(folder, &error), FW_OK);
}

static void pages_elsewhere_fetch_nothing(void **unused) {
    (void)unused;
    const char *const form = "GET %s HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: %s\r\n"
                             "Connection: close\r\n\r\n";
    const struct {
        const char *path, *site;
        int status;
    } cases[] = {{"/v1/slice?q=", "cross-site", 403}, /* an image's address, say: no Origin */
                 {"/echo", "cross-site", 200},        /* a link to a page of ours */
                 {"/v1/slice?q=", "same-origin", 404},
                 {"/v1/slice?q=", "same-site", 404},
                 {"/v1/slice?q=", "none", 404}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[300];
        snprintf(text, sizeof text, form, cases[i].path, cases[i].site);
        int status = raw(text);
        if (status != cases[i].status) fail_msg("%s %s: %d", cases[i].path, cases[i].site, status);
    }
}

static void events_are_streamed(void **unused) {
    (void)unused;
    fw_http_reply reply;
    assert_int_equal(call_with((fw_http_call){.method = "GET"}, "/live", &reply), FW_OK);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "data: {\"n\":0}\n\n"));
    assert_non_null(strstr(reply.body, "data: {\"n\":2}\n\n"));
    assert_null(strstr(reply.body, "data: {\"n\":3}"));
    fw_http_reply_clear(&reply);
    fw_http_server_stop(server);
    server = NULL;
    assert_int_equal(atomic_load(&state.streams_freed), 1);
}

static void busy_port_is_named(void **unused) {
    (void)unused;
    fw_http_config config = {.address = "127.0.0.1", .port = fw_http_server_port(server)};
    fw_http_server *second = NULL;
    fw_error error;
    char port[16];
    assert_int_equal(fw_http_server_start(&config, &the_app, &second, &error), FW_BUSY);
    snprintf(port, sizeof port, "%u", config.port);
    assert_non_null(strstr(error.text, port));
    assert_non_null(strstr(error.text, "in use"));
    assert_null(second);
    config.address = "not.an.address";
    assert_int_equal(fw_http_server_start(&config, &the_app, &second, &error), FW_INVALID);
}

static void client_errors(void **unused) {
    (void)unused;
    fw_http_client client;
    fw_error error = {""};
    fw_http_reply reply;
    assert_int_equal(fw_http_client_curl(&client, &error), FW_OK);
    fw_http_call call = {
        .method = "GET", .url = "http://127.0.0.1:1/", .reply_max_bytes = 10, .timeout_ms = 5000};
    assert_int_equal(client.perform(client.self, &call, &reply, &error), FW_CLOSED);
    assert_non_null(strstr(error.text, "127.0.0.1:1"));
    call.url = "file:///etc/passwd";
    assert_int_equal(client.perform(client.self, &call, &reply, &error), FW_INVALID);
    call = (fw_http_call){.method = "PUT", .url = "http://127.0.0.1:1/", .body_path = "/no/file"};
    assert_int_equal(client.perform(client.self, &call, &reply, &error), FW_NOT_FOUND);
    client.free(client.self);
    assert_int_equal(call_with((fw_http_call){.method = "POST",
                                              .body = "0123456789x",
                                              .body_bytes = 11,
                                              .reply_max_bytes = 10},
                               "/echo", &reply),
                     FW_TOO_BIG);
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* listens, never answers */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(address.sin_port));
    call = (fw_http_call){.method = "GET", .url = url, .timeout_ms = 200};
    assert_int_equal(fw_http_client_curl(&client, &error), FW_OK);
    assert_int_equal(client.perform(client.self, &call, &reply, &error), FW_TIMEOUT);
    client.free(client.self);
    close(fd);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(echo_round_trip),
        TEST(body_over_limit_is_413),
        TEST(chunked_body_over_limit_is_413),
        TEST(foreign_pages_are_refused),
        TEST(origin_rule),
        TEST(a_request_that_may_end_in_two_places_is_refused),
        TEST(numbers_do_not_wrap),
        TEST(sink_takes_an_upload),
        TEST(vanished_client_closes_its_sink),
        TEST(slow_client_is_cut_off),
        TEST(files_honour_ranges),
        TEST(files_are_not_sent_twice),
        TEST(pages_elsewhere_fetch_nothing),
        TEST(events_are_streamed),
        TEST(busy_port_is_named),
        TEST(client_errors),
    };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
