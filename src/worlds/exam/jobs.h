/* jobs.h - the runs of an exam side by side, each in a process of its own.
 *
 *   parent --fork--> run 0 --pipe: status, words, fw_exam_run--> parent     at most `jobs` at once
 *          --fork--> run 1 ------------------------------------>
 *
 * A child dies with its parent (PR_SET_PDEATHSIG) and takes its SUMO along. Fork before any thread is started.
 * Invariant: out[i] depends on i alone, never on `jobs` or on who was done first.
 */
#ifndef FW_WORLDS_EXAM_JOBS_H
#define FW_WORLDS_EXAM_JOBS_H

#include "worlds/exam/exam.h"

typedef fw_status fw_exam_work(const void *context, uint32_t index, fw_exam_run *out, fw_error *error);

/* Fills out[0 .. count): the first failure ends it all. `done` (may be NULL) hears of every run as it ends. */
fw_status fw_exam_jobs(fw_exam_work *work, const void *context, uint32_t count, uint32_t jobs, fw_exam_run *out,
                       void (*done)(const void *context, uint32_t index, const fw_exam_run *run),
                       fw_error *error) FW_MUST;

#endif
