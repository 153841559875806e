/* job.h - `flywheel job train|gate`: one stage's work in a process of its own.
 *
 *   DIR/jobs/generation-N/train.in.json --> [fw_driving_train] --> candidate.safetensors,
 * train.json DIR/jobs/generation-N/gate.in.json  --> [fw_driving_gate]  --> gate.json
 *
 * stdout, one JSON object a line: {"phase","done","total","reward"} about once a second,
 * {"point":{"agent_steps","loss","value_loss","entropy","gradient_norm","clean_share"}} after each update
 * of training (a figure that is no number is left out), and {"error": reason} before a failing end. Exit 0: the result is durable. 1: it cannot be done, and
 * trying again would not help. 75: try again (disk full, no memory, interrupted).
 *
 * A result names its dataset and candidate, so that serve can tell a left-over from its own.
 * Nothing but the files named in the input is read: no catalogue, no network. The job sees to that itself before it
 * opens any of them (job_confine.h); the result's "sealed_by" is "Landlock", or "nothing" where the kernel has none.
 */
#ifndef FW_FACTORY_JOB_H
#define FW_FACTORY_JOB_H

#include <stdint.h>

#include "base/status.h"

enum { FW_JOB_VERSION = 1, FW_JOB_EXIT_RETRY = 75 };

/* Runs the job of `name` ("train" or "gate") in data_folder; writes progress to stdout. Returns the
 * exit status. */
int fw_job_run(const char *name, const char *data_folder, int64_t generation, unsigned threads);

/* What the progress of this job counts: "agent-steps", "scenarios". */
const char *fw_job_unit(const char *name);

#endif
