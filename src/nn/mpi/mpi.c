#include "nn/mpi/mpi.h"

#include <errno.h>
#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "nn/train/checkpoint.h"

enum { MESSAGE_BYTES = 1 << 30, SPINS = 2000, YIELDS = 20000, LOOK_MS = 50 };
enum { WORKING = 0, ENDING = 1 }; /* tags: a message of the end is never taken for another */

/* Where a rank runs: pid means something to those of the same place. */
typedef struct home {
    char place[128]; /* host and namespace of processes */
    int64_t pid;
} home;

struct fw_nn_mpi {
    fw_nn_ranks ranks;
    home homes[FW_NN_RANKS_MAX];
    int tag;     /* WORKING or ENDING */
    bool broken; /* an exchange has failed */
    bool lost;   /* one before the end: messages may be under way that nobody takes */
};

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- waiting ---- */

static bool is_gone(const fw_nn_mpi *mpi, uint32_t partner) {
    const home *there = &mpi->homes[partner], *here = &mpi->homes[mpi->ranks.rank];
    if (there->pid == 0 || strcmp(there->place, here->place) != 0) return false;
    return kill((pid_t)there->pid, 0) != 0 && errno == ESRCH;
}

static bool someone_ends(void) {
    int there = 0;
    return MPI_Iprobe(MPI_ANY_SOURCE, ENDING, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE) ==
               MPI_SUCCESS && there;
}

/* One wait: what it has seen so far. */
typedef struct patience {
    uint32_t turns;
    double looked_s, stop_seen_s;
} patience;

/* Lets others run; every LOOK_MS it looks whether waiting is still worth it. */
static fw_status linger(const fw_nn_mpi *mpi, uint32_t partner, patience *p, fw_error *error) {
    if (p->turns++ < SPINS) return FW_OK;
    if (p->turns < YIELDS) sched_yield();
    else nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    double at_s = now_s();
    if (at_s - p->looked_s < LOOK_MS * 1e-3) return FW_OK;
    p->looked_s = at_s;
    if (is_gone(mpi, partner)) return fw_fail(error, FW_CLOSED, "rank %u is gone", partner);
    if (mpi->tag == WORKING && someone_ends())
        return fw_fail(error, FW_CLOSED, "another rank has stopped");
    if (mpi->tag == WORKING && !fw_nn_stop_wanted()) return FW_OK;
    if (p->stop_seen_s == 0) p->stop_seen_s = at_s;
    if (at_s - p->stop_seen_s < FW_NN_MPI_PATIENCE_S) return FW_OK;
    return fw_fail(error, FW_TIMEOUT, "rank %u has not answered for %d s", partner,
                   FW_NN_MPI_PATIENCE_S);
}

/* ---- exchanging ---- */

static fw_status failed(fw_error *error, const char *what, int code) {
    char text[MPI_MAX_ERROR_STRING + 1] = "";
    int length = 0;
    (void)MPI_Error_string(code, text, &length);
    return fw_fail(error, FW_IO, "MPI: %s: %.200s", what, text);
}

/* At most MESSAGE_BYTES each way. */
static fw_status message(fw_nn_mpi *mpi, uint32_t partner, const void *out, size_t out_bytes,
                         void *in, size_t in_bytes, fw_error *error) {
    MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
    int code = MPI_SUCCESS, done = 0;
    if (in_bytes > 0)
        code = MPI_Irecv(in, (int)in_bytes, MPI_BYTE, (int)partner, mpi->tag, MPI_COMM_WORLD,
                         &requests[0]);
    if (code == MPI_SUCCESS && out_bytes > 0)
        code = MPI_Isend(out, (int)out_bytes, MPI_BYTE, (int)partner, mpi->tag, MPI_COMM_WORLD,
                         &requests[1]);
    for (patience p = {0}; code == MPI_SUCCESS && !done;) {
        code = MPI_Testall(2, requests, &done, MPI_STATUSES_IGNORE);
        if (code == MPI_SUCCESS && !done) FW_TRY(linger(mpi, partner, &p, error));
    }
    return code == MPI_SUCCESS ? FW_OK : failed(error, "an exchange", code);
}

