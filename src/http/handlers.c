/* handlers.c - a few threads that run handlers, so that no I/O thread ever waits for a disk. */
#include <stdlib.h>

#include "http/server_inner.h"

enum { STACK_BYTES = 1 << 20 };

struct fw_http_handlers {
    void (*run)(fw_http_exchange *x);
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t work;
    fw_http_exchange *first, **last;
    unsigned max, count, waiting, queued;
    bool closing;
    pthread_t threads[]; /* (max), count of them */
};

static void *work(void *self) {
    fw_http_handlers *h = self;
    pthread_mutex_lock(&h->lock);
    for (;;) {
        h->waiting++;
        while (!h->first && !h->closing) pthread_cond_wait(&h->work, &h->lock);
        h->waiting--;
        if (!h->first) break;
        fw_http_exchange *x = h->first;
        h->first = x->next;
        if (!h->first) h->last = &h->first;
        h->queued--;
        pthread_mutex_unlock(&h->lock);
        h->run(x);
        pthread_mutex_lock(&h->lock);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

fw_status fw_http_handlers_open(unsigned max, void (*run)(fw_http_exchange *x),
                                fw_http_handlers **out, fw_error *error) {
    fw_http_handlers *h = calloc(1, sizeof *h + max * sizeof *h->threads);
    if (!h) return fw_fail(error, FW_NO_MEMORY, "no memory for the HTTP server's threads");
    h->run = run;
    h->max = max;
    h->last = &h->first;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->work, NULL);
    *out = h;
    return FW_OK;
}

/* One more, with the lock held. */
static void start_thread(fw_http_handlers *h) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pthread_create(&h->threads[h->count], &attributes, work, h) == 0) h->count++;
    pthread_attr_destroy(&attributes);
}

bool fw_http_handlers_push(fw_http_handlers *h, fw_http_exchange *x) {
    pthread_mutex_lock(&h->lock);
    if (h->queued + 1 > h->waiting && h->count < h->max) start_thread(h);
    bool taken = h->count > 0;
    if (taken) {
        x->next = NULL;
        *h->last = x;
        h->last = &x->next;
        h->queued++;
        pthread_cond_signal(&h->work);
    }
    pthread_mutex_unlock(&h->lock);
    return taken;
}

void fw_http_handlers_close(fw_http_handlers *h) {
    if (!h) return;
    pthread_mutex_lock(&h->lock);
    h->closing = true;
    pthread_cond_broadcast(&h->work);
    pthread_mutex_unlock(&h->lock);
    for (unsigned i = 0; i < h->count; i++) pthread_join(h->threads[i], NULL);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->work);
    free(h);
}
