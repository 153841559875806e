/* generation_job.c - the stages that are jobs: start, listen, retry. */
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/log.h"
#include "factory/generations/generation_row.h"
#include "factory/generations/job.h"

enum { EXIT_FINAL = 1, BEAT_S = 5, CURVE_S = 1, LOG_S = 60 };
#define SECOND_NS 1000000000LL

/* ---- starting ---- */

static fw_status write_lease(fw_generations *g, const fw_generation_row *row, fw_error *error) {
    int64_t now_ns = fw_env_wall_ns(g->env);
    sqlite3 *db = fw_catalogue_begin(g->catalogue, error);
    if (!db) return FW_IO;
    fw_status status = fw_db_run(
        db, error,
        "INSERT OR REPLACE INTO leases(generation,job,pid,start_ticks,started_ns,heartbeat_ns) "
        "VALUES(?,?,?,?,?,?)",
        "itiiii", row->n, row->stage, (int64_t)g->job.pid, g->job.start_ticks, now_ns, now_ns);
    return fw_catalogue_end(g->catalogue, status, error);
}

static void note_progress(fw_generations *g, const fw_generation_row *row) {
    pthread_mutex_lock(&g->lock);
    g->progress = (fw_job_progress){.running = true,
                                    .generation = row->n,
                                    .pid = g->job.pid,
                                    .started_ns = fw_env_wall_ns(g->env),
                                    .reward = NAN,
                                    .per_s = NAN,
                                    .left_s = NAN};
    snprintf(g->progress.job, sizeof g->progress.job, "%s", row->stage);
    snprintf(g->progress.phase, sizeof g->progress.phase, "start");
    pthread_mutex_unlock(&g->lock);
    fw_catalogue_touch(g->catalogue);
}

static fw_status start_job(fw_generations *g, const fw_generation_row *row, fw_error *error) {
    char number[24], threads[16];
    snprintf(number, sizeof number, "%lld", (long long)row->n);
    snprintf(threads, sizeof threads, "%u", g->threads);
    const char *argv[] = {g->program,     "job",  row->stage,  "--data", g->data_folder,
                          "--generation", number, "--threads", threads,  NULL};
    FW_TRY(fw_generation_write_input(g, row, error));
    FW_TRY(g->launcher->start(g->launcher->self, argv, &g->job, error));
    g->output_bytes = 0;
    g->failure[0] = '\0';
    fw_curve_start(&g->curve, row->n);
    g->heard_ns = g->beat_ns = g->logged_ns = fw_env_mono_ns(g->env);
    note_progress(g, row);
    fw_log_info("generation %s: %s started (process %ld)", number, row->stage, (long)g->job.pid);
    return write_lease(g, row, error);
}

/* ---- listening ---- */

/* For who reads the log and has no page: once a minute. */
static void log_progress(fw_generations *g, const fw_job_progress *p) {
    char pace[96];
    int64_t now_ns = fw_env_mono_ns(g->env);
    if (now_ns - g->logged_ns < LOG_S * SECOND_NS || !(p->total > 0)) return;
    g->logged_ns = now_ns;
    fw_pace_words(p->per_s, p->left_s, fw_job_unit(p->job), pace, sizeof pace);
    fw_log_info("generation %lld: %s %.0f%%%s%s", (long long)p->generation, p->phase,
                100 * p->done / p->total, pace[0] ? ", " : "", pace);
}

