/* What goes in and out of `flywheel log`: mapped inputs, one new file, a bar. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cmd_log.h"

const fw_mcap_limits fw_log_limits = {
    .record_max_bytes = (uint64_t)1 << 40, .chunk_max_bytes = 1 << 28, .text_max_bytes = 1 << 26};

fw_status fw_log_validate(const char *path, fw_mcap_info *info, fw_error *error) {
    fw_mcap_file file;
    fw_error why = {""};
    FW_TRY(fw_mcap_file_map(path, &file, error));
    fw_status status =
        fw_mcap_validate_bytes(&fw_log_limits, file.bytes, file.size_bytes, info, &why);
    fw_mcap_file_unmap(&file);
    return status == FW_OK ? FW_OK : fw_fail(error, status, "%.120s: %s", path, why.text);
}

/* ------------------------------------------------------------------------ inputs ----- */

static fw_status open_input(const char *path, fw_log_input *input, fw_error *error) {
    fw_error why = {""};
    input->path = path;
    fw_status status = fw_mcap_indexed_open_path(&fw_log_limits, path, &input->indexed, &why);
    if (status != FW_OK) return fw_fail(error, status, "%.120s: %s", path, why.text);
    /* Without a summary a file may still be whole: only reading all of it says so. */
    if (!fw_mcap_indexed_is_whole(input->indexed))
        input->is_cut = fw_log_validate(path, NULL, NULL) != FW_OK;
    return FW_OK;
}

fw_status fw_log_inputs_open(const fw_log_options *options, fw_log_inputs *out, fw_error *error) {
    *out = (fw_log_inputs){.items = calloc((size_t)options->file_count, sizeof *out->items)};
    if (out->items == NULL) return fw_fail(error, FW_NO_MEMORY, "out of memory");
    for (int i = 0; i < options->file_count; i++) {
        FW_TRY(open_input(options->files[i], &out->items[i], error));
        out->count++;
    }
    return FW_OK;
}

void fw_log_inputs_close(fw_log_inputs *inputs) {
    for (size_t i = 0; i < inputs->count; i++) fw_mcap_indexed_close(inputs->items[i].indexed);
    free(inputs->items);
    *inputs = (fw_log_inputs){0};
}

static fw_status advance(fw_log_input *input, fw_error *error) {
    fw_error why = {""};
    fw_status status = fw_mcap_indexed_next(input->indexed, &input->message, &why);
    input->has_message = status == FW_OK;
    if (status == FW_OK || status == FW_END) return FW_OK;
    return fw_fail(error, status, "%.120s: %s", input->path, why.text);
}

fw_status fw_log_inputs_query(fw_log_inputs *inputs, const fw_log_options *options,
                              fw_mcap_order order, fw_error *error) {
    inputs->order = order;
    inputs->turn = SIZE_MAX;
    const fw_mcap_query query = {.start_time_ns = options->start_time_ns,
                                 .end_time_ns = options->end_time_ns,
                                 .topics = options->topics,
                                 .topic_count = options->topic_count,
                                 .order = order};
    for (size_t i = 0; i < inputs->count; i++) {
        FW_TRY(fw_mcap_indexed_query(inputs->items[i].indexed, &query, error));
        FW_TRY(advance(&inputs->items[i], error));
    }
    return FW_OK;
}

fw_status fw_log_inputs_next(fw_log_inputs *inputs, size_t *which, const fw_mcap_message **message,
                             fw_error *error) {
    if (inputs->turn != SIZE_MAX) FW_TRY(advance(&inputs->items[inputs->turn], error));
    inputs->turn = SIZE_MAX;
    for (size_t i = 0; i < inputs->count; i++) {
        const fw_log_input *one = &inputs->items[i];
        bool is_earlier = one->has_message && (inputs->turn == SIZE_MAX ||
                                               one->message.log_time_ns <
                                                   inputs->items[inputs->turn].message.log_time_ns);
        if (is_earlier) inputs->turn = i;
    }
    if (inputs->turn == SIZE_MAX) return FW_END;
    *which = inputs->turn;
    *message = &inputs->items[inputs->turn].message;
    return FW_OK;
}

