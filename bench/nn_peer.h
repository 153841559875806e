/* nn_peer.h - another engine as a child process that answers lines with numbers: peer_nn.py (PyTorch),
 * peer_onnx.mjs (ONNX Runtime). It greets with its name and version. */
#ifndef FW_BENCH_NN_PEER_H
#define FW_BENCH_NN_PEER_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

typedef struct bench_peer {
    char name[256]; /* of its greeting; "" when it is not here */
    FILE *in, *out;
    pid_t pid;
} bench_peer;

/* false: it cannot run here. argv: NULL-terminated, argv[0] is looked up in PATH. */
bool bench_peer_start(bench_peer *peer, const char *const *argv);
/* Sends one line, reads `count` numbers of the answer; false (and zeros): it is not here, or cannot. */
bool bench_peer_ask(bench_peer *peer, const char *line, double *numbers, int count);
void bench_peer_stop(bench_peer *peer);

#endif
