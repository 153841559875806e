/* flat_model.h - model files from before networks were graphs: six tensors of two hidden layers.
 *
 *   w0 (106, H) b0 (H) | w1 (H, H) b1 (H) | w2 (H, 13) b2 (13)      weights (in, out)
 *
 * A fleet's store still holds them, so they are read for good and become the graph of network.h, whose
 * weights lie (out, in). None is written.
 */
#ifndef FW_LINES_DRIVING_FLAT_MODEL_H
#define FW_LINES_DRIVING_FLAT_MODEL_H

#include "nn/run/model.h"
#include "nn/run/safetensors.h"

/* FW_CORRUPT: a tensor is missing, of another size, or not finite. */
fw_status fw_drive_flat_model(const fw_safetensors *file, fw_nn_model *out, fw_error *error) FW_MUST;

#endif
