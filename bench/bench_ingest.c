/* bench_ingest - what durable ingest costs: a real `flywheel serve` on loopback, real connections,
 * and the bare disk and hash beside it in the same run.
 *
 *   bench_ingest [--data DIR] [--seconds S] [--rounds N] [--clients N] [--units N] [--object-mb N]
 *                [--only records|bulk|units] [--quick] [--smoke] [--json] [--csv FILE]
 *
 *   records  batches of 256 records of 1 kB, each ack after its flush; beside it a bare loop that
 *            writes 256 kB and calls fdatasync, on the same disk, in turns. Target: 70 % of it.
 *   bulk     large recordings (MCAP; the factory's full check of each is part of the time) by PUT;
 *            beside it one thread that writes the same bytes and flushes, and SHA-256 on one core.
 *            Target: 70 % of the slower of the two.
 *   units    connections that stay open, each reporting and sending its health now and then; memory
 *            of the server. Target: 100 MB for 1,000.
 *
 * DIR (default: a new folder in the working folder) must lie on the disk that is meant; it is removed.
 * Rates are medians of the rounds. Client and server share the machine: the server's own CPU time is
 * given per record and per byte.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/env.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"
#include "mcap/mcap.h"

enum { BATCH = 256, RECORD_BYTES = 1024, BATCH_BYTES = BATCH * RECORD_BYTES, LATENCIES = 1 << 20,
       ROUNDS_MAX = 9, CLIENTS_MAX = 64 };

typedef struct options {
    const char *data, *csv, *only;
    double seconds;
    int rounds, clients, bulk_clients, units, object_mb, objects;
    bool json;
} options;
static options opt = {.seconds = 2, .rounds = 5, .clients = 8, .bulk_clients = 2, .units = 1000,
                      .object_mb = 48, .objects = 8};

typedef struct results {
    double bare_records_per_s, records_per_s, records_ratio, cpu_us_per_record;
    double p50_ms, p99_ms, p999_ms, bare_p50_ms, bare_p99_ms;
    double write_cpu_ms_per_mb, sha_cpu_ms_per_mb;
    double write_mb_per_s, sha_mb_per_s, bulk_mb_per_s, bulk_ratio, bulk_cpu_ms_per_mb;
    double idle_mb, units_mb, reports_per_s;
    int units;
} results;

static void die(const char *what) {
    fprintf(stderr, "bench_ingest: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_s(void) { return (double)fw_env_mono_ns(fw_env_real()) / 1e9; }

/* ---- the server ---- */

typedef struct server {
    pid_t pid;
    uint16_t port;
} server;

static void *drain(void *self) { /* what it says must not block it */
    char line[400];
    while (fgets(line, sizeof line, self)) continue;
    fclose(self);
    return NULL;
}

static server start(const char *data) {
    int ends[2];
    char line[400];
    server s = {0};
    pthread_t thread;
    if (pipe(ends) != 0) die("pipe");
    s.pid = fork();
    if (s.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(FW_BENCH_FLYWHEEL, "flywheel", "serve", "--data", data, "--listen", "127.0.0.1:0",
              "--disk-cap-bytes", "34359738368", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *log = fdopen(ends[0], "r");
    while (!s.port && log && fgets(line, sizeof line, log)) {
        const char *at = strstr(line, "http://127.0.0.1:");
        if (at) s.port = (uint16_t)strtoul(at + 17, NULL, 10);
    }
    if (!s.port) die("flywheel serve does not start");
    if (pthread_create(&thread, NULL, drain, log) != 0) die("thread");
    pthread_detach(thread);
    return s;
}

/* User and system time of the server so far. */
static double server_cpu_s(const server *s) {
    char path[64], text[1024];
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)s->pid);
    FILE *file = fopen(path, "r");
    if (!file || !fgets(text, sizeof text, file)) die(path);
    fclose(file);
    const char *at = strrchr(text, ')');
    if (!at || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                      &system) != 2)
        die(path);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double server_mb(const server *s) {
    char path[64], line[200];
    double kb = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)s->pid);
    FILE *file = fopen(path, "r");
    if (!file) die(path);
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "VmRSS:", 6) == 0) kb = strtod(line + 6, NULL);
    fclose(file);
    return kb / 1024;
}

