/* limits.c - how much of the server one client may hold: connections, time, rates.
 *
 * Deadlines look at the kernel's own count of bytes on a socket (TCP_INFO), so that headers that
 * drip in are seen before they are whole, under TLS too. A socket whose bytes the server has not
 * taken yet, or whose answer the client has taken whole, is not overdue: then it is our turn.
 */
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "http/server_inner.h"

enum { BUCKETS = 2048, PROBES = 8, WINDOW_S = 10, SPARE_PER_ADDRESS = 8 };
#define SECOND_NS INT64_C(1000000000)

/* A token bucket: requests that one identity or address may still make at once. */
typedef struct bucket {
    char key[80];
    double tokens;
    int64_t at_ns;
} bucket;

struct fw_http_limits {
    fw_http_config config;
    pthread_mutex_t lock; /* guards the rest, and every connection's phase */
    fw_http_connection *first;
    unsigned count;
    bucket *buckets; /* (BUCKETS), NULL without a rate limit */
};

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND_NS + t.tv_nsec;
}

fw_status fw_http_limits_open(const fw_http_config *config, fw_http_limits **out, fw_error *error) {
    fw_http_limits *limits = calloc(1, sizeof *limits);
    if (limits && config->requests_per_s > 0)
        limits->buckets = calloc(BUCKETS, sizeof *limits->buckets);
    if (!limits || (config->requests_per_s > 0 && !limits->buckets)) {
        free(limits);
        return fw_fail(error, FW_NO_MEMORY, "no memory for the HTTP server's limits");
    }
    limits->config = *config;
    pthread_mutex_init(&limits->lock, NULL);
    *out = limits;
    return FW_OK;
}

void fw_http_limits_close(fw_http_limits *limits) {
    if (!limits) return;
    while (limits->first) {
        fw_http_connection *c = limits->first;
        limits->first = c->after;
        free(c);
    }
    pthread_mutex_destroy(&limits->lock);
    free(limits->buckets);
    free(limits);
}

void fw_http_address_text(const struct sockaddr *address, char out[46]) {
    snprintf(out, 46, "none");
    if (!address) return;
    if (address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, out, 46);
    } else if (address->sa_family == AF_INET6) {
        const struct in6_addr *v6 =
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(v6))
            inet_ntop(AF_INET, &v6->s6_addr[12], out, 46);
        else
            inet_ntop(AF_INET6, v6, out, 46);
    }
}

/* ---- connections ---- */

/* Bytes that came in, or that the other side has acknowledged. */
static uint64_t bytes_of(int fd, bool sent) {
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
    return sent ? info.tcpi_bytes_acked : info.tcpi_bytes_received;
}

static void set_phase(fw_http_connection *c, fw_http_phase phase) {
    c->phase = phase;
    c->since_ns = now_ns();
    c->since_bytes = phase == FW_HTTP_WORKS ? 0 : bytes_of(c->fd, phase == FW_HTTP_ANSWERS);
}

fw_http_connection *fw_http_limits_connected(fw_http_limits *limits, int fd,
                                             const struct sockaddr *address) {
    fw_http_connection *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->fd = fd;
    fw_http_address_text(address, c->peer.address);
    c->phase = FW_HTTP_WAITS; /* bytes from 0 on: some may be here already */
    c->since_ns = now_ns();
    pthread_mutex_lock(&limits->lock);
    c->after = limits->first;
    if (c->after) c->after->before = c;
    limits->first = c;
    limits->count++;
    pthread_mutex_unlock(&limits->lock);
    return c;
}

void fw_http_limits_closed(fw_http_limits *limits, fw_http_connection *c) {
    if (!c) return;
    pthread_mutex_lock(&limits->lock);
    if (c->before)
        c->before->after = c->after;
    else
        limits->first = c->after;
    if (c->after) c->after->before = c->before;
    limits->count--;
    pthread_mutex_unlock(&limits->lock);
    free(c);
}

void fw_http_limits_phase(fw_http_limits *limits, fw_http_connection *c, fw_http_phase phase) {
    if (!c) return;
    pthread_mutex_lock(&limits->lock);
    set_phase(c, phase);
    pthread_mutex_unlock(&limits->lock);
}

static unsigned count_of(const fw_http_limits *limits, const char *address) {
    unsigned count = 0;
    for (const fw_http_connection *c = limits->first; c; c = c->after)
        count += strcmp(c->peer.address, address) == 0;
    return count;
}

bool fw_http_limits_accepts(fw_http_limits *limits, const struct sockaddr *address) {
    unsigned max = limits->config.address_connections_max;
    char text[46];
    if (max == 0) return true;
    fw_http_address_text(address, text);
    pthread_mutex_lock(&limits->lock);
    bool accepts = count_of(limits, text) < max + SPARE_PER_ADDRESS;
    pthread_mutex_unlock(&limits->lock);
    return accepts;
}

