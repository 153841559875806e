#include "bus/bus.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/env.h"

enum { BUS_BACKLOG = 128, BUS_RETRY_MS = 20, BUS_LINE_MAX = 64 };
static const uint32_t bus_magic = 0x31425746; /* "FWB1" */

static void put_u32(unsigned char *out, uint32_t value) {
    for (int i = 0; i < 4; i++) out[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t get_u32(const unsigned char *bytes) {
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) value |= (uint32_t)bytes[i] << (8 * i);
    return value;
}

void fw_bus_act_encode(const fw_bus_act *act, void *out) {
    unsigned char *at = out;
    memset(at, 0, FW_BUS_ACT_BYTES);
    put_u32(at, act->recordings);
    put_u32(at + 4, act->vetoed);
    put_u32(at + 8, act->acted);
    put_u32(at + 12, act->decide_ns);
    put_u32(at + 16, (uint32_t)act->lost_bytes);
    put_u32(at + 20, (uint32_t)(act->lost_bytes >> 32));
    memcpy(at + 24, act->model.hex, FW_HASH_HEX);
}

fw_status fw_bus_act_decode(const void *bytes, size_t size_bytes, fw_bus_act *out,
                            fw_error *error) {
    const unsigned char *at = bytes;
    if (size_bytes < FW_BUS_ACT_BYTES)
        return fw_fail(error, FW_CORRUPT, "bus: an ACT of %zu bytes, at least %d wanted",
                       size_bytes, FW_BUS_ACT_BYTES);
    fw_bus_act act = {.recordings = get_u32(at), .vetoed = get_u32(at + 4),
                      .acted = get_u32(at + 8), .decide_ns = get_u32(at + 12),
                      .lost_bytes = get_u32(at + 16) | (uint64_t)get_u32(at + 20) << 32};
    memcpy(act.model.hex, at + 24, FW_HASH_HEX);
    if (act.vetoed > 1 || act.acted > 1)
        return fw_fail(error, FW_CORRUPT, "bus: an ACT with a flag other than 0 and 1");
    static const char no_model[FW_HASH_HEX];
    if (memcmp(act.model.hex, no_model, FW_HASH_HEX) != 0 && !fw_hash_valid(act.model.hex))
        return fw_fail(error, FW_CORRUPT, "bus: an ACT whose model is no SHA-256");
    *out = act;
    return FW_OK;
}

/* -- waiting ---------------------------------------------------------------------------------- */

static int64_t now_ms(void) { return fw_env_mono_ns(fw_env_real()) / 1000000; }

/* The moment timeout_ms from now; -1: never. */
static int64_t deadline_after(int timeout_ms) { return timeout_ms < 0 ? -1 : now_ms() + timeout_ms; }

/* Waits for events on fd; FW_TIMEOUT at the deadline. */
static fw_status wait_for(int fd, short events, int64_t deadline_ms, fw_error *error) {
    for (;;) {
        int left = -1;
        if (deadline_ms >= 0) {
            int64_t ms = deadline_ms - now_ms();
            left = ms < 0 ? 0 : ms > 1000000 ? 1000000 : (int)ms;
        }
        struct pollfd one = {.fd = fd, .events = events};
        int got = poll(&one, 1, left);
        if (got > 0) return FW_OK;
        if (got < 0 && errno != EINTR) return fw_fail_errno(error, "bus: cannot wait");
        if (deadline_ms >= 0 && now_ms() >= deadline_ms)
            return fw_fail(error, FW_TIMEOUT, "bus: nothing happened in time");
    }
}

/* -- setting up ------------------------------------------------------------------------------- */

static fw_status make_address(const char *path, struct sockaddr_un *out, fw_error *error) {
    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof out->sun_path)
        return fw_fail(error, FW_INVALID,
                       "bus: the socket path \"%s\" has %zu bytes, 1 to %zu fit; choose a shorter one",
                       path, length, sizeof out->sun_path - 1);
    memcpy(out->sun_path, path, length + 1);
    return FW_OK;
}

