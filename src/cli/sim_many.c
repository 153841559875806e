/* sim_many.c - seeds, processes, and what came of them (sim_many.h). */
#include "cli/sim_many.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/env.h"
#include "base/pace.h"
#include "cli/stop.h"
#include "sim/sim.h"

/* Every figure of a run, by its name. */
#define COUNTS(X)                                                                                  \
    X(steps) X(calls) X(lost_requests) X(lost_answers) X(cut_bodies) X(partitions) X(unit_cuts)    \
    X(unit_kills) X(factory_cuts) X(factory_stops) X(lost_writes) X(torn_writes) X(lost_names)     \
    X(clock_jumps) X(full_disks) X(failed_flushes) X(byzantine_calls) X(recordings_made)           \
    X(recordings_received) X(recordings_excused) X(records_acked)        \
    X(activations) X(tampered) X(checks)

/* ---- one seed ---- */

static void print_line(void *self, const char *line) {
    (void)self;
    fprintf(stderr, "%s\n", line);
}

static fw_status run_one(const fw_sim_many *m, uint64_t seed, fw_sim_result *out, fw_error *error) {
    char scratch[300];
    snprintf(scratch, sizeof scratch, "%s/flywheel-sim-%ld", m->scratch, (long)getpid());
    fw_sim_config config = {.seed = seed, .units = m->units, .hours = m->hours, .scratch = scratch,
                            .each = m->story ? print_line : NULL, .stop = &fw_cli_stopped};
    return fw_sim_run(&config, out, error);
}

static void set(json_t *json, const char *name, uint64_t value) {
    json_object_set_new(json, name, json_integer((json_int_t)value));
}

static json_t *result_json(const fw_sim_many *m, uint64_t seed, const fw_sim_result *r) {
    json_t *json = json_object();
    set(json, "seed", seed);
    set(json, "units", m->units);
    json_object_set_new(json, "hours", json_real(m->hours));
    json_object_set_new(json, "kept", json_boolean(!r->broken));
    json_object_set_new(json, "trace", json_string(r->trace.hex));
    set(json, "lines", r->lines);
    json_object_set_new(json, "simulated_s", json_real((double)r->simulated_ns / 1e9));
#define X(name) set(json, #name, r->counts.name);
    COUNTS(X)
#undef X
    if (!r->broken) return json;
    json_object_set_new(json, "promise", json_string(r->promise));
    json_object_set_new(json, "who", json_string(r->who));
    json_object_set_new(json, "what", json_string(r->what));
    json_object_set_new(json, "when_s", json_real((double)r->when_ns / 1e9));
    json_object_set_new(json, "story", json_string(r->tail ? r->tail : ""));
    return json;
}

/* Runs it, twice when asked; a second story that differs is a broken promise too. */
static fw_status seed_json(const fw_sim_many *m, uint64_t seed, json_t **out, fw_error *error) {
    fw_sim_result first = {0}, again = {0};
    FW_TRY(run_one(m, seed, &first, error));
    *out = result_json(m, seed, &first);
    free(first.tail);
    if (!m->twice) return FW_OK;
    fw_status status = run_one(m, seed, &again, error);
    if (status != FW_OK) {
        json_decref(*out);
        return status;
    }
    free(again.tail);
    json_object_set_new(*out, "again", json_string(again.trace.hex));
    if (strcmp(first.trace.hex, again.trace.hex) == 0) return FW_OK;
    json_object_set_new(*out, "kept", json_false());
    json_object_set_new(*out, "promise", json_string("replay"));
    json_object_set_new(*out, "who", json_string("world"));
    json_object_set_new(*out, "what", json_string("the same seed told another story"));
    return FW_OK;
}

/* ---- words ---- */

static int64_t number(const json_t *json, const char *name) {
    return json_integer_value(json_object_get(json, name));
}

static const char *text(const json_t *json, const char *name) {
    const char *value = json_string_value(json_object_get(json, name));
    return value ? value : "";
}

static void print_broken(const fw_sim_many *m, const json_t *json) {
    double when_s = json_number_value(json_object_get(json, "when_s"));
    printf("seed %lld: BROKEN %s of %s after %d:%02d:%02d: %s\n", (long long)number(json, "seed"),
           text(json, "promise"), text(json, "who"), (int)(when_s / 3600), (int)(when_s / 60) % 60,
           (int)when_s % 60, text(json, "what"));
    fprintf(stderr, "%s", text(json, "story"));
    printf("  replay: flywheel sim --seed %lld --units %u --hours %g --story\n",
           (long long)number(json, "seed"), m->units, m->hours);
}

static void print_kept(const json_t *json) {
    printf("seed %lld: kept; %lld recordings, %lld records; cuts %lld factory %lld units; calls lost %lld of "
           "%lld; trace %.16s\n",
           (long long)number(json, "seed"), (long long)number(json, "recordings_received"),
           (long long)number(json, "records_acked"), (long long)number(json, "factory_cuts"),
           (long long)number(json, "unit_cuts"),
           (long long)(number(json, "lost_requests") + number(json, "lost_answers") + number(json, "cut_bodies")),
           (long long)number(json, "calls"), text(json, "trace"));
}

/* What all seeds have together. */
typedef struct tally {
    uint64_t seeds, broken;
    double simulated_s;
    fw_sim_counts counts;
} tally;

static void add(tally *t, const json_t *json) {
    t->seeds++;
    t->broken += !json_is_true(json_object_get(json, "kept"));
    t->simulated_s += json_number_value(json_object_get(json, "simulated_s"));
#define X(name) t->counts.name += (uint64_t)number(json, #name);
    COUNTS(X)
#undef X
}

