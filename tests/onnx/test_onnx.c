/* ONNX: what is exported comes back exactly; files of others are read; hostile ones are refused.
 *
 *   test_onnx FOLDER      writes networks, inputs and our outputs there, for web/test/onnx.test.mjs, which
 *                         runs them through ONNX Runtime
 *   test_onnx FILE.onnx   reads somebody's network; inputs and our outputs go to FILE.onnx.json */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../nn/zoo.h"
#include "base/file.h"
#include "lines/driving/act/network.h"
#include "nn/onnx/onnx.h"

enum { ROWS = 3 };

/* The network with parameters made by chance. Takes g. */
static fw_nn_model model_of(fw_nn_graph *g, const char *name) {
    fw_nn_layout layout;
    fw_nn_model model = {0};
    fw_error error = {""};
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(fw_nn_layout_make(g, &layout, &error), FW_OK);
    float *params = fw_nn_vector_new(layout.floats);
    fw_nn_initialise(g, &layout, 3, params);
    json_t *words = json_pack("{s:s, s:s}", "line", "zoo", "a", "b");
    fw_status status = fw_nn_model_write(g, params, words, &bytes, &size, &error);
    if (status == FW_OK) status = fw_nn_model_read(bytes, size, &model, &error);
    if (status != FW_OK) print_error("%s: %s\n", name, error.text);
    assert_int_equal(status, FW_OK);
    json_decref(words);
    free(bytes), free(params);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(g);
    return model;
}

static fw_nn_model made(const zoo_entry *entry) {
    fw_nn_graph *g = NULL;
    assert_int_equal(fw_nn_graph_new(&g, NULL), FW_OK);
    entry->build(g);
    return model_of(g, entry->name);
}

/* What the driving line trains. */
static fw_nn_model driving(void) {
    fw_nn_graph *g = NULL;
    assert_int_equal(fw_drive_network_graph(FW_DRIVE_HIDDEN, &g, NULL), FW_OK);
    return model_of(g, "driving");
}

static char *exported(const fw_nn_model *model, size_t *size) {
    fw_error error = {""};
    char *bytes = NULL;
    fw_status status = fw_onnx_export(model, &bytes, size, &error);
    if (status != FW_OK) print_error("%s\n", error.text);
    assert_int_equal(status, FW_OK);
    return bytes;
}

static json_t *array_of(const void *data, const fw_nn_value_info *info) {
    json_t *dims = json_pack("[i]", ROWS), *values = json_array();
    const float *floats = data;
    const int32_t *ids = data;
    if (!info->batched) json_array_clear(dims);
    for (uint32_t i = 0; i < info->shape.dims; i++)
        json_array_append_new(dims, json_integer((json_int_t)info->shape.d[i]));
    for (size_t i = 0; i < (info->batched ? ROWS : 1) * fw_nn_elements(info->shape); i++)
        json_array_append_new(values, info->dtype == FW_NN_I32 ? json_integer(ids[i])
                                                               : json_real((double)floats[i]));
    return json_pack("{s:s, s:o, s:o}", "type", info->dtype == FW_NN_I32 ? "int32" : "float32",
                     "dims", dims, "data", values);
}

/* Inputs by chance and what we make of them. */
static json_t *run(const fw_nn_model *model) {
    const fw_nn_graph *g = model->graph;
    fw_nn_plan *plan = NULL;
    fw_nn_session *session = NULL;
    fw_error error = {""};
    void *inputs[16];
    uint32_t used = 0;
    json_t *in = json_object(), *out = json_object();
    assert_int_equal(fw_nn_plan_make(g, &(fw_nn_plan_options){.rows = ROWS}, &plan, &error), FW_OK);
    assert_int_equal(fw_nn_session_new(plan, &session, &error), FW_OK);
    for (uint32_t i = 0; i < g->value_count; i++) {
        if (g->values[i].kind != FW_NN_INPUT) continue;
        fw_random random = fw_random_named(4, g->values[i].name);
        inputs[used] = zoo_values(&g->values[i], ROWS, &random);
        json_object_set_new(in, g->values[i].name, array_of(inputs[used++], &g->values[i]));
    }
    fw_nn_session_run(session, &(fw_nn_run_args){.parameters = model->params, .rows = ROWS,
                                                 .inputs = (const void *const *)inputs});
    for (uint32_t i = 0; i < g->output_count; i++)
        json_object_set_new(out, g->outputs[i].name,
                            array_of(fw_nn_session_value(session, g->outputs[i].value),
                                     &g->values[g->outputs[i].value]));
    for (uint32_t i = 0; i < used; i++) free(inputs[i]);
    fw_nn_session_free(session);
    fw_nn_plan_free(plan);
    return json_pack("{s:o, s:o}", "inputs", in, "outputs", out);
}

