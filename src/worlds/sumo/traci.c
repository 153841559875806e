/* traci.c - TraCI client (traci.h). */
#include "worlds/sumo/traci.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIMSTEP = 0x02, GET = 0xa0, SUBSCRIBE = 0xd0, SET = 0xc0 };
enum {
    TYPE_UBYTE = 0x07,
    TYPE_BYTE = 0x08,
    TYPE_INT = 0x09,
    TYPE_DOUBLE = 0x0b,
    TYPE_STRING = 0x0c,
    TYPE_LIST = 0x0e,
    TYPE_COMPOUND = 0x0f,
    TYPE_PLACE_2D = 0x01,
    TYPE_PLACE_3D = 0x03
};

struct fw_traci {
    int fd;
    uint8_t *out, *in;
    size_t out_size, out_capacity, in_capacity;
    uint8_t commands[FW_TRACI_COMMANDS_MAX]; /* ids sent, in order */
    uint32_t command_count;
    fw_text list[FW_TRACI_LIST_MAX];
};

fw_traci *fw_traci_over(int fd) {
    fw_traci *t = calloc(1, sizeof *t);
    FW_ASSERT(t);
    t->fd = fd;
    t->out_size = 4;
    t->out = malloc(t->out_capacity = 65536);
    FW_ASSERT(t->out);
    return t;
}

fw_status fw_traci_connect(uint16_t port, fw_traci **out, fw_error *error) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fw_fail_errno(error, "TraCI socket");
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        const int why = errno;
        close(fd);
        if (why == ECONNREFUSED)
            return fw_fail(error, FW_BUSY, "nobody listens on TraCI port %u yet", port);
        errno = why;
        return fw_fail_errno(error, "TraCI connection to port %u", port);
    }
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    *out = fw_traci_over(fd);
    return FW_OK;
}

void fw_traci_close(fw_traci *traci) {
    if (!traci) return;
    close(traci->fd);
    free(traci->out);
    free(traci->in);
    free(traci);
}

/* ---- writing ---- */

static void put(fw_traci *t, const void *bytes, size_t size) {
    if (t->out_size + size > t->out_capacity) {
        t->out_capacity = 2 * (t->out_size + size);
        t->out = realloc(t->out, t->out_capacity);
        FW_ASSERT(t->out);
    }
    memcpy(t->out + t->out_size, bytes, size);
    t->out_size += size;
}

static void put_u8(fw_traci *t, unsigned value) {
    const uint8_t byte = (uint8_t)value;
    put(t, &byte, 1);
}

static void put_u32(fw_traci *t, uint32_t value) {
    const uint32_t wire = htonl(value);
    put(t, &wire, 4);
}

static void put_double(fw_traci *t, double value) {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    put_u32(t, (uint32_t)(bits >> 32));
    put_u32(t, (uint32_t)bits);
}

static void put_text(fw_traci *t, fw_text text) {
    put_u32(t, (uint32_t)text.size);
    put(t, text.at, text.size);
}

/* Opens a command; returns where its size goes. */
static size_t begin(fw_traci *t, unsigned command) {
    FW_ASSERT(t->command_count < FW_TRACI_COMMANDS_MAX);
    t->commands[t->command_count++] = (uint8_t)command;
    put_u8(t, 0);
    const size_t at = t->out_size;
    put_u32(t, 0);
    put_u8(t, command);
    return at;
}

static void end(fw_traci *t, size_t at) {
    const uint32_t wire = htonl((uint32_t)(t->out_size - at + 1));
    memcpy(t->out + at, &wire, 4);
}

void fw_traci_add_get(fw_traci *t, fw_traci_domain domain, uint8_t variable, fw_text id) {
    const size_t at = begin(t, GET | domain);
    put_u8(t, variable);
    put_text(t, id);
    end(t, at);
}

void fw_traci_add_subscribe(fw_traci *t, fw_traci_domain domain, fw_text id,
                            const uint8_t *variables, uint8_t count) {
    const size_t at = begin(t, SUBSCRIBE | domain);
    put_double(t, -1073741824.0); /* "no value": from now */
    put_double(t, -1073741824.0); /* for ever */
    put_text(t, id);
    put_u8(t, count);
    put(t, variables, count);
    end(t, at);
}

void fw_traci_add_step(fw_traci *t, double time_s) {
    const size_t at = begin(t, SIMSTEP);
    put_double(t, time_s);
    end(t, at);
}

static size_t begin_set_of(fw_traci *t, fw_traci_domain domain, uint8_t variable, fw_text id) {
    const size_t at = begin(t, SET | domain);
    put_u8(t, variable);
    put_text(t, id);
    return at;
}

static size_t begin_set(fw_traci *t, uint8_t variable, fw_text vehicle) {
    return begin_set_of(t, FW_TRACI_VEHICLE, variable, vehicle);
}