/* ---- connections ---- */

static int dial(const server *s) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(s->port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_all(int fd, const void *bytes, size_t size) {
    const char *at = bytes;
    while (size > 0) {
        ssize_t put = send(fd, at, size, MSG_NOSIGNAL);
        if (put <= 0) die("send");
        at += put;
        size -= (size_t)put;
    }
}

/* Reads one answer with a Content-Length; returns its status. */
static int receive(int fd) {
    char text[4096], *end = NULL;
    size_t have = 0;
    while (!end) {
        ssize_t got = recv(fd, text + have, sizeof text - 1 - have, 0);
        if (got <= 0) die("recv");
        have += (size_t)got;
        text[have] = '\0';
        end = strstr(text, "\r\n\r\n");
    }
    const char *length = strcasestr(text, "Content-Length:");
    size_t body = length && length < end ? strtoul(length + 15, NULL, 10) : 0;
    size_t whole = (size_t)(end + 4 - text) + body;
    while (have < whole) {
        char rest[4096];
        ssize_t got = recv(fd, rest, whole - have < sizeof rest ? whole - have : sizeof rest, 0);
        if (got <= 0) die("recv");
        have += (size_t)got;
    }
    int status = atoi(text + 9);
    if (status >= 300) fprintf(stderr, "bench_ingest: %.300s\n", text);
    return status;
}

/* ---- records ---- */

static char *batch; /* (BATCH_BYTES) */
static _Atomic uint32_t latency_count;
static float *latencies_ms; /* (LATENCIES) */
static atomic_bool over;

typedef struct client {
    const server *s;
    int number, fd;
    uint64_t sent;
    atomic_uint_fast64_t *acked;
    pthread_t thread;
} client;

static void note_latency(double ms) {
    uint32_t at = atomic_fetch_add(&latency_count, 1);
    if (at < LATENCIES) latencies_ms[at] = (float)ms;
}

static void *send_batches(void *self) {
    client *c = self;
    char head[400];
    while (!atomic_load(&over)) {
        int size = snprintf(head, sizeof head,
                            "POST /v1/records HTTP/1.1\r\nHost: 127.0.0.1\r\nFlywheel-Unit: u%d\r\n"
                            "Flywheel-Boot: bench\r\nFlywheel-Stream: load\r\nFlywheel-First: %llu"
                            "\r\nContent-Length: %d\r\n\r\n",
                            c->number, (unsigned long long)c->sent, BATCH_BYTES);
        double begun = now_s();
        send_all(c->fd, head, (size_t)size);
        send_all(c->fd, batch, BATCH_BYTES);
        if (receive(c->fd) != 200) exit(1);
        note_latency((now_s() - begun) * 1e3);
        c->sent += BATCH;
        atomic_fetch_add(c->acked, BATCH);
    }
    return NULL;
}

/* Records a second of all clients together. */
static double over_http(client *clients, int count, double seconds) {
    atomic_uint_fast64_t acked = 0;
    atomic_store(&over, false);
    double begun = now_s();
    for (int i = 0; i < count; i++) {
        clients[i].acked = &acked;
        if (pthread_create(&clients[i].thread, NULL, send_batches, &clients[i]) != 0) die("thread");
    }
    fw_env_sleep_ns(fw_env_real(), (int64_t)(seconds * 1e9));
    atomic_store(&over, true);
    for (int i = 0; i < count; i++) pthread_join(clients[i].thread, NULL);
    return (double)acked / (now_s() - begun);
}

/* Records a second of the bare loop; appends like the server does. */
static double bare(const char *folder, double seconds) {
    char path[600];
    snprintf(path, sizeof path, "%s/bare", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) die(path);
    uint64_t count = 0;
    double begun = now_s(), last = begun, now = begun;
    for (; now - begun < seconds; last = now) {
        if (write(fd, batch, BATCH_BYTES) != BATCH_BYTES || fdatasync(fd) != 0) die(path);
        count += BATCH;
        now = now_s();
        note_latency((now - last) * 1e3);
    }
    close(fd);
    unlink(path);
    return (double)count / (now - begun);
}

static int by_float(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}
static int by_double(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}
static double median(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, by_double);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* The q-th latency of those noted since `from`; the notes from there on are sorted. */
static double latency(uint32_t from, double q) {
    uint32_t count = latency_count < LATENCIES ? latency_count : LATENCIES;
    if (count <= from) return 0;
    qsort(latencies_ms + from, count - from, sizeof *latencies_ms, by_float);
    return latencies_ms[from + (uint32_t)((double)(count - from - 1) * q)];
}

static void make_batch(void) {
    batch = malloc(BATCH_BYTES);
    latencies_ms = malloc(LATENCIES * sizeof *latencies_ms);
    if (!batch || !latencies_ms) die("memory");
    fw_random random = fw_random_named(1, "batch");
    for (size_t i = 0; i < BATCH_BYTES; i++)
        batch[i] = (char)('a' + fw_random_below(&random, 26));
    for (size_t i = RECORD_BYTES - 1; i < BATCH_BYTES; i += RECORD_BYTES) batch[i] = '\n';
}

static void bench_records(const server *s, const char *folder, results *r) {
    static client clients[CLIENTS_MAX];
    double http[ROUNDS_MAX], alone[ROUNDS_MAX], ratio[ROUNDS_MAX], cpu = 0, sent = 0;
    for (int i = 0; i < opt.clients; i++) clients[i] = (client){.s = s, .number = i, .fd = dial(s)};
    over_http(clients, opt.clients, opt.seconds / 4); /* warm */
    uint32_t from = latency_count = 0;
    for (int i = 0; i < opt.rounds; i++) alone[i] = 0;
    static float bare_ms[LATENCIES];
    uint32_t bare_count = 0;
    for (int i = 0; i < opt.rounds; i++) {
        uint32_t before = latency_count;
        alone[i] = bare(folder, opt.seconds / 2);
        for (uint32_t k = before; k < latency_count && bare_count < LATENCIES; k++)
            bare_ms[bare_count++] = latencies_ms[k];
        latency_count = before; /* the bare loop's are kept apart */
        double cpu_begun = server_cpu_s(s), begun = now_s();
        http[i] = over_http(clients, opt.clients, opt.seconds);
        sent += http[i] * (now_s() - begun);
        cpu += server_cpu_s(s) - cpu_begun;
        uint32_t acks = latency_count;
        double after = bare(folder, opt.seconds / 2);
        latency_count = acks;
        alone[i] = (alone[i] + after) / 2;
        ratio[i] = http[i] / alone[i];
        fprintf(stderr, "round %d: bare %.0f, over HTTP %.0f records/s (%.0f %%)\n", i + 1, alone[i],
                http[i], 100 * ratio[i]);
    }
    qsort(bare_ms, bare_count, sizeof *bare_ms, by_float);
    r->bare_p50_ms = bare_count ? bare_ms[bare_count / 2] : 0;
    r->bare_p99_ms = bare_count ? bare_ms[(bare_count - 1) * 99 / 100] : 0;
    r->p50_ms = latency(from, 0.5);
    r->p99_ms = latency(from, 0.99);
    r->p999_ms = latency(from, 0.999);
    r->bare_records_per_s = median(alone, opt.rounds);
    r->records_per_s = median(http, opt.rounds);
    r->records_ratio = median(ratio, opt.rounds);
    r->cpu_us_per_record = sent > 0 ? cpu / sent * 1e6 : 0;
    for (int i = 0; i < opt.clients; i++) close(clients[i].fd);
}

/* ---- bulk ---- */

typedef struct object {
    uint8_t *bytes;
    size_t size;
    fw_hash hash;
} object;

static void must(fw_status status, const fw_error *error) {
    if (status == FW_OK) return;
    fprintf(stderr, "bench_ingest: %s\n", error->text);
    exit(1);
}

/* A recording of camera frames (100 kB, no compression) with a JSON channel beside them. */
static object make_object(int number) {
    size_t room = (size_t)opt.object_mb << 20;
    object o = {.bytes = malloc(room)};
    uint8_t *frame = malloc(100000);
    fw_error error;
    fw_mcap_writer *writer;
    uint16_t camera, ego;
    if (!o.bytes || !frame) die("memory");
    fw_mcap_memory memory = {o.bytes, room, 0};
    const fw_mcap_writer_options plain = {.compression = FW_MCAP_NONE, .chunk_bytes = 1 << 20};
    const fw_mcap_pair pairs[] = {{"line", "driving"}, {"form", "telemetry"}};
    fw_random random = fw_random_indexed(7, (uint64_t)number);
    must(fw_mcap_writer_open(&plain, &writer, &error), &error);
    must(fw_mcap_writer_begin(writer, fw_mcap_memory_sink(&memory), "", "bench", &error), &error);
    must(fw_mcap_writer_metadata(writer, "flywheel", pairs, 2, &error), &error);
    must(fw_mcap_writer_add_channel(writer, 0, "/camera", "jpeg", NULL, 0, &camera, &error), &error);
    must(fw_mcap_writer_add_channel(writer, 0, "/ego", "json", NULL, 0, &ego, &error), &error);
    for (uint64_t t = 0; memory.size_bytes + (3 << 20) < room; t++) {
        char text[100];
        for (size_t i = 0; i < 100000; i += 4) {
            uint32_t value = fw_random_u32(&random);
            memcpy(frame + i, &value, 4);
        }
        int size = snprintf(text, sizeof text, "{\"x_m\":%llu,\"speed_mps\":8.5}",
                            (unsigned long long)t);
        must(fw_mcap_writer_message(writer, camera, 0, t * 100000000, t * 100000000, frame, 100000,
                                    &error), &error);
        must(fw_mcap_writer_message(writer, ego, 0, t * 100000000, t * 100000000, text,
                                    (size_t)size, &error), &error);
    }
    must(fw_mcap_writer_end(writer, &error), &error);
    fw_mcap_writer_close(writer);
    free(frame);
    o.size = memory.size_bytes;
    o.hash = fw_hash_bytes(o.bytes, o.size);
    return o;
}

typedef struct uploader {
    const server *s;
    object *objects;
    int from, to;
    pthread_t thread;
} uploader;

static void *upload(void *self) {
    const uploader *u = self;
    char head[400];
    int fd = dial(u->s);
    for (int i = u->from; i < u->to; i++) {
        const object *o = &u->objects[i];
        int size = snprintf(head, sizeof head,
                            "PUT /v1/objects/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nFlywheel-Unit: b%d\r\n"
                            "Content-Length: %zu\r\n\r\n",
                            o->hash.hex, i, o->size);
        send_all(fd, head, (size_t)size);
        send_all(fd, o->bytes, o->size);
        if (receive(fd) != 201) exit(1);
    }
    close(fd);
    return NULL;
}

static double cpu_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A new file that stays, as the server's do: a removed one leaves warm pages to the next. */
static double write_rate(const char *folder, const object *o) {
    static int number;
    char path[600];
    snprintf(path, sizeof path, "%s/bare-%d", folder, number++);
    double begun = now_s();
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) die(path);
    for (size_t at = 0; at < o->size;) {
        size_t left = o->size - at;
        ssize_t put = write(fd, o->bytes + at, left < 1 << 20 ? left : 1 << 20);
        if (put <= 0) die(path);
        at += (size_t)put;
    }
    if (fdatasync(fd) != 0) die(path);
    close(fd);
    return (double)o->size / 1e6 / (now_s() - begun);
}

