/* compare.h - two exams of the same runs, side by side.
 *
 *   exam A (one policy)   --per_run sums--+
 *   exam B (another)      --per_run sums--+--> value of A, of B, B - A with its 95 % interval, paired by run
 *
 * Run r of both began in the same hour of the same city with the same cars; from then on they part. So the run is
 * the pair, and not the drive.
 */
#ifndef FW_WORLDS_EXAM_COMPARE_H
#define FW_WORLDS_EXAM_COMPARE_H

#include "worlds/exam/figures.h"

/* The sums that figures need, run by run, as a result keeps them ("per_run"): {"drives": [..], ...}; and back.
 * FW_CORRUPT when one is missing, of another length, or no number. */
json_t *fw_exam_sums_write(const fw_exam_sums *sums, uint32_t runs);
fw_status fw_exam_sums_read(const json_t *per_run, fw_exam_sums *sums, uint32_t runs, fw_error *error) FW_MUST;

/* Both: results (fw_exam_result). FW_INVALID when they are not of the same exam: network, runs, cars, drives and
 * version. {"runs": n, "figures": [{"name", "a", "b", "difference", "low", "high", "better"}]}: better is "a" or
 * "b" where the interval excludes 0 and the figure has a good direction, else "". The caller owns *out. */
fw_status fw_exam_compare(const json_t *a, const json_t *b, json_t **out, fw_error *error) FW_MUST;

#endif
