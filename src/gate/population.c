/* population.c - a record's pairs of drives, to draw from. */
#include <stdlib.h>

#include "base/json.h"
#include "gate/trials.h"

enum { DRIVES_MAX = 1000000 };

/* A row: name, both, champion, candidate, neither. False: it is none. */
static bool take_pairs(const json_t *row, fw_gate_pairs *out) {
    uint32_t *const to[] = {&out->both, &out->champion, &out->candidate, &out->neither};
    for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
        const json_int_t n = json_integer_value(json_array_get(row, i + 1));
        if (n < 0 || n > DRIVES_MAX) return false;
        *to[i] = (uint32_t)n;
    }
    return fw_gate_pairs_count(out) > 0;
}

static fw_status take_rows(const json_t *rows, fw_gate_population *out, fw_error *error) {
    const size_t count = json_array_size(rows);
    if (count == 0 || count > FW_GATE_CLUSTERS_MAX)
        return fw_fail(error, FW_CORRUPT, "no gate's record: \"clusters\" are not 1 to %d rows", FW_GATE_CLUSTERS_MAX);
    fw_gate_population found = {.clusters = calloc(count, sizeof *found.clusters)};
    if (!found.clusters) return fw_fail(error, FW_NO_MEMORY, "no memory for a record");
    for (; found.count < count; found.count++)
        if (!take_pairs(json_array_get(rows, found.count), &found.clusters[found.count])) break;
    if (found.count == count) {
        *out = found;
        return FW_OK;
    }
    fw_gate_population_clear(&found);
    return fw_fail(error, FW_CORRUPT, "no gate's record: a row of \"clusters\" has no counts");
}

fw_status fw_gate_population_read(const char *text, size_t size_bytes, fw_gate_population *out, fw_error *error) {
    json_t *json = fw_json_load(text, size_bytes, JSON_REJECT_DUPLICATES, NULL);
    const json_t *inner = json_object_get(json, "record");
    fw_status status = take_rows(json_object_get(inner ? inner : json, "clusters"), out, error);
    json_decref(json);
    return status;
}

void fw_gate_population_clear(fw_gate_population *population) {
    free(population->clusters);
    *population = (fw_gate_population){0};
}
