/* generations.h - the stations after the door, as a state machine that lives in the catalogue.
 *
 *   POST --> [dataset] --> [train] --> [gate] --promoted--> [rollout] --> [done]
 *            manifest      job         job  \--refused------------------> [done]
 *                            \-----------\---- job failed, or crashed over 3 times --> [failed]
 *
 * A generation owns the recordings acked before its POST that no earlier one owned; its dataset
 * is chosen from all that were ever owned and are still kept, so that an endless run's jobs stay as
 * long as they are: to train on, the newest FW_DATASET_NEWEST and, of the older ones, the
 * FW_DATASET_EVENTFUL with the most events (of equals the newer, none without events); to hold out,
 * the newest FW_DATASET_HELD_OUT. Newer means received later. The manifest is an object, its hash
 * the dataset's id; both jobs read exactly what it lists:
 *
 *   {"version":1,"line":"driving","parent":dataset|null,
 *    "recordings":[{"sha256","unit","role":"train"|"held_out"}, ... sorted by sha256]}
 *
 * One fw_generations_tick does what can be done without waiting and returns; serve calls it ten
 * times a second from its main thread. A job works in DIR/jobs/generation-N: it reads JOB.in.json,
 * writes JOB.json (job.h) and says its progress and its curve (curve.h) on stdout.
 *
 * Invariants: (1) each stage reads only what the one before made durable, and the stage column
 * moves in the same commit as the stage's results; (2) so serve may be killed anywhere: the next
 * start ends a job left over (by its lease), takes a finished result or starts the stage again; (3)
 * one generation at a time; (4) same recordings, champion and seed give the same manifest and job
 * input (as long as they also came in the same order, where the limits cut).
 *
 * [rollout] starts a rollout (rollout/rollout.h) and waits for its end. Done: the model is the fleet's. Turned back:
 * decision 'rolled_back' with the reason, and the champion stays. The row keeps how many units did what.
 */
#ifndef FW_FACTORY_GENERATIONS_H
#define FW_FACTORY_GENERATIONS_H

#include <pthread.h>

#include "base/env.h"
#include "base/pace.h"
#include "factory/catalogue/catalogue.h"
#include "factory/generations/curve.h"
#include "factory/generations/launcher.h"
#include "factory/line.h"
#include "factory/ingest/objects.h"
#include "factory/registry/registry.h"
#include "factory/rollout/rollout.h"
#include "factory/units.h"

enum {
    FW_JOB_CRASHES_MAX = 3,    /* retries; one more crash fails the generation */
    FW_JOB_SILENCE_S = 300,    /* a job that says nothing this long is killed: a crash */
    FW_DATASET_NEWEST = 400,    /* recordings of a dataset, see above */
    FW_DATASET_EVENTFUL = 200,
    FW_DATASET_HELD_OUT = 120
};

/* What the running job last said; for the live page. */
typedef struct fw_job_progress {
    bool running;
    char job[12], phase[32]; /* "train" or "gate" */
    int64_t generation, pid, started_ns;
    double done, total, reward; /* reward NaN: none */
    double per_s, left_s;       /* of done, of the last seconds (pace.h); NaN: not known yet */
} fw_job_progress;

typedef struct fw_dataset_limits {
    int64_t newest, eventful, held_out;
} fw_dataset_limits;

typedef struct fw_generations {
    const fw_env *env;
    fw_catalogue *catalogue;
    const fw_objects *objects;
    fw_units *units;
    const fw_registry *registry;
    fw_rollouts *rollouts;
    const fw_factory_line *line;
    const fw_launcher *launcher;
    const char *data_folder, *program; /* program: path of the executable that has `job` */
    unsigned threads;
    fw_dataset_limits limits;
    /* the rest is the ticking thread's own, but progress */
    fw_job job;
    char output[4096]; /* a line of the job's stdout so far */
    size_t output_bytes;
    char failure[300];                                   /* its last {"error"} */
    int64_t heard_ns, beat_ns, retry_ns;                 /* monotonic */
    int64_t logged_ns;                                   /* monotonic */
    fw_pace pace;                                        /* of the job's phase */
    fw_curve curve;
    pthread_mutex_t lock;                                /* guards progress */
    fw_job_progress progress;
} fw_generations;

/* Ends what an earlier serve left running. */
fw_status fw_generations_open(fw_generations *generations, fw_error *error) FW_MUST;
/* Stops a running job; its stage starts again at the next start. */
void fw_generations_close(fw_generations *generations);
fw_status fw_generations_tick(fw_generations *generations, fw_error *error) FW_MUST;

/* POST /v1/generations. FW_BUSY while one runs; FW_NOT_FOUND without champion or recordings. */
fw_status fw_generations_post(fw_generations *generations, const char *body, size_t body_bytes,
                              int64_t *index, fw_error *error) FW_MUST;
/* JSON text, malloc'd. */
fw_status fw_generations_json(fw_generations *generations, char **json, fw_error *error) FW_MUST;
fw_status fw_generations_json_of(fw_generations *generations, int64_t index, char **json,
                                 fw_error *error) FW_MUST;
fw_job_progress fw_generations_progress(fw_generations *generations);
/* "phase", "done", "total", "unit", and "per_s" and "left_s" when they are known. */
json_t *fw_generations_progress_json(const fw_job_progress *progress);

#endif
