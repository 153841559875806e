#include "unit/tick/watch.h"

fw_unit_refusal fw_unit_watch_tick(fw_unit_watch *watch, const fw_unit_watched *tick) {
    bool late = tick->decide_cpu_ns > (int64_t)FW_UNIT_DECIDE_MAX_MS * 1000000;
    watch->late_row = late ? watch->late_row + 1 : 0;
    if (!tick->finite) return FW_UNIT_REFUSED_NUMBERS;
    if (watch->late_row >= FW_UNIT_LATE_ROW) return FW_UNIT_REFUSED_LATE;
    if (!watch->on) return FW_UNIT_REFUSED_NOT;
    watch->ticks++;
    watch->vetoes += tick->lone_veto;
    if (watch->vetoes > FW_UNIT_WATCH_VETOES) return FW_UNIT_REFUSED_VETOES;
    if (watch->ticks >= FW_UNIT_WATCH_TICKS) watch->on = false;
    return FW_UNIT_REFUSED_NOT;
}
