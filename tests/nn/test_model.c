/* Model files: what is written reads back to the same network, byte for byte; hostile ones are refused
 * by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "nn/run/model.h"
#include "nn/run/safetensors.h"
#include "zoo.h"

enum { ROWS = 4 };

static fw_nn_graph *built(const zoo_entry *entry) {
    fw_nn_graph *g = NULL;
    fw_error error = {""};
    assert_int_equal(fw_nn_graph_new(&g, &error), FW_OK);
    entry->build(g);
    if (fw_nn_graph_check(g, &error) != FW_OK) print_error("%s\n", error.text);
    assert_int_equal(fw_nn_graph_check(g, &error), FW_OK);
    return g;
}

static char *written(const fw_nn_graph *g, float **params, size_t *size) {
    fw_nn_layout layout;
    fw_error error = {""};
    char *bytes = NULL;
    json_t *words = json_pack("{s:s}", "line", "zoo");
    assert_int_equal(fw_nn_layout_make(g, &layout, &error), FW_OK);
    *params = fw_nn_vector_new(layout.floats);
    fw_nn_initialise(g, &layout, 9, *params);
    fw_status status = fw_nn_model_write(g, *params, words, &bytes, size, &error);
    if (status != FW_OK) print_error("%s\n", error.text);
    assert_int_equal(status, FW_OK);
    fw_nn_layout_clear(&layout);
    json_decref(words);
    return bytes;
}

/* The outputs of a run, one after another, as bytes. */
static float *outputs_of(const fw_nn_graph *g, const float *params, size_t *count) {
    fw_nn_plan *plan = NULL;
    fw_nn_session *session = NULL;
    fw_error error = {""};
    void *inputs[16];
    uint32_t used = 0;
    float *all = NULL;
    *count = 0;
    assert_int_equal(fw_nn_plan_make(g, &(fw_nn_plan_options){.rows = ROWS}, &plan, &error), FW_OK);
    assert_int_equal(fw_nn_session_new(plan, &session, &error), FW_OK);
    for (uint32_t i = 0; i < g->value_count; i++) {
        if (g->values[i].kind != FW_NN_INPUT) continue;
        fw_random random = fw_random_named(4, g->values[i].name);
        inputs[used++] = zoo_values(&g->values[i], ROWS, &random);
    }
    fw_nn_session_run(session, &(fw_nn_run_args){.parameters = params, .rows = ROWS,
                                                 .inputs = (const void *const *)inputs});
    for (uint32_t i = 0; i < g->output_count; i++) {
        size_t more = ROWS * fw_nn_elements(g->values[g->outputs[i].value].shape);
        all = realloc(all, (*count + more) * sizeof *all);
        memcpy(all + *count, fw_nn_session_value(session, g->outputs[i].value), more * sizeof *all);
        *count += more;
    }
    for (uint32_t i = 0; i < used; i++) free(inputs[i]);
    fw_nn_session_free(session);
    fw_nn_plan_free(plan);
    return all;
}

static void test_round_trip(void **state) {
    (void)state;
    for (size_t i = 0; i < ZOO; i++) {
        fw_nn_graph *g = built(&zoo[i]);
        float *params;
        size_t size, again, count, count2;
        fw_error error = {""};
        fw_nn_model model;
        char *bytes = written(g, &params, &size), *second = NULL;
        fw_status status = fw_nn_model_read(bytes, size, &model, &error);
        if (status != FW_OK) print_error("%s: %s\n", zoo[i].name, error.text);
        assert_int_equal(status, FW_OK);
        assert_string_equal(json_string_value(json_object_get(model.words, "line")), "zoo");
        assert_int_equal(fw_nn_model_write(model.graph, model.params, model.words, &second, &again,
                                           &error), FW_OK);
        assert_int_equal(again, size);
        assert_memory_equal(second, bytes, size);
        float *y = outputs_of(g, params, &count), *y2 = outputs_of(model.graph, model.params, &count2);
        assert_int_equal(count, count2);
        assert_memory_equal(y, y2, count * sizeof *y);
        free(y), free(y2), free(bytes), free(second), free(params);
        fw_nn_model_clear(&model);
        fw_nn_graph_free(g);
    }
}