static void take_progress(fw_generations *g, const char *phase, const json_t *json) {
    const json_t *reward = json_object_get(json, "reward");
    double done = json_number_value(json_object_get(json, "done"));
    double total = json_number_value(json_object_get(json, "total"));
    int64_t now_ns = fw_env_mono_ns(g->env);
    pthread_mutex_lock(&g->lock);
    fw_job_progress *p = &g->progress;
    if (strncmp(p->phase, phase, sizeof p->phase - 1) != 0)
        fw_pace_start(&g->pace, now_ns, done);
    else
        fw_pace_note(&g->pace, now_ns, done);
    snprintf(p->phase, sizeof p->phase, "%s", phase);
    p->done = done;
    p->total = total;
    p->per_s = fw_pace_per_s(&g->pace);
    p->left_s = fw_pace_left_s(&g->pace, total);
    p->reward = json_is_number(reward) ? json_number_value(reward) : NAN;
    fw_job_progress said = *p;
    pthread_mutex_unlock(&g->lock);
    log_progress(g, &said);
    fw_catalogue_touch(g->catalogue);
}

static void take_line(fw_generations *g, const fw_generation_row *row, const char *line,
                      size_t size) {
    json_t *json = json_loadb(line, size, 0, NULL);
    const char *failure = json_string_value(json_object_get(json, "error"));
    const char *phase = json_string_value(json_object_get(json, "phase"));
    const json_t *point = json_object_get(json, "point");
    if (failure) snprintf(g->failure, sizeof g->failure, "%s", failure);
    if (phase) take_progress(g, phase, json);
    if (point) fw_curve_note(&g->curve, point, row->agent_steps);
    json_decref(json);
}

/* Reads what the job said; a line longer than the buffer is dropped. */
static void listen_to(fw_generations *g, const fw_generation_row *row) {
    char block[1024];
    long got;
    while ((got = g->launcher->read(g->launcher->self, &g->job, block, sizeof block)) > 0) {
        g->heard_ns = fw_env_mono_ns(g->env);
        for (long i = 0; i < got; i++) {
            if (block[i] == '\n') {
                if (g->output_bytes < sizeof g->output)
                    take_line(g, row, g->output, g->output_bytes);
                g->output_bytes = 0;
            } else if (g->output_bytes < sizeof g->output) {
                g->output[g->output_bytes++] = block[i];
            }
        }
    }
}

static fw_status flush_curve(fw_generations *g, fw_error *error) {
    int64_t now_ns = fw_env_mono_ns(g->env);
    if (now_ns - g->curve.flushed_ns < CURVE_S * SECOND_NS) return FW_OK;
    g->curve.flushed_ns = now_ns;
    return fw_curve_flush(&g->curve, g->catalogue, error);
}

static fw_status beat(fw_generations *g, const fw_generation_row *row, fw_error *error) {
    int64_t now_ns = fw_env_mono_ns(g->env);
    if (now_ns - g->beat_ns < BEAT_S * SECOND_NS) return FW_OK;
    g->beat_ns = now_ns;
    sqlite3 *db = fw_catalogue_begin(g->catalogue, error);
    if (!db) return FW_IO;
    fw_status status = fw_db_run(db, error, "UPDATE leases SET heartbeat_ns=? WHERE generation=?",
                                 "ii", fw_env_wall_ns(g->env), row->n);
    return fw_catalogue_end(g->catalogue, status, error);
}

/* ---- ending ---- */

/* A crash is counted where a restart of serve finds it. */
static fw_status close_lease(fw_generations *g, const fw_generation_row *row, fw_error *error) {
    sqlite3 *db = fw_catalogue_begin(g->catalogue, error);
    if (!db) return FW_IO;
    fw_status status = fw_db_run(db, error, "DELETE FROM leases WHERE generation=?", "i", row->n);
    if (status == FW_OK)
        status =
            fw_db_run(db, error, "UPDATE generations SET crashes=crashes+1 WHERE n=?", "i", row->n);
    return fw_catalogue_end(g->catalogue, status, error);
}

static void describe_end(const fw_generations *g, const fw_generation_row *row, int wait_status,
                         char *out, size_t out_size) {
    if (g->failure[0])
        snprintf(out, out_size, "%s: %s", row->stage, g->failure);
    else if (WIFSIGNALED(wait_status))
        snprintf(out, out_size, "the %s job was killed by signal %d", row->stage,
                 WTERMSIG(wait_status));
    else
        snprintf(out, out_size, "the %s job ended with status %d and no result", row->stage,
                 WEXITSTATUS(wait_status));
}

