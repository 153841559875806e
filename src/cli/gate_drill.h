/* gate_drill.h - candidates that a gate must refuse, each made for real.
 *
 *   recordings --every third held out--> gate            the others --> training, where a drill trains
 *
 *   same           the champion once more: equal is not better
 *   stands         brakes whatever it sees: clean, and goes nowhere
 *   flipped        a trained network whose choices, acceleration and steering, stand the other way round: labels with the
 *                  wrong sign
 *   poisoned       trained on recordings that lie: road users mirrored, red lights green (experiment_drill.h)
 *   overfit        trained from scratch on one recording alone
 *   offline-good   the copycat: nearer to the log than the champion, and never begins to brake (experiment_drill.h)
 *   noise          every weight moved by as much as it is large: a file that loads
 *   corrupted      one bit of the file changed after it was trained
 *   cut            half of the file
 *   schema         made for another version of the observations
 *   slow           two hundred layers of 320 where two of 64 do: it loads, and thinks for milliseconds
 *
 * To add one: 1. a function in gate_drill_make.c, 2. a line in FW_GATE_DRILLS, 3. docs/gate.md.
 */
#ifndef FW_CLI_GATE_DRILL_H
#define FW_CLI_GATE_DRILL_H

#include "base/file.h"
#include "lines/driving/learn/score/gate.h"

typedef struct fw_gate_ground {
    char folder[FW_PATH_MAX];      /* where candidates are written */
    char champion[FW_PATH_MAX];    /* a model file */
    char trained[FW_PATH_MAX];     /* a network: the champion, or one trained for the drills */
    const char **held_out, **train; /* paths */
    uint32_t held_out_count, train_count;
    uint64_t seed, agent_steps;
    uint32_t threads;
    fw_driving_progress progress;
} fw_gate_ground;

/* What a drill hands to the gate. */
typedef struct fw_gate_candidate {
    char path[FW_PATH_MAX];
    fw_hash trained; /* empty: whatever lies there */
    char note[160];  /* what was made of it, for people */
} fw_gate_candidate;

/* X(name, function's name) */
#define FW_GATE_DRILLS(X)                                                                                       \
    X("same", same)                                                                                             \
    X("stands", stands)                                                                                         \
    X("flipped", flipped)                                                                                       \
    X("poisoned", poisoned)                                                                                     \
    X("overfit", overfit)                                                                                       \
    X("offline-good", offline_good)                                                                             \
    X("noise", noise)                                                                                           \
    X("corrupted", corrupted)                                                                                   \
    X("cut", cut)                                                                                               \
    X("schema", schema)                                                                                         \
    X("slow", slow)

#define X(text, name) fw_status fw_gate_make_##name(const fw_gate_ground *ground, fw_gate_candidate *out, fw_error *error) FW_MUST;
FW_GATE_DRILLS(X)
#undef X

/* Trains a network on the ground's training recordings, goes on from `base` (NULL: from scratch). */
fw_status fw_gate_train(const fw_gate_ground *ground, const char *const *recordings, uint32_t count, const char *base,
                        const char *out_path, fw_error *error) FW_MUST;
/* All of them, pushed through the gate: rows {"drill","decision","reason","note","held"}, appended. FW_INTERRUPTED. */
fw_status fw_gate_drill_all(const fw_gate_ground *ground, json_t *rows, fw_error *error) FW_MUST;

#endif
