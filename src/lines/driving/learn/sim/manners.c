#include "lines/driving/learn/sim/manners.h"

#include <math.h>

static const fw_sim_manners city = {
    .speed_factor = 1, .headway_s = 1, .accel_mps2 = 1, .brake_mps2 = 1.5f, .standstill_m = 2};

static float between(fw_random *random, float usual, float low, float high, float spread) {
    return usual + spread * (low + (high - low) * fw_random_unit(random) - usual);
}

fw_sim_manners fw_sim_manners_draw(fw_random *random, float spread) {
    fw_sim_manners m = city;
    if (spread <= 0) return m;
    m.speed_factor = between(random, m.speed_factor, 0.85f, 1.2f, spread);
    m.headway_s = between(random, m.headway_s, 0.7f, 2.0f, spread);
    m.accel_mps2 = between(random, m.accel_mps2, 1.0f, 2.5f, spread);
    m.brake_mps2 = between(random, m.brake_mps2, 1.0f, 2.5f, spread);
    return m;
}

float fw_sim_manners_accel(const fw_sim_manners *m, float speed, float wanted, float gap, float leader) {
    float closing = speed * (speed - leader) / (2 * sqrtf(m->accel_mps2 * m->brake_mps2));
    float want = m->standstill_m + fmaxf(0, speed * m->headway_s + closing);
    float ratio = want / fmaxf(gap, 0.1f), free = speed / fmaxf(wanted, 0.5f);
    return m->accel_mps2 * (1 - free * free * free * free - ratio * ratio);
}
