/* gate_job.h - what the `gate` job does with its input (generations/job.h).
 *
 *   {..., "champion", "candidate": paths, "candidate_hash", "recordings": [paths], "gate": turn (ledger.h)}
 *      --fw_driving_gate--> {"candidate", "scenarios", "champion_clean", "candidate_clean", "difference", "low", "high",
 *                            "promote", "reason", "turn", "record"}
 */
#ifndef FW_FACTORY_GATE_JOB_H
#define FW_FACTORY_GATE_JOB_H

#include <jansson.h>

#include "lines/driving/learn/learn.h"

typedef struct fw_gate_job {
    const json_t *input;
    const char *const *recordings; /* (recording_count) of the input */
    uint32_t recording_count;
    unsigned threads;
    const char *replays_path;
    fw_driving_progress progress;
} fw_gate_job;

/* The caller owns *out. */
fw_status fw_gate_job_run(const fw_gate_job *job, json_t **out, fw_error *error) FW_MUST;

/* A result as a generation keeps it: without what only the book (ledger.h) holds, each recording's pairs and the path.
 * The caller owns it; NULL without memory. */
json_t *fw_gate_job_summary(const json_t *result);

#endif
