/* `flywheel serve` as a process: killed in the middle of things, and started again. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fixture.h"

#include "../lines/synthetic_file.h"
#include "http/client.h"
#include "lines/driving/act/policy.h"
#include "lines/driving/learn/learn.h"

#define PROGRAM FW_BINARY_DIR "/src/flywheel"
enum { MODELS = 12, WAIT_S = 240 };

typedef struct served {
    char folder[64], data[80];
    pid_t pid;
    unsigned port;
    fw_http_client http;
} served;

/* Starts serve on a free port and waits for its one line. */
static void start(served *s) {
    int ends[2];
    char line[400] = "";
    assert_int_equal(pipe(ends), 0);
    s->pid = fork();
    if (s->pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(PROGRAM, "flywheel", "serve", "--data", s->data, "--listen", "127.0.0.1:0",
              "--threads", "2", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *log = fdopen(ends[0], "r");
    s->port = 0;
    while (!s->port && fgets(line, sizeof line, log)) {
        const char *at = strstr(line, "http://127.0.0.1:");
        if (at) s->port = (unsigned)strtoul(at + 17, NULL, 10);
    }
    if (!s->port) fail_msg("serve did not start: %s", line);
    pid_t drain = fork(); /* what it says later must not block it */
    if (drain == 0) {
        while (fgets(line, sizeof line, log)) continue;
        _exit(0);
    }
    fclose(log);
}

static int end(served *s, int signal_number) {
    int status = 0;
    kill(s->pid, signal_number);
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    return status;
}

static int open_served(void **state) {
    served *s = calloc(1, sizeof *s);
    fw_error error;
    snprintf(s->folder, sizeof s->folder, "/tmp/fw_serve_XXXXXX");
    if (!mkdtemp(s->folder) || fw_http_client_curl(&s->http, &error) != FW_OK) return -1;
    snprintf(s->data, sizeof s->data, "%s/data", s->folder);
    start(s);
    *state = s;
    return 0;
}
static int close_served(void **state) {
    served *s = *state;
    fw_error error;
    if (s->pid > 0) end(s, SIGKILL);
    s->http.free(s->http.self);
    fw_status status = fw_folder_remove(s->folder, &error);
    free(s);
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    return status == FW_OK ? 0 : -1;
}

/* Returns the HTTP status; *json (may be NULL) is the answer. */
static int ask(served *s, fw_http_call c, const char *path, json_t **json, int64_t *offset) {
    char url[200];
    fw_http_reply reply;
    fw_error error;
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", s->port, path);
    c.url = url;
    c.reply_max_bytes = 1 << 20;
    c.timeout_ms = 60000;
    if (s->http.perform(s->http.self, &c, &reply, &error) != FW_OK) fail_msg("%s", error.text);
    if (json) *json = json_loadb(reply.body, reply.body_bytes, 0, NULL);
    if (offset) *offset = reply.upload_offset;
    int status = reply.status;
    fw_http_reply_clear(&reply);
    return status;
}

static int put_bytes(served *s, const char *kind, const char *unit, const void *bytes,
                     size_t size) {
    char path[120], kind_line[64], unit_line[64];
    fw_hash hash = fw_hash_bytes(bytes, size);
    snprintf(path, sizeof path, "/v1/objects/%s", hash.hex);
    snprintf(kind_line, sizeof kind_line, "Flywheel-Kind: %s", kind);
    snprintf(unit_line, sizeof unit_line, "Flywheel-Unit: %s", unit);
    const char *const lines[] = {kind_line, unit_line, NULL};
    return ask(s,
               (fw_http_call){.method = "PUT", .headers = lines, .body = bytes, .body_bytes = size},
               path, NULL, NULL);
}

static char *untrained(served *s, uint64_t seed, size_t *size, fw_hash *hash) {
    char path[100], *bytes;
    fw_error error = {""};
    snprintf(path, sizeof path, "%s/model", s->folder);
    if (fw_driving_untrained(seed, path, hash, &error) != FW_OK) fail_msg("%s", error.text);
    assert_int_equal(fw_file_read(path, 1 << 24, &bytes, size, &error), FW_OK);
    return bytes;
}

/* Sends the headers and half of a body, and no more. */
static int half_upload(served *s, const fw_hash *hash, const char *bytes, size_t size) {
    char head[400];
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)s->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    int used = snprintf(head, sizeof head,
                        "PUT /v1/objects/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                        "Flywheel-Kind: model\r\nContent-Length: %zu\r\n\r\n",
                        hash->hex, size);
    assert_int_equal(send(fd, head, (size_t)used, MSG_NOSIGNAL), used);
    assert_int_equal(send(fd, bytes, size / 2, MSG_NOSIGNAL), (long)(size / 2));
    return fd;
}

static int head(served *s, const fw_hash *hash, int64_t *offset) {
    char path[120];
    snprintf(path, sizeof path, "/v1/objects/%s", hash->hex);
    return ask(s, (fw_http_call){.method = "HEAD"}, path, NULL, offset);
}

static void killed_in_an_upload_nothing_acked_is_lost(void **state) {
    served *s = *state;
    fw_hash acked[MODELS], half;
    size_t size;
    int64_t offset = 0;
    for (int i = 0; i < MODELS; i++) {
        char *bytes = untrained(s, (uint64_t)i, &size, &acked[i]);
        assert_int_equal(put_bytes(s, "model", "x", bytes, size), 201);
        free(bytes);
    }
    char *bytes = untrained(s, 999, &size, &half);
    int fd = half_upload(s, &half, bytes, size);
    for (int i = 0; i < 1000 && offset <= 0; i++) { /* until some of it has arrived */
        head(s, &half, &offset);
        usleep(10000);
    }
    assert_true(offset > 0);
    end(s, SIGKILL);
    close(fd);
    start(s);
    for (int i = 0; i < MODELS; i++) assert_int_equal(head(s, &acked[i], &offset), 200);
    assert_int_equal(head(s, &half, &offset), 202); /* what had arrived is still there */
    assert_true(offset > 0 && offset <= (int64_t)(size / 2));
    char path[120], range[100];
    snprintf(path, sizeof path, "/v1/objects/%s", half.hex);
    snprintf(range, sizeof range, "Content-Range: bytes %lld-%zu/%zu", (long long)offset, size - 1,
             size);
    const char *const lines[] = {"Flywheel-Kind: model", range, NULL};
    assert_int_equal(ask(s,
                         (fw_http_call){.method = "PUT",
                                        .headers = lines,
                                        .body = bytes + offset,
                                        .body_bytes = size - (size_t)offset},
                         path, NULL, NULL),
                     201);
    free(bytes);
    assert_int_equal(head(s, &half, &offset), 200);
}

/* An MCAP file that is no drive: taken when it is intact. */
static size_t write_telemetry(const char *path) {
    static uint8_t bytes[200000];
    fw_mcap_memory memory = {bytes, sizeof bytes, 0};
    fw_mcap_writer *writer;
    fw_error error;
    uint16_t channel;
    const fw_mcap_pair pairs[] = {{"form", "telemetry"}};
    assert_int_equal(fw_mcap_writer_open(NULL, &writer, &error), FW_OK);
    assert_int_equal(fw_mcap_writer_begin(writer, fw_mcap_memory_sink(&memory), "", "", &error),
                     FW_OK);
    assert_int_equal(fw_mcap_writer_metadata(writer, "flywheel", pairs, 1, &error), FW_OK);
    assert_int_equal(fw_mcap_writer_add_channel(writer, 0, "/x", "json", NULL, 0, &channel, &error),
                     FW_OK);
    for (uint64_t i = 0; i < 3000; i++) {
        char text[60];
        int size = snprintf(text, sizeof text, "{\"x\":%llu}", (unsigned long long)(i * i * 7919));
        assert_int_equal(fw_mcap_writer_message(writer, channel, 0, i, i, text, (size_t)size,
                                                &error), FW_OK);
    }
    assert_int_equal(fw_mcap_writer_end(writer, &error), FW_OK);
    fw_mcap_writer_close(writer);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, bytes, memory.size_bytes, &error),
                     FW_OK);
    return memory.size_bytes;
}