void fw_traci_add_number(fw_traci *t, fw_traci_domain domain, uint8_t variable, fw_text id, double value) {
    const size_t at = begin_set_of(t, domain, variable, id);
    put_u8(t, TYPE_DOUBLE);
    put_double(t, value);
    end(t, at);
}

void fw_traci_add_speed(fw_traci *t, fw_text vehicle, double speed_mps) {
    fw_traci_add_number(t, FW_TRACI_VEHICLE, FW_TRACI_SPEED, vehicle, speed_mps);
}

void fw_traci_add_parameter(fw_traci *t, fw_text vehicle, const char *key, const char *value) {
    const size_t at = begin_set(t, 0x7e, vehicle);
    put_u8(t, TYPE_COMPOUND);
    put_u32(t, 2);
    put_u8(t, TYPE_STRING);
    put_text(t, fw_text_of(key));
    put_u8(t, TYPE_STRING);
    put_text(t, fw_text_of(value));
    end(t, at);
}

void fw_traci_add_mode(fw_traci *t, fw_text vehicle, uint8_t variable, int32_t mode) {
    const size_t at = begin_set(t, variable, vehicle);
    put_u8(t, TYPE_INT);
    put_u32(t, (uint32_t)mode);
    end(t, at);
}

void fw_traci_add_change_lane(fw_traci *t, fw_text vehicle, uint8_t lane, double hold_s) {
    const size_t at = begin_set(t, 0x13, vehicle);
    put_u8(t, TYPE_COMPOUND);
    put_u32(t, 2);
    put_u8(t, TYPE_BYTE);
    put_u8(t, lane);
    put_u8(t, TYPE_DOUBLE);
    put_double(t, hold_s);
    end(t, at);
}

void fw_traci_add_remove(fw_traci *t, fw_text vehicle) {
    const size_t at = begin_set(t, 0x81, vehicle);
    put_u8(t, TYPE_BYTE);
    put_u8(t, 3); /* vaporised */
    end(t, at);
}

/* ---- the socket ---- */

static fw_status closed(fw_error *error) {
    return fw_fail(error, FW_CLOSED, "SUMO closed its TraCI connection");
}