/* The loss and its target stay behind. */
static void test_only_what_is_needed(void **state) {
    (void)state;
    fw_nn_graph *g = built(&zoo[0]);
    float *params;
    size_t size;
    fw_nn_model model;
    char *bytes = written(g, &params, &size);
    assert_int_not_equal(fw_nn_find(g, "target"), FW_NN_NONE);
    assert_int_equal(fw_nn_model_read(bytes, size, &model, NULL), FW_OK);
    assert_int_equal(fw_nn_find(model.graph, "target"), FW_NN_NONE);
    assert_int_not_equal(fw_nn_find(model.graph, "x"), FW_NN_NONE);
    assert_int_equal(model.graph->node_count, g->node_count - 1);
    fw_nn_model_clear(&model);
    params[3] = 0.0f / 0.0f;
    assert_int_equal(fw_nn_model_write(g, params, NULL, &bytes, &size, NULL), FW_INVALID);
    free(bytes), free(params);
    fw_nn_graph_free(g);
    assert_int_equal(fw_nn_graph_new(&g, NULL), FW_OK);
    (void)fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(3));
    assert_int_equal(fw_nn_model_write(g, NULL, NULL, &bytes, &size, NULL), FW_INVALID);
    fw_nn_graph_free(g);
}

static void test_file(void **state) {
    (void)state;
    char folder[] = "/tmp/fw_model_XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.safetensors", folder);
    fw_nn_graph *g = built(&zoo[2]);
    float *params;
    size_t size;
    fw_nn_model model;
    fw_error error = {""};
    free(written(g, &params, &size));
    assert_int_equal(fw_nn_model_save(g, params, NULL, path, &error), FW_OK);
    assert_int_equal(fw_nn_model_load(path, &model, &error), FW_OK);
    assert_null(model.words);
    fw_nn_model_clear(&model);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_not_equal(fw_nn_model_load(path, &model, &error), FW_OK);
    assert_non_null(strstr(error.text, path));
    unlink(path);
    rmdir(folder);
    free(params);
    fw_nn_graph_free(g);
}

/* A file of one weight (2, 2) with this text as its graph. */
static fw_status read_text(const char *text, fw_error *error) {
    static const float ones[4] = {1, 1, 1, 1};
    fw_tensor tensor = {.name = "w", .dims = 2, .shape = {2, 2}, .data = ones};
    fw_safetensors file = {.count = 1, .tensors = &tensor,
                           .metadata = json_pack("{s:s}", FW_NN_MODEL_KEY, text)};
    char *bytes = NULL;
    size_t size;
    fw_nn_model model;
    assert_int_equal(fw_safetensors_write(&file, &bytes, &size, error), FW_OK);
    fw_status status = fw_nn_model_read(bytes, size, &model, error);
    if (status == FW_OK) fw_nn_model_clear(&model);
    free(bytes);
    fw_safetensors_clear(&file);
    return status;
}

#define X "{\"name\":\"x\",\"shape\":[2],\"dtype\":\"f32\"}"
#define W "{\"name\":\"w\",\"shape\":[2,2],\"init\":\"zero\",\"scale\":0}"
#define GRAPH(inputs, parameters, nodes, outputs)                                                  \
    "{\"version\":1,\"inputs\":[" inputs "],\"parameters\":[" parameters "],\"nodes\":[" nodes     \
    "],\"outputs\":[" outputs "]}"
#define Y "{\"name\":\"y\",\"value\":2}"

