/* `flywheel nn` as a person runs it: summary, profile, check, to ONNX and back to the same file. */

#include "program.h"
#include <jansson.h>

#include "base/file.h"
#include "lines/driving/act/network.h"
#include "nn/run/layers.h"
#include "nn/run/model.h"
#include "nn/run/safetensors.h"

static char folder[64], output[1 << 16];

/* A small network on disk: model, and another with a loss as its output, which ONNX does not take. */
static void save(const char *name, bool loss) {
    char path[100];
    fw_nn_graph *g = NULL;
    fw_nn_layout layout;
    assert_int_equal(fw_nn_graph_new(&g, NULL), FW_OK);
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(12));
    fw_nn_value y = fw_nn_linear(g, "first", x, 32, true);
    y = fw_nn_apply(g, FW_NN_RELU, "relu", y);
    y = fw_nn_linear(g, "second", y, 12, true);
    if (loss) y = fw_nn_apply2(g, FW_NN_MSE, "error", y, x);
    fw_nn_output_add(g, "y", y);
    assert_int_equal(fw_nn_layout_make(g, &layout, NULL), FW_OK);
    float *params = fw_nn_vector_new(layout.floats);
    fw_nn_initialise(g, &layout, 1, params);
    json_t *words = json_pack("{s:s}", "line", "test");
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(fw_nn_model_save(g, params, words, path, NULL), FW_OK);
    json_decref(words);
    free(params);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(g);
}

static int start(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/fw-nn-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    save("model", false);
    save("loss", true);
    return 0;
}

static int stop(void **state) {
    (void)state;
    return fw_folder_remove(folder, NULL) == FW_OK ? 0 : -1;
}

static int run(const char *words) {
    char command[600];
    snprintf(command, sizeof command, "cd %s && %s nn %s </dev/null 2>&1", folder, PROGRAM, words);
    return run_command(command, output, sizeof output);
}

static void test_summary(void **state) {
    (void)state;
    assert_int_equal(run("summary model --rows 4"), 0);
    assert_non_null(strstr(output, "f32 (N, 32)"));
    assert_non_null(strstr(output, "3 nodes, 812 parameters (3.19 KiB)"));
    assert_non_null(strstr(output, "CPU class "));
    assert_int_equal(run("summary model --rows 4 --json"), 0);
    json_t *json = json_loads(output, 0, NULL);
    assert_non_null(json);
    assert_int_equal(json_integer_value(json_object_get(json, "parameters")), 812);
    assert_int_equal(json_array_size(json_object_get(json, "nodes")), 3);
    assert_true(json_real_value(json_object_get(json, "flops")) == 4 * (2.0 * 12 * 32 * 2 + 32));
    assert_true(json_integer_value(json_object_get(json, "arena_bytes")) >=
                json_integer_value(json_object_get(json, "bound_bytes")));
    json_decref(json);
}

static void test_profile_and_check(void **state) {
    (void)state;
    assert_int_equal(run("profile model --rows 8 --runs 5 --json"), 0);
    json_t *json = json_loads(output, 0, NULL);
    assert_non_null(json);
    assert_true(json_array_size(json_object_get(json, "steps")) >= 2);
    assert_true(json_real_value(json_object_get(json, "gflops_ps")) > 0);
    json_decref(json);
    assert_int_equal(run("profile model"), 0);
    assert_non_null(strstr(output, "GFLOP/s"));
    assert_int_equal(run("check model --rows 3"), 0);
    assert_non_null(strstr(output, "the same bits"));
    assert_non_null(strstr(output, "read again: the same network"));
    assert_int_equal(run("check model --json"), 0);
    assert_non_null(strstr(output, "\"ok\":true"));
    assert_int_equal(run("check loss"), 0); /* a whole network, though ONNX does not take it */
    assert_non_null(strstr(output, "node error (mse)"));
}

/* Files that are no network, or no longer one: what is wrong, and exit status 1. */
static void test_damaged(void **state) {
    (void)state;
    static const struct {
        const char *make, *said;
    } damaged[] = {
        {": >bad", "neither one of ours nor ONNX"},
        {"echo hello, this is some text >bad", "neither one of ours nor ONNX"},
        {"head -c 300 model >bad", "model header of"},
        {"head -c $(($(wc -c <model) - 9)) model >bad", "bad:"},
        {"sed 's/linear/lineal/' model >bad", "lineal"},
        {"sed 's/first.weight/first.weighs/' model >bad", "first.weigh"},
        {"sed 's/32,12/31,12/' model >bad", "first"},
        {"(head -c $(($(wc -c <model) - 4)) model; printf '\\000\\000\\300\\177') >bad", "finite"}, /* a NaN */
        {"head -c 200 m.onnx >bad.onnx; cp bad.onnx bad", "ONNX"},
    };
    char command[700];
    assert_int_equal(run("export model -o m.onnx"), 0);
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        snprintf(command, sizeof command, "cd %s && %s", folder, damaged[i].make);
        assert_int_equal(system(command), 0);
        assert_int_equal(run("check bad"), 1);
        if (!strstr(output, damaged[i].said)) print_error("%s: %s", damaged[i].make, output);
        assert_non_null(strstr(output, damaged[i].said));
        assert_int_equal(run("check bad --json 2>/dev/null"), 1);
        assert_non_null(strstr(output, "\"ok\":false"));
        assert_int_equal(run("summary bad"), 1);
        assert_int_equal(run("profile bad"), 1);
    }
}