int fw_http_limits_crowded(fw_http_limits *limits, const fw_http_peer *peer, const char **why) {
    unsigned max = limits->config.address_connections_max;
    int status = 0;
    pthread_mutex_lock(&limits->lock);
    if (limits->count > limits->config.connections_max) {
        status = 503;
        *why = "the server has all the connections that it may have; try again later";
    } else if (max > 0 && count_of(limits, peer->address) > max) {
        status = 429;
        *why = "too many connections from this address";
    }
    pthread_mutex_unlock(&limits->lock);
    return status;
}

/* ---- deadlines ---- */

/* Tells a plain client why, then ends both directions; libmicrohttpd sees the end and cleans up. */
static void cut(fw_http_connection *c, bool plain) {
    static const char text[] = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
                               "Content-Type: application/json\r\nContent-Length: 41\r\n\r\n"
                               "{\"error\":\"the request came in too slowly\"}";
    if (plain && (c->phase == FW_HTTP_HEADERS || c->phase == FW_HTTP_BODY))
        (void)!send(c->fd, text, sizeof text - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(c->fd, SHUT_RDWR);
    c->phase = FW_HTTP_WORKS; /* once */
}

/* A body or an answer that moved less than the least rate in a whole window. */
static bool too_slow(const fw_http_limits *limits, fw_http_connection *c, int64_t now) {
    bool sent = c->phase == FW_HTTP_ANSWERS;
    int64_t window_s = (now - c->since_ns) / SECOND_NS;
    int waiting = 0;
    if (window_s < WINDOW_S && window_s < limits->config.idle_timeout_s) return false;
    uint64_t bytes = bytes_of(c->fd, sent), moved = bytes - c->since_bytes;
    bool slow = moved < (uint64_t)window_s * limits->config.body_min_bytes_per_s;
    if (slow && ioctl(c->fd, sent ? SIOCOUTQ : SIOCINQ, &waiting) == 0)
        slow = sent ? waiting > 0 : waiting == 0;
    c->since_ns = now;
    c->since_bytes = bytes;
    return slow;
}

static bool overdue(const fw_http_limits *limits, fw_http_connection *c, int64_t now) {
    switch (c->phase) {
    case FW_HTTP_WAITS:
        if (bytes_of(c->fd, false) > c->since_bytes) {
            c->phase = FW_HTTP_HEADERS;
            c->since_ns = now;
        }
        return false;
    case FW_HTTP_HEADERS:
        return now - c->since_ns > limits->config.header_timeout_s * SECOND_NS;
    case FW_HTTP_BODY:
    case FW_HTTP_ANSWERS:
        return too_slow(limits, c, now);
    case FW_HTTP_WORKS:
        return false;
    }
    return false;
}

void fw_http_limits_watch(fw_http_limits *limits) {
    int64_t now = now_ns();
    pthread_mutex_lock(&limits->lock);
    for (fw_http_connection *c = limits->first; c; c = c->after)
        if (overdue(limits, c, now)) cut(c, limits->config.tls == NULL);
    pthread_mutex_unlock(&limits->lock);
}

/* ---- rates ---- */

static uint32_t hash_of(const char *key) {
    uint32_t h = 2166136261u; /* FNV-1a */
    for (; *key; key++) h = (h ^ (unsigned char)*key) * 16777619u;
    return h;
}

/* The key's bucket; a new one takes the place of the one that was longest without a request. */
static bucket *bucket_of(fw_http_limits *limits, const char *key, int64_t now) {
    uint32_t at = hash_of(key);
    bucket *oldest = NULL;
    for (uint32_t i = 0; i < PROBES; i++) {
        bucket *b = &limits->buckets[(at + i) % BUCKETS];
        if (strcmp(b->key, key) == 0) return b;
        if (!oldest || b->at_ns < oldest->at_ns) oldest = b;
    }
    snprintf(oldest->key, sizeof oldest->key, "%s", key);
    oldest->tokens = limits->config.requests_burst;
    oldest->at_ns = now;
    return oldest;
}

int fw_http_limits_rate(fw_http_limits *limits, const fw_http_peer *peer, const char **why) {
    if (!limits->buckets) return 0;
    int64_t now = now_ns();
    pthread_mutex_lock(&limits->lock);
    bucket *b = bucket_of(limits, peer->identity[0] ? peer->identity : peer->address, now);
    b->tokens += (double)(now - b->at_ns) / 1e9 * limits->config.requests_per_s;
    if (b->tokens > limits->config.requests_burst) b->tokens = limits->config.requests_burst;
    b->at_ns = now;
    bool passes = b->tokens >= 1;
    if (passes) b->tokens -= 1;
    pthread_mutex_unlock(&limits->lock);
    if (passes) return 0;
    *why = "too many requests; slow down";
    return 429;
}