static fw_status job_ended(fw_generations *g, const fw_generation_row *row, int wait_status,
                           fw_error *error) {
    char why[360];
    bool clean = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
    bool final = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == EXIT_FINAL && g->failure[0];
    g->launcher->stop(g->launcher->self, &g->job);
    pthread_mutex_lock(&g->lock);
    g->progress.running = false;
    pthread_mutex_unlock(&g->lock);
    FW_TRY(fw_curve_flush(&g->curve, g->catalogue, error));
    if (clean) { /* the result's commit ends the lease as well */
        fw_status status = fw_generation_take_result(g, row, error);
        if (status != FW_NOT_FOUND && status != FW_CORRUPT) return status;
    }
    FW_TRY(close_lease(g, row, error));
    describe_end(g, row, wait_status, why, sizeof why);
    if (final || row->crashes >= FW_JOB_CRASHES_MAX) return fw_generation_fail(g, row, why, error);
    g->retry_ns = fw_env_mono_ns(g->env) + (row->crashes + 1) * SECOND_NS;
    fw_log_warn("generation %lld: %s; try again (%lld of %d)", (long long)row->n, why,
                (long long)row->crashes + 1, FW_JOB_CRASHES_MAX);
    return FW_OK;
}

/* Was something erased that the generation's data set holds? Then no job may go on with it. */
static fw_status check_erased(fw_generations *g, const fw_generation_row *row, bool *erased,
                              fw_error *error) {
    int64_t count = 0;
    sqlite3 *db = fw_catalogue_read(g->catalogue);
    fw_status status = fw_db_int(db, error, &count,
                                 "SELECT count(*) FROM erasures e, json_each(e.statement,"
                                 "'$.datasets') d WHERE d.value=?",
                                 "t", row->dataset);
    fw_catalogue_read_end(g->catalogue);
    *erased = count > 0;
    return status;
}

static fw_status give_up_erased(fw_generations *g, const fw_generation_row *row, fw_error *error) {
    char why[160];
    if (g->job.pid != 0) g->launcher->stop(g->launcher->self, &g->job);
    pthread_mutex_lock(&g->lock);
    g->progress.running = false;
    pthread_mutex_unlock(&g->lock);
    FW_TRY(close_lease(g, row, error));
    snprintf(why, sizeof why, "erased: recordings of its data set %.12s", row->dataset);
    return fw_generation_fail(g, row, why, error);
}

fw_status fw_generation_job(fw_generations *g, const fw_generation_row *row, fw_error *error) {
    int64_t now_ns = fw_env_mono_ns(g->env);
    int wait_status = 0;
    bool erased = false;
    FW_TRY(check_erased(g, row, &erased, error));
    if (erased) return give_up_erased(g, row, error);
    if (g->job.pid == 0) {
        FW_TRY(fw_curve_flush(&g->curve, g->catalogue, error)); /* its end could not write it */
        fw_status status = fw_generation_take_result(g, row, error);
        if (status != FW_NOT_FOUND && status != FW_CORRUPT) return status;
        return now_ns < g->retry_ns ? FW_OK : start_job(g, row, error);
    }
    listen_to(g, row);
    if (g->launcher->ended(g->launcher->self, &g->job, &wait_status)) {
        listen_to(g, row);
        return job_ended(g, row, wait_status, error);
    }
    if (now_ns - g->heard_ns > FW_JOB_SILENCE_S * SECOND_NS) {
        snprintf(g->failure, sizeof g->failure, "the job said nothing for %d s", FW_JOB_SILENCE_S);
        return job_ended(g, row, SIGKILL, error);
    }
    FW_TRY(flush_curve(g, error));
    return beat(g, row, error);
}
