#include "gate/alpha.h"

double fw_gate_share(uint32_t place) {
    if (place == 0 || place > FW_GATE_PLACES) return 0;
    return 1 / ((double)place * (double)(place + 1));
}

double fw_gate_alpha(double alpha, uint32_t place, uint32_t promotions) {
    return alpha * fw_gate_share(place) * (double)(promotions + 1);
}
