/* stream.c - Server-Sent Events: a stream with nothing to say sleeps; one thread asks them all. */
#include <stdlib.h>
#include <string.h>

#include "http/server_inner.h"

enum { BLOCK_BYTES = 16384 };

struct fw_http_stream {
    fw_http_stream *next; /* in server->asleep */
    fw_http_server *server;
    struct MHD_Connection *native;
    long (*produce)(void *self, char *out, size_t out_bytes);
    void (*free)(void *self);
    void *self;
    bool ended;
    size_t used, at; /* of buffer: produced, sent */
    char buffer[BLOCK_BYTES];
};

/* On an I/O thread. A stream that is awake belongs to it, one that sleeps to the pulse. */
static ssize_t next_bytes(void *self, uint64_t position, char *out, size_t size) {
    fw_http_stream *s = self;
    (void)position;
    if (s->at < s->used) {
        size_t left = s->used - s->at, some = left < size ? left : size;
        memcpy(out, s->buffer + s->at, some);
        s->at += some;
        return (ssize_t)some;
    }
    if (s->ended || !fw_http_hold(s->server)) return MHD_CONTENT_READER_END_OF_STREAM;
    MHD_suspend_connection(s->native);
    pthread_mutex_lock(&s->server->lock);
    s->next = s->server->asleep;
    s->server->asleep = s;
    pthread_mutex_unlock(&s->server->lock);
    return 0;
}

static void end(void *self) {
    fw_http_stream *s = self;
    if (s->free) s->free(s->self);
    atomic_fetch_sub(&s->server->streams, 1);
    free(s);
}

bool fw_http_stream_may(fw_http_server *server) {
    return atomic_load(&server->streams) < server->config.streams_max;
}

void fw_http_streams_ask(fw_http_server *server) {
    pthread_mutex_lock(&server->lock);
    fw_http_stream *s = server->asleep, *next;
    bool stopping = server->stopping;
    server->asleep = NULL;
    pthread_mutex_unlock(&server->lock);
    for (; s; s = next) {
        next = s->next;
        long used = stopping ? -1 : s->produce(s->self, s->buffer, sizeof s->buffer);
        if (used == 0) {
            pthread_mutex_lock(&server->lock);
            s->next = server->asleep;
            server->asleep = s;
            pthread_mutex_unlock(&server->lock);
            continue;
        }
        s->ended = used < 0;
        s->at = 0;
        s->used = used < 0 ? 0 : (size_t)used;
        struct MHD_Connection *native = s->native; /* s may be gone once it is awake */
        MHD_resume_connection(native);
        fw_http_let_go(server);
    }
}

struct MHD_Response *fw_http_stream_response(fw_http_exchange *x) {
    fw_http_stream *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->server = x->server;
    s->native = x->native;
    s->produce = x->response.stream;
    s->free = x->response.stream_free;
    s->self = x->response.stream_self;
    struct MHD_Response *out =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, next_bytes, s, end);
    if (out) {
        x->response.stream = NULL; /* taken */
        atomic_fetch_add(&x->server->streams, 1);
    } else {
        free(s);
    }
    return out;
}
