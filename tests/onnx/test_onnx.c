/* ONNX: what is exported comes back exactly; files of others are read; hostile ones are refused.
 *
 *   test_onnx FOLDER   writes networks, inputs and our outputs there, for web/test/onnx.test.mjs, which
 *                      runs them through ONNX Runtime */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../nn/zoo.h"
#include "nn/onnx/onnx.h"

enum { ROWS = 3 };

/* The network with parameters made by chance. */
static fw_nn_model made(const zoo_entry *entry) {
    fw_nn_graph *g = NULL;
    fw_nn_layout layout;
    fw_nn_model model;
    fw_error error = {""};
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(fw_nn_graph_new(&g, &error), FW_OK);
    entry->build(g);
    assert_int_equal(fw_nn_layout_make(g, &layout, &error), FW_OK);
    float *params = fw_nn_vector_new(layout.floats);
    fw_nn_initialise(g, &layout, 3, params);
    json_t *words = json_pack("{s:s, s:s}", "line", "zoo", "a", "b");
    fw_status status = fw_nn_model_write(g, params, words, &bytes, &size, &error);
    if (status == FW_OK) status = fw_nn_model_read(bytes, size, &model, &error);
    if (status != FW_OK) print_error("%s: %s\n", entry->name, error.text);
    assert_int_equal(status, FW_OK);
    json_decref(words);
    free(bytes), free(params);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(g);
    return model;
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
    for (size_t i = 0; i < ZOO; i++) {
        char path[512];
        size_t size = 0;
        fw_nn_model model = made(&zoo[i]);
        char *bytes = exported(&model, &size);
        json_t *json = run(&model);
        snprintf(path, sizeof path, "%s/%s.onnx", folder, zoo[i].name);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) return 1;
        snprintf(path, sizeof path, "%s/%s.json", folder, zoo[i].name);
        if (json_dump_file(json, path, 0) != 0) return 1;
        json_decref(json);
        free(bytes);
        fw_nn_model_clear(&model);
    }
    return 0;
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

/* @OTHERS@ */

int main(int argc, char **argv) {
    if (argc > 1) return write_cases(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back_and_forth),
        /* @LIST@ */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