/* curl's own answer to the command: the HTTP status. */
static int curl(const char *options, const char *url) {
    char command[700], text[16] = "";
    snprintf(command, sizeof command,
             "curl -s -o /dev/null -w '%%{http_code}' -H 'Flywheel-Unit: 7' %s %s", options, url);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(text, sizeof text, pipe));
    pclose(pipe);
    return atoi(text);
}

static void plain_curl_goes_on_where_it_stopped(void **state) {
    served *s = *state;
    char file[100], url[160], path[120], options[300], range[60];
    fw_hash hash;
    fw_error error;
    int64_t offset;
    if (system("curl --version >/dev/null 2>&1") != 0) skip();
    snprintf(file, sizeof file, "%s/drive.mcap", s->folder);
    size_t size = write_telemetry(file);
    assert_int_equal(fw_hash_file(file, &hash, &error), FW_OK);
    snprintf(path, sizeof path, "/v1/objects/%s", hash.hex);
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", s->port, path);
    snprintf(range, sizeof range, "0-4999/%zu", size);
    snprintf(options, sizeof options,
             "-H 'Content-Range: bytes %s' -H 'Expect:' --data-binary @- -X PUT < %s.part", range,
             file);
    char cut[260];
    snprintf(cut, sizeof cut, "head -c 5000 %s > %s.part", file, file);
    assert_int_equal(system(cut), 0);
    assert_int_equal(curl(options, url), 202);
    assert_int_equal(ask(s, (fw_http_call){.method = "HEAD"}, path, NULL, &offset), 202);
    assert_int_equal(offset, 5000);
    snprintf(options, sizeof options, "-T %s -C 5000", file);
    assert_int_equal(curl(options, url), 201);
    snprintf(options, sizeof options, "-T %s", file);
    assert_int_equal(curl(options, url), 200);
}

