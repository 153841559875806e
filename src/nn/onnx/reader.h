/* reader.h - private: other people's graphs, node by node.
 *
 *   node --constants alone?--> fold.c
 *        --its operator------> a read_*.c: adds nodes of ours
 *        --neither-----------> kept with the reason; who needs its value is answered with that reason
 *
 * So parts that mean something only together (a norm, an attention written out) are read at their last
 * node, which looks back at what it is made of, and nothing is refused that nobody needs. What was added
 * and is not needed after all is dropped at the end.
 *
 * To read one more operator: 1. a line in the table of read_graph.c, 2. its reader in the read_*.c of its
 * kind, 3. a case in web/test/onnx_foreign.mjs, which ONNX Runtime checks, 4. its name in onnx.h and
 * docs/formats/onnx.md.
 */
#ifndef FW_NN_ONNX_READER_H
#define FW_NN_ONNX_READER_H

#include "nn/onnx/constant.h"
#include "nn/run/plan.h"

typedef struct fw_onnx_tensor fw_onnx_tensor;

/* What a name stands for: one of constant, tensor, why. */
typedef struct fw_onnx_thing {
    const char *name;
    fw_onnx_proto *node; /* who makes it; NULL: an input or a tensor of the file */
    const fw_onnx_constant *constant;
    const fw_onnx_tensor *tensor;
    const char *why; /* it is not read */
} fw_onnx_thing;

typedef struct fw_onnx_reader {
    fw_nn_graph *graph;
    fw_onnx_pool pool;
    fw_onnx_thing *things; /* (1 << bits) by the hash of their names; name NULL: free */
    uint32_t bits, used, made;
    const float **data; /* (FW_NN_VALUES_MAX) numbers of a parameter */
    const char **names; /* (FW_NN_VALUES_MAX) and its name in the file */
    fw_onnx_proto *node; /* that is read now */
    char node_name[FW_NN_NAME_MAX];
    bool passed_on; /* the failure is that of another node, whose name it bears */
} fw_onnx_reader;

typedef fw_status fw_onnx_read(fw_onnx_reader *r, fw_onnx_proto *node, fw_error *error);
#define FW_ONNX_READ(name)                                                                         \
    fw_status fw_onnx_read_##name(fw_onnx_reader *r, fw_onnx_proto *node, fw_error *error)

/* ---- names ---- */

const fw_onnx_thing *fw_onnx_thing_of(const fw_onnx_reader *r, const char *name);
/* Input i of a node; NULL: it has none, or an unknown one. */
const fw_onnx_thing *fw_onnx_in(const fw_onnx_reader *r, fw_onnx_proto *node, size_t i);
/* The node that makes input i, if it is of this operator. */
fw_onnx_proto *fw_onnx_made_by(const fw_onnx_reader *r, fw_onnx_proto *node, size_t i, const char *op);
const fw_onnx_constant *fw_onnx_constant_of(const fw_onnx_reader *r, fw_onnx_proto *node, size_t i);
bool fw_onnx_number_of(const fw_onnx_reader *r, fw_onnx_proto *node, size_t i, double *out);
/* A tensor or constant that must be there. */
fw_status fw_onnx_want(fw_onnx_reader *r, fw_onnx_proto *node, size_t i, fw_onnx_tensor *out,
                       fw_error *error) FW_MUST;
fw_status fw_onnx_want_constant(fw_onnx_reader *r, fw_onnx_proto *node, size_t i,
                                const fw_onnx_constant **out, fw_error *error) FW_MUST;
/* Output i of a node; an output without a name is nobody's. */
fw_status fw_onnx_give(fw_onnx_reader *r, fw_onnx_proto *node, size_t i, const fw_onnx_tensor *t,
                       fw_error *error) FW_MUST;

/* ---- adding ---- */

fw_status fw_onnx_add(fw_onnx_reader *r, fw_nn_op op, const fw_nn_value *in, uint32_t count,
                      fw_nn_attr attr, fw_nn_value *out, fw_error *error) FW_MUST;
/* `made` has one value for each output of the operator. */
fw_status fw_onnx_add_all(fw_onnx_reader *r, fw_nn_op op, const fw_nn_value *in, uint32_t count,
                          fw_nn_attr attr, fw_nn_value *made, fw_error *error) FW_MUST;
fw_status fw_onnx_reshape(fw_onnx_reader *r, fw_nn_value x, fw_nn_shape shape, fw_nn_value *out,
                          fw_error *error) FW_MUST;
fw_status fw_onnx_affine(fw_onnx_reader *r, fw_nn_value x, double factor, double offset,
                         fw_nn_value *out, fw_error *error) FW_MUST;
/* data: (elements of shape), outliving the reader's work; FW_CORRUPT: not finite. */
fw_status fw_onnx_parameter(fw_onnx_reader *r, const char *name, fw_nn_shape shape,
                            const float *data, fw_nn_value *out, fw_error *error) FW_MUST;
/* A constant of this many floats, all had. */
fw_status fw_onnx_floats_in(fw_onnx_reader *r, const fw_onnx_constant *c, size_t count,
                            const float **out, fw_error *error) FW_MUST;
float *fw_onnx_room(fw_onnx_reader *r, size_t floats, fw_error *error); /* NULL: error is set */
const char *fw_onnx_name_in(fw_onnx_proto *node, size_t i);
static inline fw_nn_shape fw_onnx_shape(const fw_onnx_reader *r, fw_nn_value value) {
    return r->graph->values[value].shape;
}
/* The node of ours that makes a value; NULL: it is an input or a parameter. Reshapes are seen through. */
const fw_nn_node *fw_onnx_maker(const fw_onnx_reader *r, fw_nn_value value);

/* A product of two values: the end of an attention, or refused. */
fw_status fw_onnx_attention(fw_onnx_reader *r, fw_onnx_proto *node, fw_error *error) FW_MUST;

/* What is needed of r->graph, with its numbers. */
fw_status fw_onnx_keep_needed(const fw_onnx_reader *r, fw_nn_graph **out, float **params,
                              fw_nn_layout *layout, fw_error *error) FW_MUST;

#endif