/* ------------------------------------------------------------------------ output ----- */

static volatile sig_atomic_t interrupted;
static struct sigaction old_int, old_term;

static void on_signal(int number) {
    (void)number;
    interrupted = 1;
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    interrupted = 0;
    sigaction(SIGINT, &action, &old_int);
    sigaction(SIGTERM, &action, &old_term);
}

static void release_signals(void) {
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
}

fw_status fw_log_check_interrupt(fw_error *error) {
    return interrupted ? fw_fail(error, FW_INTERRUPTED, "interrupted; nothing was written") : FW_OK;
}

fw_status fw_log_output_open(const fw_log_options *options, fw_log_output *out, fw_error *error) {
    snprintf(out->path, sizeof out->path, "%s", options->out);
    snprintf(out->temporary, sizeof out->temporary, "%s.%ld.tmp", options->out, (long)getpid());
    out->size_bytes = 0;
    if (!options->force && fw_file_exists(out->path))
        return fw_fail(error, FW_EXISTS, "%.200s is already there; --force replaces it", out->path);
    catch_signals(); /* before there is anything to leave behind */
    out->fd = open(out->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (out->fd >= 0) return FW_OK;
    fw_status status = fw_fail_errno(error, "cannot create %.200s", out->temporary);
    release_signals();
    return status;
}

static fw_status write_output(void *self, const void *bytes, size_t size_bytes, fw_error *error) {
    fw_log_output *o = self;
    FW_TRY(fw_log_check_interrupt(error));
    o->size_bytes += size_bytes;
    return fw_file_write_all(fw_env_real(), o->fd, bytes, size_bytes, o->temporary, error);
}

fw_mcap_sink fw_log_output_sink(fw_log_output *output) {
    return (fw_mcap_sink){output, write_output};
}

fw_status fw_log_output_commit(fw_log_output *o, fw_error *error) {
    const fw_env *env = fw_env_real();
    char folder[sizeof o->path];
    snprintf(folder, sizeof folder, "%s", o->path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL) slash[slash == folder] = '\0';
    fw_status status = fw_log_check_interrupt(error);
    if (status == FW_OK && env->fdatasync(env->self, o->fd) != 0)
        status = fw_fail_errno(error, "cannot make %.200s durable", o->temporary);
    if (status == FW_OK && env->rename(env->self, o->temporary, o->path) != 0)
        status = fw_fail_errno(error, "cannot rename %.200s", o->temporary);
    if (status != FW_OK) {
        fw_log_output_abandon(o);
        return status;
    }
    close(o->fd);
    release_signals();
    return fw_folder_sync(env, slash ? folder : ".", error);
}

void fw_log_output_abandon(fw_log_output *output) {
    close(output->fd);
    unlink(output->temporary);
    release_signals();
}

/* ---------------------------------------------------------------------- progress ----- */

enum { STEPS = 200, WIDTH = 40, SMALL = 200000 };

fw_log_progress fw_log_progress_start(const char *what, uint64_t total) {
    return (fw_log_progress){
        .what = what, .total = total, .is_shown = total >= SMALL && isatty(STDERR_FILENO)};
}

static void draw(const fw_log_progress *p) {
    char bar[WIDTH + 1];
    uint64_t full = p->done >= p->total ? WIDTH : p->done * WIDTH / p->total;
    for (uint64_t i = 0; i < WIDTH; i++) bar[i] = i < full ? '#' : '.';
    bar[WIDTH] = '\0';
    fprintf(stderr, "\r%-8s[%s] %3" PRIu64 " %%", p->what, bar,
            p->done >= p->total ? 100 : p->done * 100 / p->total);
}

void fw_log_progress_step(fw_log_progress *p, uint64_t amount) {
    p->done += amount;
    if (!p->is_shown || p->done < p->next) return;
    p->next = p->done + p->total / STEPS;
    draw(p);
}

void fw_log_progress_end(fw_log_progress *p) {
    if (p->is_shown) fputs("\r\033[K", stderr);
    p->is_shown = false;
}
