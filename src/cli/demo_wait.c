#include "cli/demo_wait.h"

#include "base/args.h"
#include "base/log.h"

enum { POLL_MS = 100 };

int64_t fw_demo_now_ms(void) {
    return fw_env_mono_ns(fw_env_real()) / 1000000;
}

fw_status fw_demo_beat(fw_demo *demo, fw_error *error) {
    FW_TRY(fw_demo_supervise(demo, error));
    fw_env_sleep_ns(fw_env_real(), POLL_MS * INT64_C(1000000));
    return FW_OK;
}

int64_t fw_demo_patience_ms(const fw_demo *demo, int64_t otherwise_ms) {
    return demo->options->realtime || demo->faults > 0 ? otherwise_ms : FW_DEMO_LOCKSTEP_MS;
}

void fw_demo_give_up(fw_demo *demo, const char *what) {
    demo->faults++;
    fw_log_warn("%s; going on", what);
}

fw_status fw_demo_get(fw_demo *demo, const char *path, json_t **out, fw_error *error) {
    for (;;) {
        fw_status status = fw_demo_factory_get(&demo->factory, path, out, error);
        if (status != FW_BUSY) return status;
        FW_TRY(fw_demo_beat(demo, error));
    }
}

const char *fw_demo_text(const json_t *row, const char *name) {
    const char *value = json_string_value(json_object_get(row, name));
    return value ? value : "";
}

uint32_t fw_demo_unit_index(const json_t *row, const char *field) {
    uint64_t value = 0;
    if (fw_parse_u64(fw_demo_text(row, field), &value, NULL) != FW_OK) return FW_DEMO_UNITS_MAX;
    return value < FW_DEMO_UNITS_MAX ? (uint32_t)value : FW_DEMO_UNITS_MAX;
}
