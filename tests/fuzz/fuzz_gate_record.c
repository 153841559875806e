/* links: fw_gate */
/* A gate's record from outside: its pairs are read, and a few trials drawn from them. */
#include <stddef.h>
#include <stdint.h>

#include "gate/trials.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    fw_gate_population population;
    fw_error error;
    if (fw_gate_population_read((const char *)bytes, size_bytes, &population, &error) != FW_OK) return 0;
    const fw_gate_trials_config config = {.population = &population, .trials = 2, .clusters = 50, .alpha = 0.05, .beta = 0.1,
                                          .delta = 0.05, .effect = 0.1, .seed = 1};
    fw_gate_trials got = fw_gate_trials_run(&config);
    FW_ASSERT(got.trials == 2 && got.ours.promoted <= 2 && got.mean_difference >= -1 && got.mean_difference <= 1);
    fw_gate_population_clear(&population);
    return 0;
}