static void test_hostile(void **state) {
    (void)state;
    static const struct {
        const char *text;
        fw_status status;
        const char *names;
    } cases[] = {
        {GRAPH(X, W, "{\"name\":\"l\",\"op\":\"linear\",\"inputs\":[0,1]}", Y), FW_OK, ""},
        {"[", FW_CORRUPT, "JSON"},
        {"[]", FW_CORRUPT, "object"},
        {"{}", FW_CORRUPT, "version"},
        {"{\"version\":2}", FW_UNSUPPORTED, "version 2"},
        {"{\"version\":1}", FW_CORRUPT, "inputs"},
        {GRAPH(X, W, "", ""), FW_CORRUPT, "no output"},
        {GRAPH(X, W, "{\"name\":\"l\",\"op\":\"linear\",\"inputs\":[0,2]}", Y), FW_CORRUPT, "node l"},
        {GRAPH(X, W, "{\"name\":\"l\",\"op\":\"linear\",\"inputs\":[0,-1]}", Y), FW_CORRUPT, "node l"},
        {GRAPH(X, W, "{\"name\":\"l\",\"op\":\"linear\",\"inputs\":[0]}", Y), FW_INVALID, "node l"},
        {GRAPH(X, W, "{\"name\":\"l\",\"op\":\"linear\",\"inputs\":[1,0]}", Y), FW_INVALID, "node l"},
        {GRAPH(X, W, "{\"name\":\"l\",\"op\":\"magic\",\"inputs\":[0]}", Y), FW_UNSUPPORTED, "magic"},
        {GRAPH(X, W, "{\"name\":\"l\",\"op\":\"relu_grad\",\"inputs\":[0,0]}", Y), FW_UNSUPPORTED, "l"},
        {GRAPH(X, W, "{\"name\":\"r\",\"op\":\"rope\",\"inputs\":[1],\"i\":[2000000000],\"f\":[9]}", Y),
         FW_INVALID, "node r"},
        {GRAPH(X, W, "{\"name\":\"l\",\"op\":\"clamp\",\"inputs\":[0],\"f\":[0,1e300]}", Y), FW_CORRUPT,
         "node l"},
        {GRAPH(X, W, "{\"name\":\"l\",\"op\":\"clamp\",\"inputs\":[0],\"f\":[\"-inf\",1]}", Y), FW_OK, ""},
        {GRAPH(X, W, "{\"name\":\"l\",\"op\":\"relu\",\"inputs\":[0],\"i\":[1,1,1,1,1,1,1,1,1]}", Y),
         FW_CORRUPT, "node l"},
        {GRAPH(X, W, "{\"name\":\"l\",\"op\":\"relu\",\"inputs\":[0],\"more\":1}", Y), FW_CORRUPT, "l"},
        {GRAPH(X "," X, W, "", Y), FW_INVALID, "input x"},
        {GRAPH("{\"name\":\"x\",\"shape\":[2],\"dtype\":\"i8\"}", W, "", Y), FW_UNSUPPORTED, "x"},
        {GRAPH("{\"name\":\"x\",\"shape\":[0],\"dtype\":\"f32\"}", W, "", Y), FW_CORRUPT, "x"},
        {GRAPH("{\"name\":\"x\",\"shape\":[70000,70000],\"dtype\":\"f32\"}", W, "", Y), FW_INVALID, "x"},
        {GRAPH(X, "", "", "{\"name\":\"y\",\"value\":0}"), FW_CORRUPT, "tensors"},
        {GRAPH(X, "{\"name\":\"w\",\"shape\":[4],\"init\":\"zero\",\"scale\":0}", "",
               "{\"name\":\"y\",\"value\":0}"), FW_CORRUPT, "parameter w"},
        {GRAPH(X, W, "", "{\"name\":\"y\",\"value\":7}"), FW_CORRUPT, "output y"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fw_error error = {""};
        fw_status status = read_text(cases[i].text, &error);
        if (status != cases[i].status || !strstr(error.text, cases[i].names))
            print_error("case %zu: %d, %s\n", i, status, error.text);
        assert_int_equal(status, cases[i].status);
        assert_non_null(strstr(error.text, cases[i].names));
    }
}

int main(int argc, char **argv) {
    /* test_model WRITE_FOLDER: the zoo's files, to start a fuzz corpus from. */
    for (size_t i = 0; argc > 1 && i < ZOO; i++) {
        char path[512];
        fw_nn_graph *g = built(&zoo[i]);
        float *params;
        size_t size;
        free(written(g, &params, &size));
        snprintf(path, sizeof path, "%s/%s", argv[1], zoo[i].name);
        assert_int_equal(fw_nn_model_save(g, params, NULL, path, NULL), FW_OK);
        free(params);
        fw_nn_graph_free(g);
    }
    if (argc > 1) return 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_only_what_is_needed),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