static fw_status remove_old_socket(const char *path, fw_error *error) {
    struct stat info;
    if (lstat(path, &info) != 0)
        return errno == ENOENT ? FW_OK : fw_fail_errno(error, "bus: cannot look at %s", path);
    if (!S_ISSOCK(info.st_mode))
        return fw_fail(error, FW_EXISTS, "bus: %s is there and is no socket; choose another path",
                       path);
    return unlink(path) == 0 ? FW_OK : fw_fail_errno(error, "bus: cannot replace %s", path);
}

fw_status fw_bus_listen(const char *path, int *fd, fw_error *error) {
    struct sockaddr_un address;
    FW_TRY(make_address(path, &address, error));
    FW_TRY(remove_old_socket(path, error));
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0) return fw_fail_errno(error, "bus: cannot make a socket");
    if (bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, BUS_BACKLOG) != 0) {
        fw_status status = fw_fail_errno(error, "bus: cannot listen at %s", path);
        close(listener);
        return status;
    }
    *fd = listener;
    return FW_OK;
}

/* Reads and checks the HELLO that a connection begins with. */
static fw_status greet(int fd, const char *line, int64_t deadline_ms, uint32_t *unit,
                       fw_error *error) {
    unsigned char payload[FW_BUS_PAYLOAD_MAX];
    fw_bus_head head;
    int64_t left = deadline_ms < 0 ? -1 : deadline_ms - now_ms();
    if (deadline_ms >= 0 && left < 0) left = 0;
    FW_TRY(fw_bus_receive(fd, &head, payload, (int)left, error));
    if (head.kind != FW_BUS_HELLO)
        return fw_fail(error, FW_CORRUPT, "bus: a unit began with kind %u, not HELLO", head.kind);
    if (head.size_bytes != strlen(line) || memcmp(payload, line, head.size_bytes) != 0)
        return fw_fail(error, FW_MISMATCH, "bus: unit %u is not of the line \"%s\"", head.unit,
                       line);
    *unit = head.unit;
    return FW_OK;
}

fw_status fw_bus_accept(int listener, const char *line, int timeout_ms, int *fd, uint32_t *unit,
                        fw_error *error) {
    int64_t deadline_ms = deadline_after(timeout_ms);
    FW_TRY(wait_for(listener, POLLIN, deadline_ms, error));
    int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0) return fw_fail_errno(error, "bus: cannot accept a unit");
    fw_status status = greet(peer, line, deadline_ms, unit, error);
    if (status != FW_OK) {
        close(peer);
        return status;
    }
    *fd = peer;
    return FW_OK;
}

static bool may_come_later(int code) {
    return code == ENOENT || code == ECONNREFUSED || code == EAGAIN || code == EINTR;
}

static fw_status connect_until(int fd, const struct sockaddr_un *address, int64_t deadline_ms,
                               fw_error *error) {
    while (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        if (!may_come_later(errno))
            return fw_fail_errno(error, "bus: cannot connect to %s", address->sun_path);
        if (deadline_ms >= 0 && now_ms() >= deadline_ms)
            return fw_fail(error, FW_TIMEOUT, "bus: no world listens at %s: %s; start it first",
                           address->sun_path, strerror(errno));
        fw_env_sleep_ns(fw_env_real(), (int64_t)BUS_RETRY_MS * 1000000);
    }
    return FW_OK;
}

fw_status fw_bus_connect(const char *path, uint32_t unit, const char *line, int timeout_ms, int *fd,
                         fw_error *error) {
    struct sockaddr_un address;
    FW_ASSERT(strlen(line) <= BUS_LINE_MAX);
    FW_TRY(make_address(path, &address, error));
    int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer < 0) return fw_fail_errno(error, "bus: cannot make a socket");
    fw_status status = connect_until(peer, &address, deadline_after(timeout_ms), error);
    if (status == FW_OK)
        status = fw_bus_send(peer, FW_BUS_HELLO, unit, 0, line, strlen(line), error);
    if (status != FW_OK) {
        close(peer);
        return status;
    }
    *fd = peer;
    return FW_OK;
}

/* -- frames ----------------------------------------------------------------------------------- */