static double sha_rate(const object *o) {
    double begun = now_s();
    (void)fw_hash_bytes(o->bytes, o->size);
    return (double)o->size / 1e6 / (now_s() - begun);
}

static void bench_bulk(const server *s, const char *folder, results *r) {
    double writes[ROUNDS_MAX], shas[ROUNDS_MAX], bulks[ROUNDS_MAX], ratios[ROUNDS_MAX];
    double write_cpu[ROUNDS_MAX], sha_cpu[ROUNDS_MAX], cpu = 0, total_mb = 0;
    int per_round = opt.objects, n = opt.bulk_clients;
    object *objects = calloc((size_t)per_round, sizeof *objects);
    if (!objects) die("memory");
    for (int round = 0; round < opt.rounds; round++) {
        double mb = 0;
        for (int i = 0; i < per_round; i++) {
            objects[i] = make_object(round * per_round + i);
            mb += (double)objects[i].size / 1e6;
        }
        uploader uploaders[CLIENTS_MAX];
        writes[round] = write_rate(folder, &objects[0]);
        shas[round] = sha_rate(&objects[0]);
        double bare_cpu = cpu_s();
        (void)write_rate(folder, &objects[0]);
        write_cpu[round] = (cpu_s() - bare_cpu) * 1e9 / (double)objects[0].size;
        bare_cpu = cpu_s();
        (void)sha_rate(&objects[0]);
        sha_cpu[round] = (cpu_s() - bare_cpu) * 1e9 / (double)objects[0].size;
        double cpu_begun = server_cpu_s(s), begun = now_s();
        for (int i = 0; i < n; i++) {
            uploaders[i] = (uploader){s, objects, i * per_round / n, (i + 1) * per_round / n, 0};
            if (pthread_create(&uploaders[i].thread, NULL, upload, &uploaders[i]) != 0)
                die("thread");
        }
        for (int i = 0; i < n; i++) pthread_join(uploaders[i].thread, NULL);
        bulks[round] = mb / (now_s() - begun);
        cpu += server_cpu_s(s) - cpu_begun;
        total_mb += mb;
        writes[round] = (writes[round] + write_rate(folder, &objects[0])) / 2;
        shas[round] = (shas[round] + sha_rate(&objects[0])) / 2;
        double bound = writes[round] < shas[round] ? writes[round] : shas[round];
        ratios[round] = bulks[round] / bound;
        fprintf(stderr, "round %d: write+flush %.0f, SHA-256 %.0f, uploads %.0f MB/s (%.0f %%)\n",
                round + 1, writes[round], shas[round], bulks[round], 100 * ratios[round]);
        for (int i = 0; i < per_round; i++) free(objects[i].bytes);
    }
    free(objects);
    r->write_mb_per_s = median(writes, opt.rounds);
    r->sha_mb_per_s = median(shas, opt.rounds);
    r->bulk_mb_per_s = median(bulks, opt.rounds);
    r->bulk_ratio = median(ratios, opt.rounds);
    r->bulk_cpu_ms_per_mb = cpu / total_mb * 1e3;
    r->write_cpu_ms_per_mb = median(write_cpu, opt.rounds);
    r->sha_cpu_ms_per_mb = median(sha_cpu, opt.rounds);
}

