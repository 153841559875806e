/* links: fw_driving_act */
/* A table of vehicle kinds: what is taken moves, whatever is asked of it, and stays finite. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "lines/driving/act/vehicle.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    fw_vehicles all;
    fw_error error;
    if (fw_vehicles_parse((const char *)bytes, size_bytes, &all, &error) != FW_OK) return 0;
    for (uint32_t i = 0; i < all.count; i++) {
        fw_vehicle_state s = {.speed_mps = 10};
        for (int t = 0; t < 50; t++) {
            fw_vehicle_move(&all.kinds[i], &s, (fw_drive_action){t % 2 ? 99 : -99, t % 3 ? 9 : -9}, 0.1f);
            if (!isfinite(s.x_m) || !isfinite(s.y_m) || !(s.speed_mps >= 0) || !(fabsf(s.yaw_rad) < 3.1416f))
                abort();
        }
        if (fw_vehicles_find(&all, all.kinds[i].name) != &all.kinds[i]) abort();
    }
    return 0;
}