fw_status fw_bus_send(int fd, fw_bus_kind kind, uint32_t unit, uint32_t tick, const void *payload,
                      size_t size_bytes, fw_error *error) {
    FW_ASSERT(size_bytes <= FW_BUS_PAYLOAD_MAX);
    FW_ASSERT(payload || size_bytes == 0);
    unsigned char frame[FW_BUS_HEAD_BYTES + FW_BUS_PAYLOAD_MAX];
    put_u32(frame, bus_magic);
    put_u32(frame + 4, (uint32_t)kind);
    put_u32(frame + 8, unit);
    put_u32(frame + 12, tick);
    put_u32(frame + 16, (uint32_t)size_bytes);
    if (size_bytes > 0) memcpy(frame + FW_BUS_HEAD_BYTES, payload, size_bytes);
    int64_t deadline_ms = deadline_after(FW_BUS_FRAME_TIMEOUT_MS);
    size_t at = 0, whole = FW_BUS_HEAD_BYTES + size_bytes;
    while (at < whole) {
        ssize_t put = send(fd, frame + at, whole - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put > 0) {
            at += (size_t)put;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            FW_TRY(wait_for(fd, POLLOUT, deadline_ms, error));
        } else if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) {
            return fw_fail(error, FW_CLOSED, "bus: the other side closed");
        } else if (errno != EINTR) {
            return fw_fail_errno(error, "bus: cannot send");
        }
    }
    return FW_OK;
}

/* Reads size_bytes more; *got says whether any byte of this frame has arrived. */
static fw_status read_whole(int fd, unsigned char *out, size_t size_bytes, int64_t deadline_ms,
                            bool *got, fw_error *error) {
    size_t at = 0;
    while (at < size_bytes) {
        ssize_t part = recv(fd, out + at, size_bytes - at, MSG_DONTWAIT);
        if (part > 0) {
            at += (size_t)part;
            if (!*got) deadline_ms = deadline_after(FW_BUS_FRAME_TIMEOUT_MS);
            *got = true;
        } else if (part == 0 || errno == ECONNRESET) {
            return *got ? fw_fail(error, FW_CORRUPT, "bus: the peer left in the middle of a frame")
                        : fw_fail(error, FW_CLOSED, "bus: the other side closed");
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            fw_status status = wait_for(fd, POLLIN, deadline_ms, error);
            if (status == FW_TIMEOUT && *got)
                return fw_fail(error, FW_CORRUPT, "bus: a frame stopped in the middle");
            FW_TRY(status);
        } else if (errno != EINTR) {
            return fw_fail_errno(error, "bus: cannot receive");
        }
    }
    return FW_OK;
}

static fw_status check_head(const fw_bus_head *head, fw_error *error) {
    if (head->magic != bus_magic)
        return fw_fail(error, FW_CORRUPT, "bus: a frame begins with %08x, not \"FWB1\"",
                       head->magic);
    if (head->kind < FW_BUS_HELLO || head->kind > FW_BUS_FLUSH)
        return fw_fail(error, FW_CORRUPT, "bus: unknown frame kind %u", head->kind);
    if (head->size_bytes > FW_BUS_PAYLOAD_MAX)
        return fw_fail(error, FW_CORRUPT, "bus: a frame of %u bytes, the limit is %d",
                       head->size_bytes, FW_BUS_PAYLOAD_MAX);
    return FW_OK;
}

fw_status fw_bus_receive(int fd, fw_bus_head *head, void *payload, int timeout_ms,
                         fw_error *error) {
    unsigned char bytes[FW_BUS_HEAD_BYTES];
    bool got = false;
    FW_TRY(read_whole(fd, bytes, sizeof bytes, deadline_after(timeout_ms), &got, error));
    fw_bus_head in = {.magic = get_u32(bytes), .kind = get_u32(bytes + 4),
                      .unit = get_u32(bytes + 8), .tick = get_u32(bytes + 12),
                      .size_bytes = get_u32(bytes + 16)};
    FW_TRY(check_head(&in, error));
    FW_TRY(read_whole(fd, payload, in.size_bytes, deadline_after(FW_BUS_FRAME_TIMEOUT_MS), &got,
                      error));
    *head = in;
    return FW_OK;
}
