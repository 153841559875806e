/* experiment_shifts.c - what changes in the city on the way; see experiment.h */
#include <stdlib.h>
#include <string.h>

#include "cli/experiment.h"

/* One part, "4:kind van:0.3". */
static fw_status take(char *part, const fw_experiment_settings *s, fw_experiment_shift *out,
                      fw_error *error) {
    char *end = NULL;
    while (*part == ' ') part++;
    unsigned long generation = strtoul(part, &end, 10);
    if (end == part || *end != ':' || generation < 2 || generation > s->generations)
        return fw_fail(error, FW_INVALID, "--shifts: '%.40s' does not begin with a generation of 2 to %u and "
                       "a colon", part, (unsigned)s->generations);
    out->generation = generation;
    int size = snprintf(out->conditions, sizeof out->conditions, "%s", end + 1);
    if (size < 1 || (size_t)size >= sizeof out->conditions || strchr(end + 1, ','))
        return fw_fail(error, FW_INVALID, "--shifts: '%.40s' wants one change, for example 3:demand 2", part);
    return FW_OK;
}

fw_status fw_experiment_shifts(const fw_experiment_settings *s, fw_experiment_shift out[FW_EXPERIMENT_SHIFTS_MAX],
                               uint32_t *count, fw_error *error) {
    char text[sizeof s->shifts], *rest = NULL;
    memcpy(text, s->shifts, sizeof text);
    *count = 0;
    for (char *part = strtok_r(text, ";", &rest); part; part = strtok_r(NULL, ";", &rest)) {
        if (*count == FW_EXPERIMENT_SHIFTS_MAX)
            return fw_fail(error, FW_INVALID, "--shifts: at most %d", FW_EXPERIMENT_SHIFTS_MAX);
        FW_TRY(take(part, s, &out[*count], error));
        if (*count > 0 && out[*count].generation < out[*count - 1].generation)
            return fw_fail(error, FW_INVALID, "--shifts: generations go up");
        ++*count;
    }
    return FW_OK;
}

void fw_experiment_conditions(const fw_experiment_settings *s, uint64_t generation, char out[200]) {
    fw_experiment_shift shifts[FW_EXPERIMENT_SHIFTS_MAX];
    uint32_t count = 0;
    size_t used = 0;
    fw_error ignored;
    out[0] = 0;
    if (fw_experiment_shifts(s, shifts, &count, &ignored) != FW_OK) return;
    for (uint32_t i = 0; i < count && shifts[i].generation <= generation; i++) {
        int size = snprintf(out + used, 200 - used, "%s%s", used ? ", " : "", shifts[i].conditions);
        if (size > 0 && used + (size_t)size < 200) used += (size_t)size;
    }
}