/* The driving line's model as it lies in a factory: to ONNX, and there what it is here. */
static void test_driving(void **state) {
    (void)state;
    char path[100], command[200];
    fw_nn_graph *g = NULL;
    fw_nn_layout layout;
    assert_int_equal(fw_drive_network_graph(FW_DRIVE_HIDDEN, &g, NULL), FW_OK);
    assert_int_equal(fw_nn_layout_make(g, &layout, NULL), FW_OK);
    float *params = fw_nn_vector_new(layout.floats);
    fw_nn_initialise(g, &layout, 1, params);
    snprintf(path, sizeof path, "%s/driving.safetensors", folder);
    assert_int_equal(fw_drive_network_save(g, params, NULL, path, NULL, NULL), FW_OK);
    free(params);
    fw_nn_layout_clear(&layout);
    fw_nn_graph_free(g);
    assert_int_equal(run("summary driving.safetensors"), 0);
    assert_non_null(strstr(output, "features_version"));
    assert_int_equal(run("export driving.safetensors -o d.onnx"), 0);
    assert_int_equal(run("check d.onnx"), 0);
    assert_int_equal(run("import d.onnx -o back.safetensors"), 0);
    snprintf(command, sizeof command, "cd %s && cmp driving.safetensors back.safetensors", folder);
    assert_int_equal(system(command), 0);
}

static void test_onnx(void **state) {
    (void)state;
    char a[100], b[100], *first, *second;
    size_t size, size2;
    assert_int_equal(run("export model --out m.onnx"), 0);
    assert_int_equal(run("check --onnx m.onnx"), 0);
    assert_int_equal(run("import m.onnx --out back"), 0);
    snprintf(a, sizeof a, "%s/model", folder);
    snprintf(b, sizeof b, "%s/back", folder);
    assert_int_equal(fw_file_read(a, 1 << 20, &first, &size, NULL), FW_OK);
    assert_int_equal(fw_file_read(b, 1 << 20, &second, &size2, NULL), FW_OK);
    assert_int_equal(size, size2);
    assert_memory_equal(first, second, size);
    free(first), free(second);
    assert_int_equal(run("export loss --out l.onnx"), 1);
    assert_non_null(strstr(output, "node error (mse)"));
    assert_int_equal(run("import model --out x"), 1);
    assert_int_equal(run("summary m.onnx"), 0);
    assert_non_null(strstr(output, "812 parameters"));
}

/* Examples of x (rows, width) as a file. */
static void save_examples(const char *name, const char *tensor, uint64_t rows, uint64_t width) {
    static float x[100 * 12];
    char path[100], *bytes = NULL;
    size_t size;
    for (int i = 0; i < 1200; i++) x[i] = (float)(i % 17) / 8 - 1;
    fw_tensor t = {.dims = 2, .shape = {rows, width}, .data = x};
    snprintf(t.name, sizeof t.name, "%s", tensor);
    fw_safetensors file = {.count = 1, .tensors = &t};
    assert_int_equal(fw_safetensors_write(&file, &bytes, &size, NULL), FW_OK);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(fw_file_write_durable(fw_env_real(), path, bytes, size, NULL), FW_OK);
    free(bytes);
}

static void test_quantise(void **state) {
    (void)state;
    save_examples("good", "x", 100, 12);
    save_examples("other", "z", 100, 12);
    save_examples("narrow", "x", 100, 11);
    assert_int_equal(run("profile model --precision int8"), 1); /* not quantised yet */
    assert_non_null(strstr(output, "quantise"));
    assert_int_equal(run("quantise model --with good --share 100 -o q --json"), 0);
    json_t *json = json_loads(output, 0, NULL), *first = json_array_get(json_object_get(json, "nodes"), 0);
    assert_non_null(json);
    assert_int_equal(json_array_size(json_object_get(json, "nodes")), 2); /* the ReLU is fused */
    assert_string_equal(json_string_value(json_object_get(first, "kernels")), "int8");
    assert_true(json_real_value(json_object_get(first, "range")) == 1);
    double error = json_real_value(json_object_get(json, "error"));
    assert_true(error > 0 && error < 0.02);
    json_decref(json);
    assert_int_equal(run("quantise q --with good -o again"), 0);
    assert_non_null(strstr(output, "from fp32"));
    assert_int_equal(run("profile q --precision int8 --runs 5"), 0);
    assert_non_null(strstr(output, "int8"));
    assert_int_equal(run("check q --precision int8"), 0);
    assert_int_equal(run("check q --precision bf16"), 0);
    assert_int_equal(run("quantise model --with other -o q2"), 1);
    assert_non_null(strstr(output, "no tensor x"));
    assert_int_equal(run("quantise model --with narrow -o q2"), 1);
    assert_non_null(strstr(output, "f32 (N, 12)"));
    assert_int_equal(run("quantise model --with model -o q2"), 1);
    assert_int_equal(run("quantise model --with good --share 101 -o q2"), 2);
}

static void test_usage(void **state) {
    (void)state;
    static const char *const wrong[] = {"", "dance model", "summary", "summary model --out x",
                                        "export model", "summary model --onnx m", "check a b c",
                                        "check model --rows 0", "quantise model -o x",
                                        "quantise model --with good", "summary model --with good",
                                        "profile model --precision fp8"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_int_equal(run(wrong[i]), 2);
    assert_int_equal(run("--help"), 0);
    assert_int_equal(run("summary gone"), 1);
    assert_non_null(strstr(output, "gone"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_profile_and_check),
        cmocka_unit_test(test_onnx),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_driving),
        cmocka_unit_test(test_quantise),
        cmocka_unit_test(test_usage),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