/* ---- units ---- */

static void say(int fd, const char *path, const char *headers, const char *body) {
    char text[800];
    int size = snprintf(text, sizeof text,
                        "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%sContent-Length: %zu\r\n\r\n%s",
                        path, headers, strlen(body), body);
    send_all(fd, text, (size_t)size);
}

/* Every unit reports and sends its health `times` times, over connections that stay open. */
static void bench_units(const server *s, results *r) {
    int *fds = calloc((size_t)opt.units, sizeof *fds), times = 3;
    if (!fds) die("memory");
    r->units = opt.units;
    r->idle_mb = server_mb(s);
    for (int i = 0; i < opt.units; i++) fds[i] = dial(s);
    double begun = now_s();
    for (int t = 0; t < times; t++)
        for (int from = 0; from < opt.units; from += 50) { /* 50 at once */
            int to = from + 50 < opt.units ? from + 50 : opt.units;
            for (int half = 0; half < 2; half++) {
                for (int i = from; i < to; i++) {
                    char path[80], headers[200];
                    snprintf(path, sizeof path, "/v1/units/unit-%d/report", i);
                    snprintf(headers, sizeof headers,
                             "Flywheel-Unit: unit-%d\r\nFlywheel-Boot: bench\r\nFlywheel-Stream: "
                             "health\r\nFlywheel-First: %d\r\n", i, t);
                    if (half)
                        say(fds[i], "/v1/records", headers, "{\"cpu\":0.25,\"disk_free\":1000000}\n");
                    else
                        say(fds[i], path, "", "{\"tick\":1}");
                }
                for (int i = from; i < to; i++)
                    if (receive(fds[i]) != 200) exit(1);
            }
        }
    r->reports_per_s = 2.0 * times * opt.units / (now_s() - begun);
    r->units_mb = server_mb(s);
    for (int i = 0; i < opt.units; i++) close(fds[i]);
    free(fds);
}

