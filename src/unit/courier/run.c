/* run.c - the courier's process: the main thread drains, one thread talks, one uploads (courier.h). */
#include <pthread.h>
#include <signal.h>

#include "base/log.h"
#include "unit/courier/courier.h"

enum { DRAIN_MS = 200, NET_GRACE_MS = 1500 };

/* A thread that talks to the factory. */
typedef struct net {
    pthread_t thread;
    fw_unit_courier *courier;
    fw_unit_shared *shared;
    int (*round)(fw_unit_courier *courier);
    int wake; /* eventfd */
    _Atomic bool done;
} net;

static void *net_main(void *self) {
    net *n = self;
    while (!atomic_load(&n->shared->stop)) {
        int wait_ms = n->round(n->courier);
        if (wait_ms > 0) fw_unit_wait(n->wake, wait_ms);
    }
    atomic_store(&n->done, true);
    return NULL;
}

static void drain_until_gone(fw_unit_spool *spool, fw_unit_shared *shared) {
    for (;;) {
        bool last = atomic_load(&shared->tick_gone);
        (void)fw_unit_spool_drain(spool);
        if (last) break;
        fw_unit_wait(shared->ring_wake, DRAIN_MS);
    }
    fw_unit_spool_finish(spool);
}

/* Ends a net thread; one that hangs in a call is left behind: all it does may be repeated. */
static bool join_net(net *n, const fw_env *env) {
    fw_unit_wake(n->wake);
    for (int ms = 0; ms < NET_GRACE_MS && !atomic_load(&n->done); ms += 10)
        fw_env_sleep_ns(env, 10000000);
    if (!atomic_load(&n->done)) return false;
    pthread_join(n->thread, NULL);
    return true;
}

static fw_status start_net(net *n, fw_error *error) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&n->thread, NULL, net_main, n);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code == 0 ? FW_OK : fw_fail(error, FW_NO_MEMORY, "unit: cannot start a net thread");
}

/* Drains while two threads talk and upload. *left: one hangs in a call, and still uses everything. */
static fw_status work(fw_unit_courier *courier, fw_unit_spool *spool, fw_unit_shared *shared,
                      const fw_env *env, bool *left, fw_error *error) {
    static net talk, uploads; /* outlive this call when a thread is left behind */
    talk.courier = uploads.courier = courier;
    talk.shared = uploads.shared = shared;
    talk.round = fw_unit_courier_talk, talk.wake = shared->net_wake;
    uploads.round = fw_unit_courier_upload, uploads.wake = shared->upload_wake;
    FW_TRY(start_net(&talk, error));
    fw_status status = start_net(&uploads, error);
    if (status == FW_OK) drain_until_gone(spool, shared);
    *left = status != FW_OK; /* no second thread: the process ends, whatever the first one does */
    if (status == FW_OK) {
        bool talk_ended = join_net(&talk, env), uploads_ended = join_net(&uploads, env);
        *left = !talk_ended || !uploads_ended;
    }
    return status;
}

fw_status fw_unit_courier_run(const fw_unit_courier_config *config,
                              const fw_unit_spool_config *spool_config, fw_unit_shared *shared,
                              fw_error *error) {
    fw_unit_spool *spool = NULL;
    fw_unit_courier *courier = NULL;
    fw_http_client client = {0}, uploads = {0};
    bool left = false;
    FW_TRY(fw_unit_spool_open(spool_config, shared, &spool, error));
    fw_status status = fw_http_client_curl_with(config->http, &client, error);
    if (status == FW_OK) status = fw_http_client_curl_with(config->http, &uploads, error);
    if (status == FW_OK)
        status = fw_unit_courier_open(config, shared, spool, &client, &courier, error);
    if (status == FW_OK) {
        fw_unit_courier_upload_through(courier, &uploads);
        status = work(courier, spool, shared, config->env, &left, error);
    }
    if (left) {
        fw_log_info("unit %u: left a slow call to the factory behind", config->unit);
        return status; /* the process ends now; its thread still uses what would be freed */
    }
    fw_unit_courier_close(courier);
    if (uploads.free) uploads.free(uploads.self);
    if (client.free) client.free(client.self);
    fw_unit_spool_close(spool);
    return status;
}
