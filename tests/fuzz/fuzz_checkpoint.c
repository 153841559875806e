/* links: fw_nn_train */
/* Any bytes as a checkpoint of one small training: refused with a reason and nothing changed, or taken
 * and the next step is finite or says why not. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nn/run/layers.h"
#include "nn/train/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static fw_nn_trainer *trainer_of(void) {
    fw_nn_graph *g = NULL;
    fw_nn_trainer *trainer = NULL;
    fw_error error;
    FW_ASSERT(fw_nn_graph_new(&g, &error) == FW_OK);
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(2));
    fw_nn_value y = fw_nn_input(g, "y", FW_NN_F32, fw_nn_shape1(1));
    fw_nn_value loss =
        fw_nn_apply2(g, FW_NN_MSE, "loss", fw_nn_linear(g, "l", x, 1, true), y);
    fw_nn_trainer_options options = {.batch = 2, .lanes = 1, .seed = 1};
    FW_ASSERT(fw_nn_trainer_new(g, loss, &options, &trainer, &error) == FW_OK);
    fw_nn_graph_free(g);
    return trainer;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    static fw_nn_trainer *trainer;
    fw_error error = {""};
    if (!trainer) trainer = trainer_of();
    uint64_t steps = fw_nn_trainer_steps(trainer);
    if (fw_nn_checkpoint_read(trainer, bytes, size_bytes, &error) == FW_OK) {
        static const float x[4] = {1, 2, 3, 4}, y[2] = {0, 1};
        const void *inputs[] = {x, y};
        if (fw_nn_trainer_step(trainer, inputs, 2, NULL, &error) != FW_OK)
            FW_ASSERT(error.text[0]);
    } else {
        FW_ASSERT(error.text[0] && fw_nn_trainer_steps(trainer) == steps);
    }
    return 0;
}
