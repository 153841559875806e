/* run.c - the courier's process: the main thread drains, the net thread talks (courier.h). */
#include <pthread.h>
#include <signal.h>

#include "base/log.h"
#include "unit/courier/courier.h"

enum { DRAIN_MS = 200, NET_GRACE_MS = 1500 };

typedef struct net {
    fw_unit_courier *courier;
    fw_unit_shared *shared;
    _Atomic bool done;
} net;

static void *net_main(void *self) {
    net *n = self;
    while (!atomic_load(&n->shared->stop)) {
        int wait_ms = fw_unit_courier_step(n->courier);
        if (wait_ms > 0) fw_unit_wait(n->shared->net_wake, wait_ms);
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

/* Ends the net thread; one that hangs in a call is left behind: all it does may be repeated. */
static bool join_net(pthread_t thread, net *n, const fw_env *env) {
    fw_unit_wake(n->shared->net_wake);
    for (int ms = 0; ms < NET_GRACE_MS && !atomic_load(&n->done); ms += 10)
        fw_env_sleep_ns(env, 10000000);
    if (!atomic_load(&n->done)) return false;
    pthread_join(thread, NULL);
    return true;
}

static fw_status start_net(pthread_t *thread, net *n, fw_error *error) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(thread, NULL, net_main, n);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code == 0 ? FW_OK : fw_fail(error, FW_NO_MEMORY, "unit: cannot start the net thread");
}

fw_status fw_unit_courier_run(const fw_unit_courier_config *config,
                              const fw_unit_spool_config *spool_config, fw_unit_shared *shared,
                              fw_error *error) {
    fw_unit_spool *spool = NULL;
    fw_http_client client = {0};
    static net n; /* outlives this call when its thread is left behind */
    pthread_t thread;
    n.shared = shared;
    FW_TRY(fw_unit_spool_open(spool_config, shared, &spool, error));
    fw_status status = fw_http_client_curl_with(config->http, &client, error);
    if (status != FW_OK) goto close_spool;
    status = fw_unit_courier_open(config, shared, spool, &client, &n.courier, error);
    if (status != FW_OK) goto close_client;
    status = start_net(&thread, &n, error);
    if (status != FW_OK) goto close_courier;
    drain_until_gone(spool, shared);
    if (!join_net(thread, &n, config->env)) {
        fw_log_info("unit %u: left a slow call to the factory behind", config->unit);
        return FW_OK; /* the process ends now; its thread still uses what would be freed */
    }
close_courier:
    fw_unit_courier_close(n.courier);
close_client:
    client.free(client.self);
close_spool:
    fw_unit_spool_close(spool);
    return status;
}
