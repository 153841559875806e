/* model.h - a network as one file: its graph and its parameters (docs/formats/nn-model.md).
 *
 *   graph + flat vector --fw_nn_model_write--> safetensors bytes
 *                                               |  tensors: the parameters, by their names
 *                                               |  metadata "flywheel.graph": the graph as JSON
 *                                               |  metadata "flywheel.ranges": of calibration, for int8
 *   fw_nn_model <--------fw_nn_model_read-------+  metadata, others: the caller's words
 *
 * Only what the outputs need is written: losses, targets and parameters of other heads stay behind.
 *
 * Invariants: (1) the same graph, parameters and words give the same bytes, and a file read and
 * written again is the same file; (2) a graph is read through the builder of graph.h alone, so every
 * check of a shape is made, and a file that breaks one is refused with the node's name; (3) parameters
 * are finite; (4) sizes: what is read takes a few times the file's size, FW_NN_MODEL_FILE_MAX at most.
 */
#ifndef FW_NN_RUN_MODEL_H
#define FW_NN_RUN_MODEL_H

#include <jansson.h>

#include "nn/run/plan.h"

enum {
    FW_NN_MODEL_VERSION = 1,
    FW_NN_MODEL_NAMED_MAX = 16384, /* inputs and parameters of a file */
};
#define FW_NN_MODEL_FILE_MAX ((size_t)1 << 34)
#define FW_NN_MODEL_KEY "flywheel.graph"
#define FW_NN_RANGES_KEY "flywheel.ranges"

/* A graph as JSON; all: every node, of any operator, instead of those the outputs need. Values are
 * numbered anew: inputs, parameters, then the outputs of nodes in their order. */
fw_status fw_nn_graph_to_json(const fw_nn_graph *graph, bool all, json_t **out,
                              fw_error *error) FW_MUST;
/* FW_CORRUPT, FW_UNSUPPORTED (a newer version, an operator this program lacks), FW_INVALID (a shape
 * that does not fit, by the node's name), FW_TOO_BIG, FW_NO_MEMORY. */
fw_status fw_nn_graph_from_json(const json_t *json, fw_nn_graph **out, fw_error *error) FW_MUST;
/* numbers: (value_count) of each value in the file; FW_NN_NONE for those left out. */
fw_status fw_nn_graph_numbers(const fw_nn_graph *graph, uint32_t *numbers, fw_error *error) FW_MUST;

typedef struct fw_nn_model {
    fw_nn_graph *graph;  /* owned */
    fw_nn_layout layout; /* of graph; owned */
    float *params;       /* (layout.floats), 64-byte aligned, owned */
    json_t *words;       /* metadata but for the graph: object of strings, or NULL; owned */
    float *ranges;       /* (value_count) of calibration, 0 where not known; NULL: none; owned */
} fw_nn_model;

/* params: by fw_nn_layout_make of this graph. words: object of strings, or NULL. *bytes is malloc'd. */
fw_status fw_nn_model_write(const fw_nn_graph *graph, const float *params, const json_t *words,
                            char **bytes, size_t *size_bytes, fw_error *error) FW_MUST;
fw_status fw_nn_model_read(const void *bytes, size_t size_bytes, fw_nn_model *out,
                           fw_error *error) FW_MUST;
/* The same with a file; written durably. */
fw_status fw_nn_model_save(const fw_nn_graph *graph, const float *params, const json_t *words,
                           const char *path, fw_error *error) FW_MUST;
fw_status fw_nn_model_load(const char *path, fw_nn_model *out, fw_error *error) FW_MUST;
void fw_nn_model_clear(fw_nn_model *model);
/* Ranges (value_count) as a word of the file, read back as a model's `ranges`. They belong to the
 * parameters they were seen with: who changes those takes the word out (ranges NULL). */
fw_status fw_nn_ranges_note(const fw_nn_graph *graph, const float *ranges, json_t *words,
                            fw_error *error) FW_MUST;
/* Private to model.c: reads that word. *out is malloc'd. */
fw_status fw_nn_ranges_read(const fw_nn_graph *graph, const char *text, float **out,
                            fw_error *error) FW_MUST;
/* A zeroed, 64-byte aligned vector of floats; NULL without memory. free() takes it back. */
float *fw_nn_vector_new(size_t floats);

#endif
