/* network.h - the driving line's network: a graph of the engine (nn/run/graph.h) with named ends.
 *
 *   features (252) --+-- ego (48) -------------------------------------+
 *                    +-- users (12, 16) --[user 32, relu]--+           +-- 80 --[l0 64, tanh]--[l1 64, tanh]--+
 *                    +-- mask (12) ----------------------set max (32)--+                                      |
 *                                                                                                             |
 *   accel (9)  scores of accelerations      <--------------------------------------------------[heads 17]-----+
 *   steer (5)  scores of sideways shifts of pure pursuit's aim   <--+
 *   value (3)  worth of the state, / 4                           <--+
 *
 * Every road user goes through the same weights and only the largest of each of the 32 numbers goes on, so the
 * order of users cannot matter (Zaheer et al., Deep Sets, 2017; Qi et al., PointNet, 2017). About 16,400
 * multiply-adds a decision and 11,000 parameters.
 *
 * That is what training starts from; any graph with these ends drives, whatever lies between them
 * (features and their version: features.h). `value` is for training and for the uncertainty, and may be
 * missing.
 *
 * The file is a network's (docs/formats/nn-model.md) with three words of the line: line "driving",
 * policy "network", features_version.
 */
#ifndef FW_LINES_DRIVING_NETWORK_H
#define FW_LINES_DRIVING_NETWORK_H

#include "base/hash.h"
#include "lines/driving/act/features.h"
#include "nn/run/model.h"

enum { FW_DRIVE_USER_HIDDEN = 32, FW_DRIVE_HIDDEN = 64, FW_DRIVE_HIDDEN_MAX = 1024 };
#define FW_DRIVE_VALUE_SCALE 4.0f /* the output `value` times this is the estimate */

/* The graph drawn above, with `hidden` numbers in l0 and l1. Weights start as normal / sqrt(fan in), of
 * the heads at a hundredth of it, biases at 0. The caller frees it. */
fw_status fw_drive_network_graph(uint32_t hidden, fw_nn_graph **out, fw_error *error) FW_MUST;

typedef struct fw_drive_ends {
    fw_nn_value features, accel, steer;
    fw_nn_value value; /* FW_NN_NONE: the graph has none */
} fw_drive_ends;
/* FW_UNSUPPORTED, naming the end that is missing or of another shape, or an input too many. */
fw_status fw_drive_ends_of(const fw_nn_graph *graph, fw_drive_ends *out, fw_error *error) FW_MUST;

/* Reads a model file's bytes; the ends are checked. FW_UNSUPPORTED: made for other features. */
fw_status fw_drive_network_read(const void *bytes, size_t size_bytes, fw_nn_model *out,
                                fw_error *error) FW_MUST;

/* What a training knows of the network it made; further words of the file. */
typedef struct fw_drive_card {
    double uncertainty_threshold; /* an uncertainty (policy.h) above it is unusual */
    uint64_t agent_steps;         /* that it learned from */
} fw_drive_card;
/* Writes a model file durably; *hash (may be NULL) is that of its bytes. card NULL: none is known. */
fw_status fw_drive_network_save(const fw_nn_graph *graph, const float *params, const fw_drive_card *card,
                                const char *path, fw_hash *hash, fw_error *error) FW_MUST;

#endif