static int write_cases(const char *folder) {
    for (size_t i = 0; i <= ZOO; i++) {
        char path[512];
        size_t size = 0;
        const char *name = i < ZOO ? zoo[i].name : "driving";
        fw_nn_model model = i < ZOO ? made(&zoo[i]) : driving();
        char *bytes = exported(&model, &size);
        json_t *json = run(&model);
        snprintf(path, sizeof path, "%s/%s.onnx", folder, name);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) return 1;
        snprintf(path, sizeof path, "%s/%s.json", folder, name);
        if (json_dump_file(json, path, 0) != 0) return 1;
        json_decref(json);
        free(bytes);
        fw_nn_model_clear(&model);
    }
    return 0;
}

static int read_case(const char *path) {
    char *bytes = NULL, out[600];
    size_t size = 0;
    fw_nn_model model;
    fw_error error = {""};
    fw_status status = fw_file_read(path, 1 << 26, &bytes, &size, &error);
    if (status == FW_OK) status = fw_onnx_import(bytes, size, &model, &error);
    free(bytes);
    if (status != FW_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    json_t *json = run(&model);
    snprintf(out, sizeof out, "%.500s.json", path);
    int failed = json_dump_file(json, out, 0);
    json_decref(json);
    fw_nn_model_clear(&model);
    return failed ? 1 : 0;
}

static void test_back_and_forth(void **state) {
    (void)state;
    for (size_t i = 0; i < ZOO; i++) {
        size_t size, again;
        fw_nn_model model = made(&zoo[i]), back;
        fw_error error = {""};
        char *bytes = exported(&model, &size);
        fw_status status = fw_onnx_import(bytes, size, &back, &error);
        if (status != FW_OK) print_error("%s: %s\n", zoo[i].name, error.text);
        assert_int_equal(status, FW_OK);
        char *second = exported(&back, &again), *one, *two;
        assert_int_equal(size, again);
        assert_memory_equal(bytes, second, size);
        assert_int_equal(fw_nn_model_write(model.graph, model.params, model.words, &one, &size,
                                           &error), FW_OK);
        assert_int_equal(fw_nn_model_write(back.graph, back.params, back.words, &two, &again,
                                           &error), FW_OK);
        assert_int_equal(size, again);
        assert_memory_equal(one, two, size);
        free(bytes), free(second), free(one), free(two);
        fw_nn_model_clear(&model);
        fw_nn_model_clear(&back);
    }
}

/* ---- files of others ---- */

static float *outputs_of(const fw_nn_model *model, size_t *count) {
    json_t *json = run(model), *value;
    const char *key;
    float *all = NULL;
    *count = 0;
    json_object_foreach(json_object_get(json, "outputs"), key, value) {
        const json_t *data = json_object_get(value, "data");
        all = realloc(all, (*count + json_array_size(data)) * sizeof *all);
        for (size_t i = 0; i < json_array_size(data); i++)
            all[(*count)++] = (float)json_number_value(json_array_get(data, i));
    }
    json_decref(json);
    return all;
}

/* The same nodes without our graph beside them: malloc'd. */
static char *foreign(const fw_nn_model *model, size_t *size) {
    char *bytes = exported(model, size);
    char *key = memmem(bytes, *size, FW_NN_MODEL_KEY, strlen(FW_NN_MODEL_KEY));
    assert_non_null(key);
    *key = 'F';
    return bytes;
}

/* Read operator by operator. Takes the model. */
static void read_as_foreign(fw_nn_model model, const char *name) {
    size_t size, count, count2;
    fw_nn_model back;
    fw_error error = {""};
    char *bytes = foreign(&model, &size);
    fw_status status = fw_onnx_import(bytes, size, &back, &error);
    if (status != FW_OK) print_error("%s: %s\n", name, error.text);
    assert_int_equal(status, FW_OK);
    float *y = outputs_of(&model, &count), *y2 = outputs_of(&back, &count2);
    assert_int_equal(count, count2);
    for (size_t n = 0; n < count; n++) assert_true(y[n] - y2[n] < 1e-5f && y2[n] - y[n] < 1e-5f);
    free(y), free(y2), free(bytes);
    fw_nn_model_clear(&model);
    fw_nn_model_clear(&back);
}

/* All but those with a mask that may hide every key, sets, and indices into values. */
/* Every operator of inference stands in a network that is exported and run by ONNX Runtime too. */
static void test_every_operator(void **state) {
    (void)state;
    bool seen[FW_NN_OP_COUNT] = {false};
    for (size_t i = 0; i < ZOO; i++) {
        fw_nn_model model = made(&zoo[i]);
        for (uint32_t n = 0; n < model.graph->node_count; n++) seen[model.graph->nodes[n].op] = true;
        fw_nn_model_clear(&model);
    }
    seen[FW_NN_ENTROPY] = true; /* of training alone, as all that follow the dropout */
    for (uint32_t op = 0; op <= FW_NN_DROPOUT; op++)
        if (!seen[op]) fail_msg("%s is in no network of tests/nn/zoo.h", fw_nn_op_name(op));
}

static void test_without_the_graph(void **state) {
    (void)state;
    static const char *const names[] = {"mlp",         "elements",  "cnn",   "series",
                                        "transformer", "recurrent", "states"};
    size_t tried = 0;
    for (size_t n = 0; n < sizeof names / sizeof *names; n++)
        for (size_t i = 0; i < ZOO; i++) {
            if (strcmp(zoo[i].name, names[n]) != 0) continue;
            read_as_foreign(made(&zoo[i]), names[n]);
            tried++;
        }
    assert_int_equal(tried, sizeof names / sizeof *names);
}

/* The driving network's maximum over a masked set is read from our graph beside the nodes; from the nodes
 * alone it is refused by name. */
static void test_a_set_without_the_graph(void **state) {
    (void)state;
    size_t size;
    fw_nn_model model = driving(), back;
    fw_error error = {""};
    char *bytes = foreign(&model, &size);
    assert_int_equal(fw_onnx_import(bytes, size, &back, &error), FW_UNSUPPORTED);
    assert_non_null(strstr(error.text, "user.most"));
    free(bytes);
    fw_nn_model_clear(&model);
}

/* A file in the making, by the wire format: fields with a number or with bytes. */
typedef struct wire {
    uint8_t bytes[8192];
    size_t size;
} wire;

static void varint(wire *w, uint64_t value) {
    for (; value >= 0x80; value >>= 7) w->bytes[w->size++] = (uint8_t)(value | 0x80);
    w->bytes[w->size++] = (uint8_t)value;
}
static void number(wire *w, uint32_t field, uint64_t set) {
    varint(w, field << 3);
    varint(w, set);
}
static void part(wire *w, uint32_t field, const void *bytes, size_t size) {
    varint(w, field << 3 | 2);
    varint(w, size);
    if (size > 0) memcpy(w->bytes + w->size, bytes, size);
    w->size += size;
}
static void text(wire *w, uint32_t field, const char *words) {
    part(w, field, words, strlen(words));
}

static void tensor(wire *graph, const char *name, uint64_t rows, uint64_t columns,
                   const float *data) {
    wire t = {.size = 0};
    if (rows) number(&t, 1, rows);
    number(&t, 1, columns);
    number(&t, 2, 1);
    text(&t, 8, name);
    part(&t, 9, data, data ? (rows ? rows : 1) * columns * sizeof *data : 0);
    part(graph, 5, t.bytes, t.size);
}
static void value(wire *graph, uint32_t field, const char *name, uint64_t width) {
    wire v = {.size = 0}, type = {.size = 0}, inner = {.size = 0}, shape = {.size = 0}, d = {.size = 0};
    text(&d, 2, "batch");
    part(&shape, 1, d.bytes, d.size);
    d.size = 0;
    number(&d, 1, width);
    part(&shape, 1, d.bytes, d.size);
    number(&inner, 1, 1);
    part(&inner, 2, shape.bytes, shape.size);
    part(&type, 1, inner.bytes, inner.size);
    text(&v, 1, name);
    part(&v, 2, type.bytes, type.size);
    part(graph, field, v.bytes, v.size);
}
/* inputs: names with spaces between; attribute: an integer one, or NULL. */
static void node(wire *graph, const char *op, const char *inputs, const char *output,
                 const char *attribute, uint64_t set) {
    wire n = {.size = 0}, a = {.size = 0};
    char copy[64], *save = NULL;
    snprintf(copy, sizeof copy, "%s", inputs);
    for (char *in = strtok_r(copy, " ", &save); in; in = strtok_r(NULL, " ", &save)) text(&n, 1, in);
    text(&n, 2, output);
    text(&n, 4, op);
    if (attribute) {
        text(&a, 1, attribute);
        number(&a, 3, set);
        number(&a, 20, 2);
        part(&n, 5, a.bytes, a.size);
    }
    part(graph, 1, n.bytes, n.size);
}
static fw_status import(const wire *graph, fw_nn_model *out, fw_error *error) {
    wire m = {.size = 0};
    number(&m, 1, 8);
    part(&m, 7, graph->bytes, graph->size);
    return fw_onnx_import(m.bytes, m.size, out, error);
}

/* As PyTorch writes an MLP: Gemm with transB; and a linear layer over more dimensions: MatMul, Add. */
static void test_as_pytorch_writes(void **state) {
    (void)state;
    static const float w[6] = {1, 2, 3, 4, 5, 6}, b[2] = {0.5f, -1}, w2[4] = {1, 2, 3, 4};
    wire g = {.size = 0};
    fw_error error = {""};
    fw_nn_model model;
    size_t count = 0;
    tensor(&g, "0.weight", 2, 3, w);
    tensor(&g, "0.bias", 0, 2, b);
    tensor(&g, "onnx::MatMul_7", 2, 2, w2);
    value(&g, 11, "input.1", 3);
    node(&g, "Gemm", "input.1 0.weight 0.bias", "a", "transB", 1);
    node(&g, "Relu", "a", "b", NULL, 0);
    node(&g, "MatMul", "b onnx::MatMul_7", "c", NULL, 0);
    node(&g, "Add", "0.bias c", "out put", NULL, 0);
    value(&g, 12, "out put", 2);
    fw_status status = import(&g, &model, &error);
    if (status != FW_OK) print_error("%s\n", error.text);
    assert_int_equal(status, FW_OK);
    assert_int_not_equal(fw_nn_find(model.graph, "out_put"), FW_NN_NONE);
    float x[3 * ROWS], *y = outputs_of(&model, &count);
    assert_int_equal(count, 2 * ROWS);
    fw_random random = fw_random_named(4, "input.1");
    for (size_t i = 0; i < 3 * ROWS; i++) x[i] = fw_random_normal(&random);
    for (size_t r = 0; r < ROWS; r++) {
        float h[2];
        for (size_t o = 0; o < 2; o++) {
            h[o] = w[3 * o] * x[3 * r] + w[3 * o + 1] * x[3 * r + 1] + w[3 * o + 2] * x[3 * r + 2] + b[o];
            h[o] = h[o] > 0 ? h[o] : 0;
        }
        for (size_t o = 0; o < 2; o++) {
            float wanted = h[0] * w2[o] + h[1] * w2[2 + o] + b[o];
            assert_true(y[2 * r + o] - wanted < 1e-4f && wanted - y[2 * r + o] < 1e-4f);
        }
    }
    free(y);
    fw_nn_model_clear(&model);
}

static void refused(const wire *g, const char *names) {
    fw_error error = {""};
    fw_nn_model model;
    fw_status status = import(g, &model, &error);
    if (!strstr(error.text, names)) print_error("%s\n", error.text);
    assert_int_not_equal(status, FW_OK);
    assert_non_null(strstr(error.text, names));
}

static void test_hostile(void **state) {
    (void)state;
    static const float w[6] = {1, 2, 3, 4, 5, 6};
    wire g = {.size = 0}, start;
    tensor(&g, "w", 2, 3, w);
    value(&g, 11, "x", 3);
    refused(&g, "no output");
    value(&g, 12, "y", 3);
    start = g;
    refused(&g, "output y is none");
    node(&g, "Magic", "x", "y", NULL, 0);
    refused(&g, "node0 (Magic): the operator is not read");
    g = start, node(&g, "Magic", "x", "a", NULL, 0), node(&g, "Relu", "a", "y", NULL, 0);
    refused(&g, "Magic"); /* the first one that is not read is named */
    g = start, node(&g, "Gemm", "x w", "y", NULL, 0);
    refused(&g, "Gemm"); /* (2, 3) the wrong way round */
    g = start, node(&g, "Gemm", "x gone", "y", NULL, 0);
    refused(&g, "gone is made by no node before it");
    g = start, node(&g, "Relu", "b", "a", NULL, 0), node(&g, "Relu", "a", "b", NULL, 0);
    refused(&g, "b is made by no node before it"); /* round in a circle */
    g = start, node(&g, "Relu", "x", "x", NULL, 0);
    refused(&g, "twice");
    g = start, node(&g, "Unsqueeze", "x", "y", NULL, 0);
    refused(&g, "its axes are none");
    g = start, node(&g, "Conv", "x w", "y", NULL, 0);
    refused(&g, "Conv");
    g = start, node(&g, "Softmax", "x", "y", "axis", 0);
    refused(&g, "the batch");
    g = start, node(&g, "Softmax", "x", "y", "axis", 5);
    refused(&g, "no axis 5");
    g = start, value(&g, 12, "w", 3);
    node(&g, "Relu", "x", "y", NULL, 0);
    refused(&g, "output w");
    g = start, value(&g, 11, "v", 1u << 31);
    refused(&g, "input v: axis 1 has 2147483648 elements");
    g = start, value(&g, 11, "v", (uint64_t)-3);
    refused(&g, "input v: axis 1 has -3 elements");
    g = start, tensor(&g, "w", 2, 3, w);
    refused(&g, "twice");
    g = start, tensor(&g, "huge", 1u << 31, 1u << 31, NULL);
    refused(&g, "huge");
    wire lie = {.size = 0};
    number(&lie, 1, 1000), number(&lie, 2, 1), text(&lie, 8, "lie"), part(&lie, 9, w, 8);
    g = start, part(&g, 5, lie.bytes, lie.size), node(&g, "Mul", "x lie", "y", NULL, 0);
    refused(&g, "tensor lie: its data are of another size");
    /* Its numbers in another file, wherever that lies. */
    wire away = {.size = 0}, where = {.size = 0};
    text(&where, 1, "location"), text(&where, 2, "../../etc/passwd");
    number(&away, 1, 3), number(&away, 2, 1), text(&away, 8, "away"), part(&away, 13, where.bytes, where.size);
    g = start, part(&g, 5, away.bytes, away.size);
    refused(&g, "external data");
    /* Graphs within attributes, as deep as the file likes. */
    wire deep = {.size = 0};
    for (int i = 0; i < 300; i++) {
        wire attribute = {.size = 0}, inner = {.size = 0}, graph = {.size = 0};
        part(&attribute, 6, deep.bytes, deep.size);
        part(&inner, 5, attribute.bytes, attribute.size);
        part(&graph, 1, inner.bytes, inner.size);
        deep = graph;
    }
    refused(&deep, "nested");
}

/* An export cut at every byte, and with each byte changed: refused, or a network all the same. */
static void test_damaged(void **state) {
    (void)state;
    size_t size;
    fw_nn_model model = made(&zoo[3]), back;
    char *bytes = exported(&model, &size);
    for (size_t i = 0; i < 2 * size; i++) {
        size_t used = i < size ? i : size;
        fw_error error = {""};
        char *copy = malloc(used + 1);
        memcpy(copy, bytes, used);
        if (i >= size) copy[i - size] = (char)(copy[i - size] ^ 0x11);
        if (fw_onnx_import(copy, used, &back, &error) == FW_OK) fw_nn_model_clear(&back);
        else assert_true(error.text[0] != '\0');
        free(copy);
    }
    free(bytes);
    fw_nn_model_clear(&model);
}

int main(int argc, char **argv) {
    size_t length = argc > 1 ? strlen(argv[1]) : 0;
    if (length > 5 && strcmp(argv[1] + length - 5, ".onnx") == 0) return read_case(argv[1]);
    if (argc > 1) return write_cases(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back_and_forth),
        cmocka_unit_test(test_every_operator), cmocka_unit_test(test_without_the_graph),
        cmocka_unit_test(test_a_set_without_the_graph),
        cmocka_unit_test(test_as_pytorch_writes),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