static void print_tally(const fw_sim_many *m, const tally *t) {
    if (m->json) {
        json_t *json = json_pack("{s:I,s:I,s:f}", "seeds", (json_int_t)t->seeds, "broken", (json_int_t)t->broken,
                                 "simulated_s", t->simulated_s);
#define X(name) set(json, #name, t->counts.name);
        COUNTS(X)
#undef X
        json_dumpf(json, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(json);
        return;
    }
    printf("%" PRIu64 " seeds, %" PRIu64 " with a broken promise; %.0f simulated hours\n", t->seeds, t->broken,
           t->simulated_s / 3600);
#define X(name) printf("  %-20s %12" PRIu64 "\n", #name, t->counts.name);
    COUNTS(X)
#undef X
}

static void take(const fw_sim_many *m, const json_t *json, tally *t) {
    add(t, json);
    if (m->json) {
        json_dumpf(json, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (!json_is_true(json_object_get(json, "kept"))) {
        print_broken(m, json);
    } else if (!m->range) {
        print_kept(json);
    }
    fflush(stdout);
}

/* ---- processes ---- */

/* The story stays out: the command that replays the seed tells it. */
static bool pass_on(json_t *json, int out) {
    json_object_del(json, "story");
    char *line = json_dumps(json, JSON_COMPACT);
    size_t size = line ? strlen(line) : 0;
    if (line) line[size] = '\n'; /* in the place of its end */
    bool passed = size > 0 && size < PIPE_BUF && write(out, line, size + 1) == (ssize_t)size + 1;
    free(line);
    return passed;
}

static int child(const fw_sim_many *m, unsigned k, int out) {
    for (uint64_t seed = m->first + k; seed <= m->last && !fw_cli_stopped; seed += m->jobs) {
        fw_error error = {""};
        json_t *json = NULL;
        if (seed_json(m, seed, &json, &error) != FW_OK) {
            if (!fw_cli_stopped) fprintf(stderr, "flywheel: seed %" PRIu64 ": %s\n", seed, error.text);
            return 1;
        }
        bool passed = pass_on(json, out);
        json_decref(json);
        if (!passed) return 1;
    }
    return 0;
}

typedef struct pace {
    fw_pace pace;
    int64_t said_ns;
} pace;

static void say_pace(const fw_sim_many *m, const tally *t, pace *p) {
    char words[80];
    int64_t now_ns = fw_env_mono_ns(fw_env_real());
    fw_pace_note(&p->pace, now_ns, (double)t->seeds);
    if (!m->range || now_ns - p->said_ns < INT64_C(5000000000)) return;
    p->said_ns = now_ns;
    double total = (double)(m->last - m->first + 1);
    fw_pace_words(fw_pace_per_s(&p->pace), fw_pace_left_s(&p->pace, total), "seeds", words, sizeof words);
    fprintf(stderr, "%" PRIu64 " of %.0f seeds, %" PRIu64 " broken%s%s\n", t->seeds, total, t->broken,
            words[0] ? ", " : "", words);
}

static fw_status read_all(const fw_sim_many *m, FILE *in, tally *t, pace *p, fw_error *error) {
    char *line = malloc(PIPE_BUF + 1);
    if (!line) return fw_fail(error, FW_NO_MEMORY, "no memory");
    while (fgets(line, PIPE_BUF + 1, in)) {
        json_t *json = json_loads(line, 0, NULL);
        if (json) take(m, json, t);
        json_decref(json);
        say_pace(m, t, p);
    }
    free(line);
    return FW_OK;
}

/* One pipe for all: each line is one write of less than what a pipe takes whole. */
static pid_t start_child(const fw_sim_many *m, unsigned k, const int ends[2]) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    close(ends[0]);
    _exit(child(m, k, ends[1]));
}

static fw_status run_children(const fw_sim_many *m, tally *t, pace *p, fw_error *error) {
    int ends[2];
    fw_status status = FW_OK;
    if (pipe(ends) != 0) return fw_fail_errno(error, "cannot make a pipe");
    fflush(stdout);
    for (unsigned k = 0; k < m->jobs && status == FW_OK; k++)
        if (start_child(m, k, ends) < 0) status = fw_fail_errno(error, "cannot start a process");
    close(ends[1]);
    FILE *in = fdopen(ends[0], "r");
    if (in) status = status == FW_OK ? read_all(m, in, t, p, error) : status;
    if (in) fclose(in);
    for (int code; wait(&code) > 0;)
        if (code != 0 && status == FW_OK) status = fw_fail(error, FW_IO, "a process of the simulation failed");
    return status;
}

fw_status fw_sim_many_run(const fw_sim_many *m, bool *kept, fw_error *error) {
    tally t = {0};
    pace p = {.said_ns = fw_env_mono_ns(fw_env_real())};
    fw_pace_start(&p.pace, p.said_ns, 0);
    fw_status status = FW_OK;
    uint64_t wanted = m->last - m->first + 1;
    if (m->jobs <= 1 || wanted == 1) {
        for (uint64_t seed = m->first; seed <= m->last; seed++) {
            json_t *json = NULL;
            status = seed_json(m, seed, &json, error);
            if (status != FW_OK) break;
            take(m, json, &t);
            json_decref(json);
            say_pace(m, &t, &p);
        }
    } else {
        status = run_children(m, &t, &p, error);
    }
    if (m->range) print_tally(m, &t); /* also of what was done before Ctrl-C */
    *kept = t.broken == 0 && t.seeds == wanted;
    if (status != FW_OK && !fw_cli_stopped) return status;
    return fw_cli_stopped ? fw_fail(error, FW_INTERRUPTED, "interrupted") : FW_OK;
}
