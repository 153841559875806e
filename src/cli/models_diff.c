/* flywheel models diff: what two models' cards and weights have different. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/models.h"
#include "nn/run/safetensors.h"

enum { DEPTH_MAX = 6, NAME_MAX_BYTES = 160 };

/* ---- cards ---- */

static void note(json_t *out, const char *name, json_t *a, json_t *b) {
    if (json_equal(a, b)) return;
    json_object_set_new(out, name, json_pack("[O?,O?]", a ? a : json_null(), b ? b : json_null()));
}

/* Members of one or both, "gate.difference" for what lies inside; as deep as DEPTH_MAX. */
static void compare(json_t *out, const char *prefix, json_t *a, json_t *b, int depth) {
    const char *key;
    json_t *value;
    json_t *all = json_object();
    json_object_update(all, a);
    json_object_update_missing(all, b);
    json_object_foreach(all, key, value) {
        char name[NAME_MAX_BYTES];
        json_t *left = json_object_get(a, key), *right = json_object_get(b, key);
        snprintf(name, sizeof name, "%s%s%.60s", prefix, *prefix ? "." : "", key);
        if ((json_is_object(left) || json_is_object(right)) && depth < DEPTH_MAX)
            compare(out, name, left, right, depth + 1);
        else
            note(out, name, left, right);
    }
    json_decref(all);
}

/* ---- weights ---- */

typedef struct weights {
    char *bytes;
    fw_safetensors file;
} weights;

static fw_status read_weights(fw_models_source *s, const char *hash, weights *out, fw_error *error) {
    char path[FW_PATH_MAX];
    size_t size;
    FW_TRY(fw_models_object(s, hash, path, error));
    FW_TRY(fw_file_read(path, FW_MODELS_FILE_MAX, &out->bytes, &size, error));
    fw_status status = fw_safetensors_read(out->bytes, size, &out->file, error);
    if (status != FW_OK) free(out->bytes);
    return status;
}

static void clear_weights(weights *w) {
    fw_safetensors_clear(&w->file);
    free(w->bytes);
}

static bool same_shape(const fw_tensor *a, const fw_tensor *b) {
    return b && a->dtype == b->dtype && a->dims == b->dims &&
           memcmp(a->shape, b->shape, a->dims * sizeof *a->shape) == 0;
}

/* Euclidean norms of a and of b - a. */
static json_t *compare_tensors(const fw_tensor *a, const fw_tensor *b) {
    double norm = 0, difference = 0;
    uint64_t count = fw_tensor_elements(a);
    if (!same_shape(a, b)) return json_pack("{s:s,s:s}", "name", a->name, "difference", b ? "shape" : "missing");
    if (a->dtype != FW_TENSOR_F32) {
        bool same = memcmp(a->data, b->data, count * fw_tensor_dtype_bytes(a->dtype)) == 0;
        return json_pack("{s:s,s:s}", "name", a->name, "difference", same ? "none" : "bytes");
    }
    for (uint64_t i = 0; i < count; i++) {
        float x, y;
        memcpy(&x, (const char *)a->data + 4 * i, sizeof x);
        memcpy(&y, (const char *)b->data + 4 * i, sizeof y);
        norm += (double)x * (double)x;
        difference += ((double)y - (double)x) * ((double)y - (double)x);
    }
    return json_pack("{s:s,s:I,s:f,s:f}", "name", a->name, "elements", (json_int_t)count, "norm", sqrt(norm),
                     "difference", sqrt(difference));
}

static fw_status compare_weights(fw_models_source *s, const json_t *a, const json_t *b, json_t *out, fw_error *error) {
    weights left, right;
    FW_TRY(read_weights(s, fw_models_text(a, "hash"), &left, error));
    fw_status status = read_weights(s, fw_models_text(b, "hash"), &right, error);
    if (status == FW_OK) {
        for (uint32_t i = 0; i < left.file.count; i++)
            json_array_append_new(
                out, compare_tensors(&left.file.tensors[i],
                                     fw_safetensors_find_any(&right.file, left.file.tensors[i].name)));
        for (uint32_t i = 0; i < right.file.count; i++)
            if (!fw_safetensors_find_any(&left.file, right.file.tensors[i].name))
                json_array_append_new(
                    out, json_pack("{s:s,s:s}", "name", right.file.tensors[i].name, "difference", "new"));
        clear_weights(&right);
    }
    clear_weights(&left);
    return status;
}

/* ---- the answer ---- */

static void print_value(const json_t *value) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    printf("  %s\n", text ? text : "?");
    free(text);
}

static void print_tables(const json_t *fields, const json_t *tensors) {
    const char *name;
    json_t *pair, *row;
    size_t at;
    json_object_foreach((json_t *)fields, name, pair) {
        printf("%s\n", name);
        print_value(json_array_get(pair, 0));
        print_value(json_array_get(pair, 1));
    }
    if (json_array_size(tensors) > 0)
        printf("\n%-24s  %10s  %12s  %12s  %8s\n", "tensor", "elements", "norm", "difference", "share");
    json_array_foreach(tensors, at, row) {
        const json_t *difference = json_object_get(row, "difference");
        double norm = json_number_value(json_object_get(row, "norm")), d = json_number_value(difference);
        printf("%-24.60s  ", fw_models_text(row, "name"));
        if (json_is_string(difference))
            printf("%s\n", json_string_value(difference));
        else
            printf("%10" JSON_INTEGER_FORMAT "  %12.6g  %12.6g  %7.2f%%\n",
                   json_integer_value(json_object_get(row, "elements")), norm, d, norm > 0 ? 100 * d / norm : 0);
    }
}

static fw_status diff(fw_models_source *s, json_t *const cards[2], fw_error *error) {
    json_t *fields = json_object(), *tensors = json_array();
    compare(fields, "", cards[0], cards[1], 0);
    fw_status status = compare_weights(s, cards[0], cards[1], tensors, error);
    if (status == FW_OK && s->options->ask.json) {
        json_t *json = json_pack("{s:O,s:O}", "card", fields, "weights", tensors);
        json_dumpf(json, stdout, JSON_COMPACT), putchar('\n');
        json_decref(json);
    } else if (status == FW_OK) {
        print_tables(fields, tensors);
    }
    json_decref(fields);
    json_decref(tensors);
    return status;
}

fw_status fw_models_diff(const fw_models_options *o, const char *const *words, fw_error *error) {
    fw_models_source s;
    json_t *cards[2] = {NULL, NULL};
    FW_TRY(fw_models_open(o, &s, error));
    fw_status status = FW_OK;
    for (int i = 0; i < 2 && status == FW_OK; i++) {
        status = fw_models_card(&s, words[i], &cards[i], error);
        if (status != FW_OK) break;
        json_object_del(cards[i], "statement");
        json_object_del(cards[i], "self_test");
    }
    if (status == FW_OK) status = diff(&s, cards, error);
    json_decref(cards[0]);
    json_decref(cards[1]);
    fw_models_close(&s);
    return status;
}