/* ---- what came out ---- */

static void print_table(const results *r) {
    printf("records   bare group commit of %d   %9.0f /s   p50 %.2f ms  p99 %.2f ms\n", BATCH,
           r->bare_records_per_s, r->bare_p50_ms, r->bare_p99_ms);
    printf("          durable acks over HTTP    %9.0f /s   %.0f %% (target 70)   %d connections\n",
           r->records_per_s, 100 * r->records_ratio, opt.clients);
    printf("          ack of a batch            p50 %.2f ms  p99 %.2f ms  p99.9 %.2f ms\n",
           r->p50_ms, r->p99_ms, r->p999_ms);
    printf("          server CPU                %9.2f us a record\n", r->cpu_us_per_record);
    printf("bulk      write + flush             %9.0f MB/s\n", r->write_mb_per_s);
    printf("          SHA-256, one core         %9.0f MB/s\n", r->sha_mb_per_s);
    printf("          uploads, checked as MCAP  %9.0f MB/s  %.0f %% (target 70)   %d connections\n",
           r->bulk_mb_per_s, 100 * r->bulk_ratio, opt.bulk_clients);
    printf("          server CPU                %9.2f ms a MB  (the bare write %.2f, the hash %.2f)\n",
           r->bulk_cpu_ms_per_mb, r->write_cpu_ms_per_mb, r->sha_cpu_ms_per_mb);
    printf("units     %d connected, reporting %9.1f MB resident (target 100 for 1,000); before %.1f\n",
           r->units, r->units_mb, r->idle_mb);
    printf("          reports and health        %9.0f /s\n", r->reports_per_s);
}