static void it_stops_cleanly(void **state) {
    served *s = *state;
    struct stat info;
    assert_int_equal(stat(s->data, &info), 0);
    assert_int_equal(info.st_mode & 0077, 0); /* nobody else reads what a fleet recorded */
    int status = end(s, SIGTERM);
    s->pid = 0;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- a real generation, small ---- */

/* A recording as a unit writes it, of the synthetic street. Returns its bytes. */
static char *drive(served *s, const char *unit, float brake_at_s, size_t *size) {
    fw_error error;
    char path[100], *bytes;
    snprintf(path, sizeof path, "%s/drive.mcap", s->folder);
    synthetic_file(path, unit, brake_at_s);
    assert_int_equal(fw_file_read(path, 1 << 24, &bytes, size, &error), FW_OK);
    return bytes;
}

static void upload_fleet(served *s) {
    size_t size;
    char unit[16], *bytes, body[200];
    fw_error error;
    for (int i = 0; i < 8; i++) {
        snprintf(unit, sizeof unit, "%d", i % 4);
        bytes = drive(s, unit, 4 + (float)i, &size);
        assert_int_equal(put_bytes(s, "recording", unit, bytes, size), 201);
        assert_int_equal(put_bytes(s, "recording", unit, bytes, size - 1), 422);
        free(bytes);
    }
    assert_int_equal(fw_policy_rule_file(FW_POLICY_CONSTANT, &bytes, &size, &error), FW_OK);
    assert_int_equal(put_bytes(s, "model", "x", bytes, size), 201);
    fw_hash hash = fw_hash_bytes(bytes, size);
    free(bytes);
    snprintf(body, sizeof body, "{\"hash\":\"%s\",\"card\":{},\"champion\":true}", hash.hex);
    assert_int_equal(ask(s,
                         (fw_http_call){.method = "POST", .body = body, .body_bytes = strlen(body)},
                         "/v1/models", NULL, NULL),
                     201);
}

static void post_generation(served *s, const char *body) {
    assert_int_equal(ask(s,
                         (fw_http_call){.method = "POST", .body = body, .body_bytes = strlen(body)},
                         "/v1/generations", NULL, NULL),
                     201);
}

/* Polls until the newest generation is over; its row, owned by the caller. */
static json_t *wait_over(served *s, const char *path) {
    for (int i = 0; i < WAIT_S * 10; i++) {
        json_t *g;
        assert_int_equal(ask(s, (fw_http_call){.method = "GET"}, path, &g, NULL), 200);
        const char *stage = json_string_value(json_object_get(g, "stage"));
        if (strcmp(stage, "done") == 0 || strcmp(stage, "failed") == 0) return g;
        json_decref(g);
        usleep(100000);
    }
    fail_msg("the generation did not end");
    return NULL;
}

/* The running job's process, once it says that it learns. */
static pid_t wait_job(served *s) {
    for (int i = 0; i < WAIT_S * 10; i++) {
        json_t *status;
        assert_int_equal(ask(s, (fw_http_call){.method = "GET"}, "/v1/status", &status, NULL), 200);
        const json_t *job = json_object_get(status, "job");
        pid_t pid = (pid_t)json_integer_value(json_object_get(job, "pid"));
        bool learns = json_number_value(json_object_get(job, "done")) > 0;
        json_decref(status);
        if (pid > 0 && learns) return pid;
        usleep(100000);
    }
    fail_msg("no job ran");
    return 0;
}

static void a_real_generation_with_real_jobs(void **state) {
    served *s = *state;
    json_t *g, *models;
    upload_fleet(s);
    post_generation(s, "{\"seed\":1,\"agent_steps\":5000}");
    g = wait_over(s, "/v1/generations/1");
    const char *decision = json_string_value(json_object_get(g, "decision"));
    assert_non_null(decision);
    if (strcmp(decision, "promoted") != 0 && strcmp(decision, "refused") != 0)
        fail_msg("%s: %s", decision, json_string_value(json_object_get(g, "reason")));
    assert_true(json_integer_value(json_object_get(g, "agent_steps")) > 0);
    assert_true(json_number_value(json_object_get(g, "train_core_s")) > 0);
    assert_non_null(json_string_value(json_object_get(g, "reason")));
    assert_int_equal(ask(s, (fw_http_call){.method = "GET"}, "/v1/models", &models, NULL), 200);
    assert_int_equal(json_array_size(models), 2);
    json_decref(models);
    json_decref(g);
}

static void killed_in_training_it_goes_on(void **state) {
    served *s = *state;
    upload_fleet(s);
    post_generation(s, "{\"seed\":1,\"agent_steps\":300000}");
    pid_t job = wait_job(s);
    end(s, SIGKILL);
    for (int i = 0; i < 1000 && kill(job, 0) == 0; i++) usleep(10000);
    assert_int_equal(kill(job, 0), -1); /* it died with serve */
    start(s);
    kill(wait_job(s), SIGKILL); /* and one that dies alone is started again */
    json_t *g = wait_over(s, "/v1/generations/1");
    const char *stage = json_string_value(json_object_get(g, "stage"));
    if (strcmp(stage, "done") != 0)
        fail_msg("%s: %s", stage, json_string_value(json_object_get(g, "reason")));
    assert_true(json_integer_value(json_object_get(g, "agent_steps")) >= 300000);
    json_decref(g);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    if (access(PROGRAM, X_OK) != 0) return 77;
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_served, close_served)
    const struct CMUnitTest tests[] = {
        TEST(killed_in_an_upload_nothing_acked_is_lost),
        TEST(plain_curl_goes_on_where_it_stopped),
        TEST(it_stops_cleanly),
        TEST(a_real_generation_with_real_jobs),
        TEST(killed_in_training_it_goes_on),
    };
    return cmocka_run_group_tests_name("serve", tests, NULL, NULL);
}