static size_t piece_of(size_t bytes, size_t at) {
    size_t left = at < bytes ? bytes - at : 0;
    return left < MESSAGE_BYTES ? left : MESSAGE_BYTES;
}

static fw_status exchange(void *self, uint32_t partner, const void *out, size_t out_bytes, void *in,
                          size_t in_bytes, fw_error *error) {
    fw_nn_mpi *mpi = self;
    if (mpi->broken) return fw_fail(error, FW_CLOSED, "the ranks are no longer connected");
    fw_status status = FW_OK;
    size_t most = out_bytes > in_bytes ? out_bytes : in_bytes;
    for (size_t at = 0; at < most && status == FW_OK; at += MESSAGE_BYTES) {
        size_t sent = piece_of(out_bytes, at), received = piece_of(in_bytes, at);
        status = message(mpi, partner, sent ? (const uint8_t *)out + at : NULL, sent,
                         received ? (uint8_t *)in + at : NULL, received, error);
    }
    mpi->broken = status != FW_OK;
    return status;
}

/* ---- starting and ending ---- */

static fw_status share_homes(fw_nn_mpi *mpi, fw_error *error) {
    home *own = &mpi->homes[mpi->ranks.rank];
    char host[64] = "", space[48] = "";
    (void)gethostname(host, sizeof host - 1);
    (void)readlink("/proc/self/ns/pid", space, sizeof space - 1);
    snprintf(own->place, sizeof own->place, "%s %s", host, space);
    own->pid = getpid();
    return fw_nn_ranks_gather(&mpi->ranks, mpi->homes, sizeof *mpi->homes, error);
}

static fw_status join(fw_nn_mpi *mpi, fw_error *error) {
    int rank = 0, count = 0;
    (void)MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    (void)MPI_Comm_size(MPI_COMM_WORLD, &count);
    mpi->ranks = (fw_nn_ranks){(uint32_t)rank, (uint32_t)count, mpi, exchange};
    if (count > FW_NN_RANKS_MAX || (count & (count - 1)) != 0)
        return fw_fail(error, FW_INVALID, "%d ranks: say a power of two of at most %d", count,
                       FW_NN_RANKS_MAX);
    return share_homes(mpi, error);
}

fw_status fw_nn_mpi_start(fw_nn_mpi **out, fw_error *error) {
    int level = 0;
    fw_nn_mpi *mpi = calloc(1, sizeof *mpi);
    if (!mpi) return fw_fail(error, FW_NO_MEMORY, "no memory to start MPI");
    int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
    fw_status status = code == MPI_SUCCESS ? join(mpi, error) : failed(error, "starting", code);
    if (status != FW_OK) {
        free(mpi);
        return status;
    }
    *out = mpi;
    return FW_OK;
}

const fw_nn_ranks *fw_nn_mpi_ranks(const fw_nn_mpi *mpi) {
    return &mpi->ranks;
}

bool fw_nn_mpi_end(fw_nn_mpi *mpi, fw_status *status, fw_error *error) {
    mpi->tag = ENDING;
    mpi->lost = mpi->broken;
    mpi->broken = false;
    *status = fw_nn_ranks_agree(&mpi->ranks, *status, error);
    return !mpi->broken;
}

/* MPI_Finalize would wait for messages that nobody takes. Without it the ranks wait for each other once
 * more, and so for what rank 0 says. */
void fw_nn_mpi_leave(fw_nn_mpi *mpi, bool together) {
    fw_error ignored;
    bool lost = true;
    if (!together) (void)MPI_Abort(MPI_COMM_WORLD, 1);
    if (fw_nn_ranks_any(&mpi->ranks, mpi->lost, &lost, &ignored) == FW_OK && !lost)
        (void)MPI_Finalize();
    free(mpi);
}
