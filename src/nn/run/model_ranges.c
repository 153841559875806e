/* model_ranges.c - ranges of calibration in a model file: [[value, range], ..], values by their numbers in
 * the file, ascending (docs/formats/nn-model.md). */
#include <math.h>
#include <stdlib.h>

#include "nn/run/model.h"

/* [[number, range], ..] of values that have one and stand in the file, by ascending number. */
static json_t *ranges_json(const fw_nn_graph *graph, const float *ranges, const uint32_t *numbers,
                           fw_nn_value *by_number) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < graph->value_count; i++) by_number[i] = FW_NN_NONE;
    for (uint32_t i = 0; i < graph->value_count; i++)
        if (numbers[i] != FW_NN_NONE && ranges[i] > 0) by_number[numbers[i]] = i;
    for (uint32_t i = 0; i < graph->value_count; i++)
        if (by_number[i] != FW_NN_NONE)
            json_array_append_new(list, json_pack("[I, f]", (json_int_t)i,
                                                  (double)ranges[by_number[i]]));
    return list;
}

fw_status fw_nn_ranges_note(const fw_nn_graph *graph, const float *ranges, json_t *words,
                            fw_error *error) {
    if (!ranges) {
        json_object_del(words, FW_NN_RANGES_KEY);
        return FW_OK;
    }
    for (uint32_t i = 0; i < graph->value_count; i++)
        if (!(ranges[i] >= 0) || isinf(ranges[i]))
            return fw_fail(error, FW_INVALID, "the range of value %u is not finite", i);
    uint32_t *numbers = calloc(graph->value_count + 1, sizeof *numbers);
    fw_nn_value *by_number = calloc(graph->value_count + 1, sizeof *by_number);
    fw_status status = FW_OK;
    if (!numbers || !by_number) status = fw_fail(error, FW_NO_MEMORY, "no memory for ranges");
    if (status == FW_OK) status = fw_nn_graph_numbers(graph, numbers, error);
    if (status == FW_OK) {
        json_t *list = ranges_json(graph, ranges, numbers, by_number);
        char *text = json_dumps(list, JSON_COMPACT | JSON_REAL_PRECISION(9));
        if (!text || json_object_set_new(words, FW_NN_RANGES_KEY, json_string(text)) != 0)
            status = fw_fail(error, FW_NO_MEMORY, "no memory for ranges");
        free(text);
        json_decref(list);
    }
    free(numbers);
    free(by_number);
    return status;
}

/* One [number, range] behind the number before it; -1 before the first. */
static bool read_pair(const fw_nn_graph *graph, const json_t *pair, json_int_t *last, float *ranges) {
    const json_t *number = json_array_get(pair, 0), *range = json_array_get(pair, 1);
    if (json_array_size(pair) != 2 || !json_is_integer(number) || !json_is_number(range))
        return false;
    json_int_t value = json_integer_value(number);
    float size = (float)json_number_value(range);
    if (value <= *last || value >= (json_int_t)graph->value_count || !(size > 0) || isinf(size))
        return false;
    *last = value;
    ranges[value] = size;
    return graph->values[value].dtype == FW_NN_F32;
}

/* A graph that was read has its values in the order of their numbers. */
fw_status fw_nn_ranges_read(const fw_nn_graph *graph, const char *text, float **out,
                            fw_error *error) {
    json_error_t problem;
    json_t *list = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
    float *ranges = calloc(graph->value_count + 1, sizeof *ranges);
    json_int_t last = -1;
    bool fine = json_is_array(list);
    for (size_t i = 0; fine && ranges && i < json_array_size(list); i++)
        fine = read_pair(graph, json_array_get(list, i), &last, ranges);
    json_decref(list);
    if (fine && ranges) {
        *out = ranges;
        return FW_OK;
    }
    free(ranges);
    if (fine) return fw_fail(error, FW_NO_MEMORY, "no memory for ranges");
    return fw_fail(error, FW_CORRUPT, FW_NN_RANGES_KEY " is no list of values and ranges above 0");
}
