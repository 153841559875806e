#include "nn_peer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void become(const char *const *argv, int in, int out) {
    char *copy[8] = {0};
    for (int i = 0; i < 7 && argv[i]; i++) copy[i] = strdup(argv[i]);
    dup2(in, 0);
    dup2(out, 1);
    execvp(copy[0], copy);
    _exit(127);
}

bool bench_peer_start(bench_peer *peer, const char *const *argv) {
    int to[2], from[2];
    *peer = (bench_peer){.pid = -1};
    /* closed in children: another peer that held our end would keep this one from its end of input */
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0 || (peer->pid = fork()) < 0) exit(1);
    if (peer->pid == 0) become(argv, to[0], from[1]);
    close(to[0]);
    close(from[1]);
    peer->in = fdopen(to[1], "w");
    peer->out = fdopen(from[0], "r");
    if (!peer->in || !peer->out) exit(1);
    if (fgets(peer->name, sizeof peer->name, peer->out)) {
        peer->name[strcspn(peer->name, "\n")] = 0;
        return true;
    }
    peer->name[0] = 0;
    bench_peer_stop(peer);
    return false;
}

bool bench_peer_ask(bench_peer *peer, const char *line, double *numbers, int count) {
    char answer[256];
    for (int i = 0; i < count; i++) numbers[i] = 0;
    if (!peer->in || fprintf(peer->in, "%s\n", line) < 0 || fflush(peer->in) != 0 ||
        !fgets(answer, sizeof answer, peer->out))
        return false;
    char *at = answer;
    for (int i = 0; i < count; i++) numbers[i] = strtod(at, &at);
    return true;
}

void bench_peer_stop(bench_peer *peer) {
    if (peer->in) fclose(peer->in);
    if (peer->out) fclose(peer->out);
    if (peer->pid > 0) waitpid(peer->pid, NULL, 0);
    peer->in = peer->out = NULL;
    peer->pid = -1;
}