static fw_status send_all(fw_traci *t, fw_error *error) {
    const uint32_t wire = htonl((uint32_t)t->out_size);
    memcpy(t->out, &wire, 4);
    for (size_t at = 0; at < t->out_size;) {
        const ssize_t sent = send(t->fd, t->out + at, t->out_size - at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return closed(error);
        at += (size_t)sent;
    }
    return FW_OK;
}

static fw_status receive(fw_traci *t, uint8_t *to, size_t size, fw_error *error) {
    for (size_t at = 0; at < size;) {
        const ssize_t got = recv(t->fd, to + at, size - at, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return closed(error);
        at += (size_t)got;
    }
    return FW_OK;
}

/* ---- reading ---- */

typedef struct reader {
    const uint8_t *at, *end;
    bool bad; /* something was asked for past the end, or is not understood */
} reader;

static const uint8_t *take(reader *r, size_t size) {
    static const uint8_t zeros[16];
    if (r->bad || (size_t)(r->end - r->at) < size) {
        r->bad = true;
        return size <= sizeof zeros ? zeros : NULL;
    }
    r->at += size;
    return r->at - size;
}

static unsigned take_u8(reader *r) {
    return *take(r, 1);
}

static uint32_t take_u32(reader *r) {
    uint32_t wire;
    memcpy(&wire, take(r, 4), 4);
    return ntohl(wire);
}

static double take_double(reader *r) {
    const uint64_t high = take_u32(r), low = take_u32(r), bits = high << 32 | low;
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

static fw_text take_text(reader *r) {
    const uint32_t size = take_u32(r);
    const uint8_t *bytes = take(r, size);
    return r->bad ? (fw_text){"", 0} : (fw_text){(const char *)bytes, size};
}

/* Size field of a command: one byte, or zero and four. */
static void take_size(reader *r) {
    if (take_u8(r) == 0) (void)take_u32(r);
}

static void take_list(fw_traci *t, reader *r, fw_traci_value *value) {
    const uint32_t count = take_u32(r);
    if (count > FW_TRACI_LIST_MAX) r->bad = true;
    for (uint32_t i = 0; i < count && !r->bad; i++) t->list[i] = take_text(r);
    value->kind = FW_TRACI_LIST;
    value->list = t->list;
    value->list_count = r->bad ? 0 : count;
}

static fw_traci_value take_value(fw_traci *t, reader *r) {
    fw_traci_value value = {.kind = FW_TRACI_NUMBER};
    const unsigned type = take_u8(r);
    switch (type) {
    case TYPE_UBYTE:
        value.number = take_u8(r);
        break;
    case TYPE_BYTE:
        value.number = (int8_t)take_u8(r);
        break;
    case TYPE_INT:
        value.number = (int32_t)take_u32(r);
        break;
    case TYPE_DOUBLE:
        value.number = take_double(r);
        break;
    case TYPE_STRING:
        value.kind = FW_TRACI_TEXT;
        value.text = take_text(r);
        break;
    case TYPE_LIST:
        take_list(t, r, &value);
        break;
    case TYPE_PLACE_2D:
    case TYPE_PLACE_3D:
        value.kind = FW_TRACI_PLACE;
        value.number = take_double(r);
        value.second = take_double(r);
        if (type == TYPE_PLACE_3D) (void)take_double(r);
        break;
    default:
        r->bad = true;
    }
    return value;
}

/* SUMO answers for a vehicle that has just left the road with an error instead of each value. */
static bool is_gone(const fw_traci_value *value) {
    static const char words[] = "is not known";
    return value->kind == FW_TRACI_TEXT &&
           memmem(value->text.at, value->text.size, words, sizeof words - 1);
}

/* The response to a subscription: many variables of one object. */
static void take_subscription(fw_traci *t, reader *r, fw_traci_sink sink, void *context) {
    take_size(r);
    const fw_traci_domain domain = take_u8(r) & 0x0f;
    const fw_text id = take_text(r);
    const unsigned count = take_u8(r);
    for (unsigned i = 0; i < count && !r->bad; i++) {
        const uint8_t variable = (uint8_t)take_u8(r);
        const unsigned wrong = take_u8(r);
        const fw_traci_value value = take_value(t, r);
        if (wrong && !is_gone(&value)) r->bad = true;
        if (!wrong && !r->bad && sink) sink(context, domain, id, variable, &value);
    }
}

static void take_got(fw_traci *t, reader *r, fw_traci_sink sink, void *context) {
    take_size(r);
    const fw_traci_domain domain = take_u8(r) & 0x0f;
    const uint8_t variable = (uint8_t)take_u8(r);
    const fw_text id = take_text(r);
    const fw_traci_value value = take_value(t, r);
    if (!r->bad && sink) sink(context, domain, id, variable, &value);
}

static fw_status take_status(reader *r, uint8_t command, fw_error *error) {
    take_size(r);
    const unsigned id = take_u8(r), result = take_u8(r);
    const fw_text words = take_text(r);
    if (r->bad || id != command)
        return fw_fail(error, FW_CORRUPT, "TraCI: answer %#x to command %#x cannot be read", id,
                       command);
    if (result != 0)
        return fw_fail(error, FW_INVALID, "TraCI: SUMO refused command %#x: %.*s", command,
                       words.size > 200 ? 200 : (int)words.size, words.at);
    return FW_OK;
}

static fw_status read_answers(fw_traci *t, reader *r, fw_traci_sink sink, void *context,
                              fw_error *error) {
    for (uint32_t i = 0; i < t->command_count; i++) {
        const uint8_t command = t->commands[i];
        FW_TRY(take_status(r, command, error));
        if (command == SIMSTEP) {
            const uint32_t count = take_u32(r);
            for (uint32_t j = 0; j < count && !r->bad; j++) take_subscription(t, r, sink, context);
        } else if ((command & 0xf0) == GET) {
            take_got(t, r, sink, context);
        } else if ((command & 0xf0) == SUBSCRIBE) {
            take_subscription(t, r, sink, context);
        }
        if (r->bad)
            return fw_fail(error, FW_CORRUPT, "TraCI: the response to command %#x cannot be read",
                           command);
    }
    if (r->at != r->end)
        return fw_fail(error, FW_CORRUPT, "TraCI: %td bytes too many", r->end - r->at);
    return FW_OK;
}

static fw_status receive_answers(fw_traci *t, fw_traci_sink sink, void *context, fw_error *error) {
    uint32_t wire;
    FW_TRY(receive(t, (uint8_t *)&wire, 4, error));
    const size_t size = ntohl(wire);
    if (size < 4 || size > FW_TRACI_ANSWER_MAX)
        return fw_fail(error, FW_CORRUPT, "TraCI: an answer of %zu bytes", size);
    if (size > t->in_capacity) {
        free(t->in);
        t->in = malloc(t->in_capacity = 2 * size);
        FW_ASSERT(t->in);
    }
    FW_TRY(receive(t, t->in, size - 4, error));
    reader r = {.at = t->in, .end = t->in + size - 4};
    return read_answers(t, &r, sink, context, error);
}

fw_status fw_traci_exchange(fw_traci *t, fw_traci_sink sink, void *context, fw_error *error) {
    if (!t->command_count) return FW_OK;
    fw_status status = send_all(t, error);
    if (status == FW_OK) status = receive_answers(t, sink, context, error);
    t->out_size = 4;
    t->command_count = 0;
    return status;
}