static void print_json(const results *r) {
    printf("{\"bare_records_per_s\":%.0f,\"records_per_s\":%.0f,\"records_ratio\":%.3f,"
           "\"bare_p50_ms\":%.3f,\"bare_p99_ms\":%.3f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
           "\"p999_ms\":%.3f,\"cpu_us_per_record\":%.3f,\"write_mb_per_s\":%.0f,"
           "\"sha_mb_per_s\":%.0f,\"bulk_mb_per_s\":%.0f,\"bulk_ratio\":%.3f,"
           "\"bulk_cpu_ms_per_mb\":%.3f,\"write_cpu_ms_per_mb\":%.3f,\"sha_cpu_ms_per_mb\":%.3f,"
           "\"units\":%d,\"idle_mb\":%.1f,\"units_mb\":%.1f,"
           "\"reports_per_s\":%.0f}\n",
           r->bare_records_per_s, r->records_per_s, r->records_ratio, r->bare_p50_ms,
           r->bare_p99_ms, r->p50_ms, r->p99_ms, r->p999_ms, r->cpu_us_per_record,
           r->write_mb_per_s, r->sha_mb_per_s, r->bulk_mb_per_s, r->bulk_ratio,
           r->bulk_cpu_ms_per_mb, r->write_cpu_ms_per_mb, r->sha_cpu_ms_per_mb, r->units, r->idle_mb, r->units_mb, r->reports_per_s);
}

