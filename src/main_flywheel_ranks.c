/* flywheel-ranks train ...: one rank of a training, started by mpirun or srun; `flywheel train` starts it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/cmd_train.h"
#include "nn/mpi/mpi.h"
#include "nn/train/checkpoint.h"

/* srun without MPI's support starts processes that do not know of each other. */
static fw_status check_connected(const fw_nn_ranks *ranks, const fw_train_words *w,
                                 fw_error *error) {
    const char *slurm = getenv("SLURM_NTASKS"), *step = getenv("SLURM_STEP_ID");
    if (w->ranks != 0 && w->ranks != ranks->count)
        return fw_fail(error, FW_INVALID, "--ranks says %u, %u were started", (unsigned)w->ranks,
                       ranks->count);
    if (ranks->count == 1 && step && slurm && strtol(slurm, NULL, 10) > 1 &&
        !getenv("OMPI_COMM_WORLD_SIZE"))
        return fw_fail(error, FW_INVALID,
                       "srun has not connected the %.10s ranks: say srun --mpi=pmix", slurm);
    return FW_OK;
}

static fw_status work(const fw_nn_ranks *ranks, int argc, char **argv, fw_error *error) {
    static fw_train_words words;
    if (argc < 2 || strcmp(argv[1], "train") != 0)
        return fw_fail(error, FW_INVALID, "say flywheel train; it starts flywheel-ranks");
    FW_TRY(fw_train_read(argc - 2, argv + 2, &words, error));
    FW_TRY(check_connected(ranks, &words, error));
    return fw_train_run(&words, ranks, error);
}

int main(int argc, char **argv) {
    fw_nn_mpi *mpi = NULL;
    fw_error error = {""};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    fw_nn_stop_on_signals();
    fw_log_start("flywheel");
    if (fw_nn_mpi_start(&mpi, &error) != FW_OK) return fw_cli_fail(&error);
    uint32_t rank = fw_nn_mpi_ranks(mpi)->rank;
    fw_status status = work(fw_nn_mpi_ranks(mpi), argc, argv, &error);
    if (fflush(stdout) != 0 && status == FW_OK)
        status = fw_fail(&error, FW_IO, "cannot write to stdout");
    bool together = fw_nn_mpi_end(mpi, &status, &error);
    if (status != FW_OK && (!together || rank == 0)) (void)fw_cli_fail(&error);
    fw_nn_mpi_leave(mpi, together);
    return status == FW_OK ? FW_CLI_DONE : FW_CLI_FAILED;
}
