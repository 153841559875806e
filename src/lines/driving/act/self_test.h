/* self_test.h - a few questions with their answers, so that a unit sees for itself that a model drives there as
 * it did in the factory.
 *
 *   factory:  seed --> frames (scenes made up) --> model --> actions     signed together with the model's hash
 *   unit:     seed --> the same frames         --> model --> actions     the same within the tolerance, or refused
 *
 * A hash says that bytes came through; this says that this machine's kernels, memory and library make the same
 * decisions of them. Text (docs/formats/lineage.md):
 *
 *   {"seed":7,"frames":8,"actions":["<m/s2>","<1/m>", ...two a frame],"tolerance":"<m/s2>"}
 *
 * Numbers that are not whole stand as decimal text, because signed JSON has integers alone (trust/canonical.h). An
 * acceleration may differ by the tolerance, a curvature by a hundredth of it in 1/m: CPU classes round differently
 * (nn/run/cpu/class.h).
 *
 * Invariants: (1) a frame is a function of (seed, index) alone; (2) fw_drive_self_test_run allocates nothing.
 */
#ifndef FW_LINES_DRIVING_SELF_TEST_H
#define FW_LINES_DRIVING_SELF_TEST_H

#include "lines/driving/act/policy.h"

enum { FW_DRIVE_SELF_TEST_FRAMES = 8, FW_DRIVE_SELF_TEST_FRAMES_MAX = 64, FW_DRIVE_SELF_TEST_MAX_BYTES = 8192 };

typedef struct fw_drive_self_test {
    uint64_t seed;
    uint32_t frames; /* 1 .. FW_DRIVE_SELF_TEST_FRAMES_MAX */
    float tolerance_mps2;
    fw_drive_action actions[FW_DRIVE_SELF_TEST_FRAMES_MAX]; /* (frames) */
} fw_drive_self_test;

/* The scene of a frame. */
void fw_drive_self_test_frame(uint64_t seed, uint32_t index, fw_drive_obs *out);

/* The policy's answers as the text above, malloc'd. frames: 1 .. FW_DRIVE_SELF_TEST_FRAMES_MAX. */
fw_status fw_drive_self_test_make(const fw_policy *policy, uint64_t seed, uint32_t frames, char **json,
                                  fw_error *error) FW_MUST;
/* Reads the text. FW_CORRUPT with the reason. */
fw_status fw_drive_self_test_read(const void *json, size_t size_bytes, fw_drive_self_test *out, fw_error *error) FW_MUST;
/* Asks the policy. FW_MISMATCH, naming frame and difference, when an answer is another one. */
fw_status fw_drive_self_test_run(const fw_drive_self_test *test, const fw_policy *policy, fw_policy_session *session,
                                 fw_error *error) FW_MUST;
/* Reads and asks, in a session of its own. */
fw_status fw_drive_self_test_check(const fw_policy *policy, const void *json, size_t size_bytes, fw_error *error) FW_MUST;

#endif
