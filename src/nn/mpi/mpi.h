/* mpi.h - ranks over MPI: the one file that knows it. flywheel-ranks links it, nothing else does.
 *
 *      mpirun -n 2 flywheel-ranks train ...        srun -n 2 flywheel-ranks train ...
 *
 *      start ──> work with fw_nn_ranks ──> end: all agree how it went; rank 0 says it ──> leave
 *                        │                    │ one does not come
 *                  a rank that fails by       └──> abort: every process of the job ends
 *                  itself goes to the end;
 *                  the others learn of it where they wait, and come too
 *
 * Messages go without blocking and are waited for here, so that every wait ends: when another rank is at the
 * end, when the partner's process is gone (seen on the same machine), or FW_NN_MPI_PATIENCE_S after a stop was
 * asked for (SIGTERM) or this rank came to the end. Waiting yields the processor.
 *
 * Invariants: (1) only the thread that started calls; (2) after a failed exchange all others fail too, but
 * those of the end.
 */
#ifndef FW_NN_MPI_MPI_H
#define FW_NN_MPI_MPI_H

#include "nn/train/ranks.h"

enum { FW_NN_MPI_PATIENCE_S = 10 };

typedef struct fw_nn_mpi fw_nn_mpi;

/* Once a process. FW_INVALID: a number of ranks that is no power of two, or over FW_NN_RANKS_MAX. */
fw_status fw_nn_mpi_start(fw_nn_mpi **out, fw_error *error) FW_MUST;
const fw_nn_ranks *fw_nn_mpi_ranks(const fw_nn_mpi *mpi);
/* Tells the others how it went. True: all came, *status and *error are the same on every rank, and rank 0
 * says it. False: somebody did not come; this rank says *error by itself. */
bool fw_nn_mpi_end(fw_nn_mpi *mpi, fw_status *status, fw_error *error);
/* After that was said. Not `together`: ends all processes of the job, this one included. */
void fw_nn_mpi_leave(fw_nn_mpi *mpi, bool together);

#endif
