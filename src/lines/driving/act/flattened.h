/* flattened.h - a policy without pointers, for the unit's slot (unit/shared.h): the courier has read
 * the model file, the tick makes the policy of these bytes and reads no text.
 *
 *   | head: kind, hash, counts | inputs, parameters, nodes | outputs | parameters' floats |
 *
 * Both processes run the same program; nothing of this is stored or sent. What is read goes through
 * the builder of graph.h, which checks every shape again.
 */
#ifndef FW_LINES_DRIVING_FLATTENED_H
#define FW_LINES_DRIVING_FLATTENED_H

#include "lines/driving/act/policy.h"

/* Bytes of a network of this graph (NULL: a rule) and so many floats of parameters. */
size_t fw_policy_flat_bytes(const fw_nn_graph *graph, size_t floats);
/* FW_TOO_BIG: it needs more than out_max_bytes. */
fw_status fw_policy_flatten(const fw_policy *policy, void *out, size_t out_max_bytes,
                            size_t *out_bytes, fw_error *error) FW_MUST;
/* A policy of its own; a rule allocates nothing. FW_CORRUPT and what fw_policy_load tells. */
fw_status fw_policy_unflatten(const void *bytes, size_t size_bytes, fw_policy *out,
                              fw_error *error) FW_MUST;

#endif