static void append_csv(const char *path, const results *r) {
    bool fresh = !fw_file_exists(path);
    FILE *file = fopen(path, "a");
    if (!file) die(path);
    if (fresh)
        fputs("time,version,clients,bare_records_per_s,records_per_s,records_ratio,p50_ms,p99_ms,"
              "p999_ms,cpu_us_per_record,write_mb_per_s,sha_mb_per_s,bulk_mb_per_s,bulk_ratio,"
              "bulk_cpu_ms_per_mb,units,units_mb\n",
              file);
    fprintf(file, "%lld,%s,%d,%.0f,%.0f,%.3f,%.3f,%.3f,%.3f,%.3f,%.0f,%.0f,%.0f,%.3f,%.3f,%d,%.1f\n",
            (long long)(fw_env_wall_ns(fw_env_real()) / 1000000000), FW_VERSION, opt.clients,
            r->bare_records_per_s, r->records_per_s, r->records_ratio, r->p50_ms, r->p99_ms,
            r->p999_ms, r->cpu_us_per_record, r->write_mb_per_s, r->sha_mb_per_s, r->bulk_mb_per_s,
            r->bulk_ratio, r->bulk_cpu_ms_per_mb, r->units, r->units_mb);
    if (fclose(file) != 0) die(path);
}

static const char usage_text[] =
    "usage: bench_ingest [--data DIR] [--seconds S] [--rounds N] [--clients N] [--bulk-clients N]\n"
    "                    [--units N] [--object-mb N] [--objects N] [--only records|bulk|units]\n"
    "                    [--quick] [--smoke] [--json] [--csv FILE]\n";

static int number(const char *text, int low, int high) {
    char *end;
    long value = strtol(text ? text : "", &end, 10);
    if (!text || end == text || *end || value < low || value > high) {
        fputs(usage_text, stderr);
        exit(2);
    }
    return (int)value;
}

static void read_options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        bool took = true;
        if (strcmp(word, "--data") == 0 && next) opt.data = next;
        else if (strcmp(word, "--csv") == 0 && next) opt.csv = next;
        else if (strcmp(word, "--only") == 0 && next) opt.only = next;
        else if (strcmp(word, "--seconds") == 0) opt.seconds = number(next, 1, 600);
        else if (strcmp(word, "--rounds") == 0) opt.rounds = number(next, 1, ROUNDS_MAX);
        else if (strcmp(word, "--clients") == 0) opt.clients = number(next, 1, CLIENTS_MAX);
        else if (strcmp(word, "--bulk-clients") == 0) opt.bulk_clients = number(next, 1, CLIENTS_MAX);
        else if (strcmp(word, "--units") == 0) opt.units = number(next, 1, 2000);
        else if (strcmp(word, "--object-mb") == 0) opt.object_mb = number(next, 4, 64);
        else if (strcmp(word, "--objects") == 0) opt.objects = number(next, 1, 100);
        else took = false;
        if (took) {
            i++;
        } else if (strcmp(word, "--json") == 0) {
            opt.json = true;
        } else if (strcmp(word, "--quick") == 0) {
            opt.rounds = 2, opt.seconds = 1, opt.objects = 4;
        } else if (strcmp(word, "--smoke") == 0) {
            opt.rounds = 1, opt.seconds = 0.2, opt.objects = 2, opt.object_mb = 4, opt.units = 50;
        } else {
            fputs(usage_text, stderr);
            exit(2);
        }
    }
}

static bool wanted(const char *part) {
    return !opt.only || strcmp(opt.only, part) == 0;
}

int main(int argc, char **argv) {
    char folder[300], data[320];
    results r = {0};
    fw_error error;
    read_options(argc, argv);
    snprintf(folder, sizeof folder, "%s/bench_ingest_XXXXXX", opt.data ? opt.data : ".");
    if (!mkdtemp(folder)) die(folder);
    snprintf(data, sizeof data, "%s/data", folder);
    const struct rlimit files = {4096, 4096};
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) fprintf(stderr, "bench_ingest: few descriptors\n");
    make_batch();
    server s = start(data);
    /* units first: memory as a fleet makes it, not as the loads do */
    if (wanted("units")) bench_units(&s, &r);
    if (wanted("records")) bench_records(&s, folder, &r);
    if (wanted("bulk")) bench_bulk(&s, folder, &r);
    kill(s.pid, SIGTERM);
    waitpid(s.pid, NULL, 0);
    must(fw_folder_remove(folder, &error), &error);
    if (opt.json)
        print_json(&r);
    else
        print_table(&r);
    if (opt.csv) append_csv(opt.csv, &r);
    return 0;
}
