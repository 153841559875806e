/* proxy.c - the network of the kill test: one process between writers and factory that cuts
 * connections in the middle and holds bytes back, so that requests overtake each other. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/random.h"
#include "kill.h"

enum { PAIRS = 128, BUFFER = 65536, CUT_ONE_IN = 400, HOLD_ONE_IN = 200, HOLD_MAX_MS = 200 };

/* One direction: what was read and not yet written. */
typedef struct pipe_half {
    uint8_t bytes[BUFFER];
    size_t from, to;
    int64_t held_until_ns;
    bool ended;
} pipe_half;

typedef struct pair {
    int client, server; /* -1: free */
    pipe_half up, down;
} pair;

static struct sockaddr_in loopback(uint16_t port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_on(uint16_t port) {
    struct sockaddr_in address = loopback(port);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 64) != 0) {
        fprintf(stderr, "kill test: proxy: %s\n", strerror(errno));
        _exit(3);
    }
    return fd;
}

static void drop(pair *p) {
    struct linger now = {.l_onoff = 1};
    if (p->client >= 0) {
        setsockopt(p->client, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* a reset, as cut cables */
        close(p->client);
    }
    if (p->server >= 0) close(p->server);
    p->client = p->server = -1;
}

static void take_in(pair *pairs, int listener, const kill_plan *plan) {
    struct sockaddr_in address = loopback(plan->server_port);
    int one = 1, client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) return;
    for (int i = 0; i < PAIRS; i++) {
        pair *p = &pairs[i];
        if (p->client >= 0) continue;
        int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(server, (struct sockaddr *)&address, sizeof address) != 0) {
            close(server);
            break; /* the factory is down just now */
        }
        fcntl(server, F_SETFL, O_NONBLOCK);
        setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        *p = (pair){.client = client, .server = server};
        return;
    }
    close(client);
}

/* False: the connection is over. */
static bool move(pipe_half *h, int from, int to, fw_random *random, int64_t now_ns) {
    if (h->from == h->to && !h->ended) {
        ssize_t got = read(from, h->bytes, BUFFER);
        if (got < 0 && errno != EAGAIN) return false;
        if (got == 0) h->ended = true;
        h->from = 0;
        h->to = got > 0 ? (size_t)got : 0;
        if (got > 0 && fw_random_below(random, HOLD_ONE_IN) == 0)
            h->held_until_ns =
                now_ns + (int64_t)fw_random_below(random, HOLD_MAX_MS) * 1000000;
        if (got > 0 && fw_random_below(random, CUT_ONE_IN) == 0) { /* a part arrives, then silence */
            size_t some = fw_random_below(random, (uint32_t)got + 1);
            ssize_t put = write(to, h->bytes, some);
            (void)put;
            return false;
        }
    }
    if (h->from < h->to && now_ns >= h->held_until_ns) {
        ssize_t put = write(to, h->bytes + h->from, h->to - h->from);
        if (put < 0 && errno != EAGAIN) return false;
        if (put > 0) h->from += (size_t)put;
    }
    return !(h->ended && h->from == h->to);
}

static void watch(struct pollfd *out, int fd, bool in, bool to) {
    *out = (struct pollfd){.fd = fd, .events = (short)((in ? POLLIN : 0) | (to ? POLLOUT : 0))};
}

void kill_proxy(const kill_plan *plan) {
    static pair pairs[PAIRS];
    static struct pollfd polled[1 + 2 * PAIRS];
    fw_random random = fw_random_named(plan->seed, "proxy");
    int listener = listen_on(plan->proxy_port);
    for (int i = 0; i < PAIRS; i++) pairs[i].client = pairs[i].server = -1;
    for (;;) {
        int64_t now_ns = fw_env_mono_ns(fw_env_real());
        watch(&polled[0], listener, true, false);
        for (int i = 0; i < PAIRS; i++) {
            pair *p = &pairs[i];
            bool up = p->up.from < p->up.to, down = p->down.from < p->down.to;
            watch(&polled[1 + 2 * i], p->client, !up, down && now_ns >= p->down.held_until_ns);
            watch(&polled[2 + 2 * i], p->server, !down, up && now_ns >= p->up.held_until_ns);
        }
        poll(polled, 1 + 2 * PAIRS, 5);
        now_ns = fw_env_mono_ns(fw_env_real());
        if (polled[0].revents) take_in(pairs, listener, plan);
        for (int i = 0; i < PAIRS; i++) {
            pair *p = &pairs[i];
            if (p->client >= 0 && (!move(&p->up, p->client, p->server, &random, now_ns) ||
                                   !move(&p->down, p->server, p->client, &random, now_ns)))
                drop(p);
        }
    }
}
