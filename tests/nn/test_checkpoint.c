/* Checkpoints: a training that stops goes on to the same bits; what does not fit is refused. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "nn/run/layers.h"
#include "nn/train/checkpoint.h"
#include "nn/train/cpu/dnnl.h"

enum { BATCH = 24, HALF = 50 };

static fw_nn_value mlp(fw_nn_graph *g, uint32_t width) {
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape1(12));
    fw_nn_value y = fw_nn_input(g, "y", FW_NN_F32, fw_nn_shape1(3));
    x = fw_nn_apply(g, FW_NN_TANH, "a0", fw_nn_linear(g, "l0", x, width, true));
    x = fw_nn_dropout(g, "drop", x, 0.2f);
    return fw_nn_apply2(g, FW_NN_MSE, "loss", fw_nn_linear(g, "l1", x, 3, true), y);
}

static fw_nn_value lstm(fw_nn_graph *g, uint32_t width) {
    fw_nn_value x = fw_nn_input(g, "x", FW_NN_F32, fw_nn_shape2(4, 3));
    fw_nn_value y = fw_nn_input(g, "y", FW_NN_F32, fw_nn_shape2(4, 2));
    x = fw_nn_linear(g, "o", fw_nn_lstm(g, "lstm", x, width), 2, true);
    return fw_nn_apply2(g, FW_NN_MSE, "loss", x, y);
}

typedef fw_nn_value builder(fw_nn_graph *, uint32_t);

static fw_nn_trainer *new_trainer(builder *build, uint32_t width, fw_nn_method method, float rate) {
    fw_nn_graph *g = NULL;
    fw_nn_trainer *trainer = NULL;
    fw_error error = {""};
    assert_int_equal(fw_nn_graph_new(&g, &error), FW_OK);
    fw_nn_value loss = build(g, width);
    fw_nn_trainer_options options = {
        .batch = BATCH, .tile_rows = 5, .threads = 2, .seed = 11,
        .optimiser = {.method = method, .rate = rate, .momentum = 0.9f, .decay = 0.01f,
                      .clip_norm = 1, .average_keep = 0.9f, .schedule = FW_NN_COSINE,
                      .warmup_steps = 5, .total_steps = 2 * HALF}};
    assert_int_equal(fw_nn_trainer_new(g, loss, &options, &trainer, &error), FW_OK);
    fw_nn_graph_free(g);
    return trainer;
}

/* Steps on batches that the step's number gives. */
static void train(fw_nn_trainer *trainer, uint32_t steps) {
    static float x[BATCH * 12], y[BATCH * 8];
    const void *inputs[] = {x, y};
    fw_error error = {""};
    for (uint32_t s = 0; s < steps; s++) {
        fw_random r = fw_random_indexed(21, fw_nn_trainer_steps(trainer));
        for (size_t i = 0; i < sizeof x / sizeof *x; i++) x[i] = fw_random_normal(&r);
        for (size_t i = 0; i < sizeof y / sizeof *y; i++) y[i] = fw_random_normal(&r);
        assert_int_equal(fw_nn_trainer_step(trainer, inputs, BATCH, NULL, &error), FW_OK);
    }
}

static char folder[] = "/tmp/fw_checkpoint_XXXXXX", path[64];

static void check_resume(builder *build, fw_nn_method method) {
    fw_error error = {""};
    fw_nn_trainer *whole = new_trainer(build, 9, method, 0.01f);
    fw_nn_trainer *first = new_trainer(build, 9, method, 0.01f);
    fw_nn_trainer *second = new_trainer(build, 9, method, 0.01f);
    size_t floats = fw_nn_trainer_layout(whole)->floats;
    train(whole, 2 * HALF);
    train(first, HALF);
    assert_int_equal(fw_nn_trainer_save(first, fw_env_real(), path, &error), FW_OK);
    train(second, 3); /* whatever it was is gone */
    fw_status status = fw_nn_trainer_restore(second, path, &error);
    if (status != FW_OK) print_error("%s\n", error.text);
    assert_int_equal(status, FW_OK);
    assert_int_equal(fw_nn_trainer_steps(second), HALF);
    assert_memory_equal(fw_nn_trainer_parameters(first), fw_nn_trainer_parameters(second),
                        floats * sizeof(float));
    train(second, HALF);
    assert_memory_equal(fw_nn_trainer_parameters(whole), fw_nn_trainer_parameters(second),
                        floats * sizeof(float));
    assert_memory_equal(fw_nn_trainer_average(whole), fw_nn_trainer_average(second),
                        floats * sizeof(float));
    train(first, 1); /* and a training that only half of the way was restored to is another one */
    assert_memory_not_equal(fw_nn_trainer_parameters(first), fw_nn_trainer_parameters(second),
                            floats * sizeof(float));
    fw_nn_trainer_free(whole);
    fw_nn_trainer_free(first);
    fw_nn_trainer_free(second);
}

static void test_resume(void **state) {
    (void)state;
    check_resume(mlp, FW_NN_ADAMW);
    check_resume(mlp, FW_NN_SGD);
    check_resume(lstm, FW_NN_ADAMW);
}

static void test_classes(void **state) {
    (void)state;
    static const char elsewhere[] = "x86-64-v9, oneDNN 9.9.9 avx4096";
    fw_error error = {""};
    char own[FW_NN_CLASS_MAX], both[2 * FW_NN_CLASSES_MAX];
    fw_nn_training_class(own);
    fw_nn_trainer *first = new_trainer(mlp, 9, FW_NN_ADAMW, 0.01f);
    fw_nn_trainer *second = new_trainer(mlp, 9, FW_NN_ADAMW, 0.01f);
    assert_string_equal(fw_nn_trainer_classes(first), own);
    assert_int_equal(fw_nn_trainer_save(first, fw_env_real(), path, &error), FW_OK);
    assert_int_equal(fw_nn_trainer_restore(second, path, &error), FW_OK);
    assert_string_equal(fw_nn_trainer_classes(second), own);
    snprintf(fw_nn_trainer_state_of(first).classes, FW_NN_CLASSES_MAX, "%s", elsewhere);
    snprintf(both, sizeof both, "%s; %s", elsewhere, own);
    for (int i = 0; i < 2; i++) { /* and once more: a class is named once */
        assert_int_equal(fw_nn_trainer_save(first, fw_env_real(), path, &error), FW_OK);
        assert_int_equal(fw_nn_trainer_restore(second, path, &error), FW_OK);
        assert_string_equal(fw_nn_trainer_classes(second), both);
        assert_int_equal(fw_nn_trainer_save(second, fw_env_real(), path, &error), FW_OK);
        assert_int_equal(fw_nn_trainer_restore(first, path, &error), FW_OK);
    }
    fw_nn_trainer_free(first);
    fw_nn_trainer_free(second);
}

static void refused(fw_nn_trainer *trainer, const void *bytes, size_t size, fw_status wanted,
                    const char *names) {
    fw_error error = {""};
    uint64_t steps = fw_nn_trainer_steps(trainer);
    float before = fw_nn_trainer_parameters(trainer)[0];
    fw_status status = fw_nn_checkpoint_read(trainer, bytes, size, &error);
    if (status == FW_OK || !strstr(error.text, names)) print_error("%s\n", error.text);
    assert_int_not_equal(status, FW_OK);
    if (wanted != FW_OK) assert_int_equal(status, wanted);
    assert_non_null(strstr(error.text, names));
    assert_int_equal(fw_nn_trainer_steps(trainer), steps);
    assert_true(fw_nn_trainer_parameters(trainer)[0] == before);
}

static void test_refused(void **state) {
    (void)state;
    fw_error error = {""};
    char *bytes = NULL;
    size_t size = 0;
    fw_nn_trainer *from = new_trainer(mlp, 9, FW_NN_ADAMW, 0.01f);
    train(from, 4);
    assert_int_equal(fw_nn_checkpoint_write(from, &bytes, &size, &error), FW_OK);
    fw_nn_trainer *wider = new_trainer(mlp, 10, FW_NN_ADAMW, 0.01f);
    fw_nn_trainer *other = new_trainer(lstm, 9, FW_NN_ADAMW, 0.01f);
    fw_nn_trainer *faster = new_trainer(mlp, 9, FW_NN_ADAMW, 0.02f);
    refused(wider, bytes, size, FW_MISMATCH, "another network");
    refused(other, bytes, size, FW_MISMATCH, "another network");
    refused(faster, bytes, size, FW_MISMATCH, "rate is 0.00999999978");
    refused(from, "", 0, FW_CORRUPT, "");
    /* Every cut, and every byte changed. */
    for (size_t cut = 0; cut < size; cut += cut < 1200 ? 1 : 97) refused(from, bytes, cut, FW_OK, "");
    for (size_t i = 0; i < size; i += i < 1600 ? 1 : 53) {
        char was = bytes[i];
        bytes[i] = (char)(was ^ 4);
        if (was != ' ') refused(from, bytes, size, FW_OK, "");
        bytes[i] = was;
    }
    assert_int_equal(fw_nn_checkpoint_read(from, bytes, size, &error), FW_OK);
    assert_int_equal(fw_nn_trainer_restore(from, "no/such/file", &error), FW_NOT_FOUND);
    free(bytes);
    fw_nn_trainer_free(from);
    fw_nn_trainer_free(wider);
    fw_nn_trainer_free(other);
    fw_nn_trainer_free(faster);
}

/* A disk that is full leaves the old file; SIGTERM saves and stops. */
static ssize_t no_write(void *self, int fd, const void *bytes, size_t size) {
    (void)self, (void)fd, (void)bytes, (void)size;
    return -1;
}

static void test_long_run(void **state) {
    (void)state;
    fw_error error = {""};
    bool stop = true;
    struct stat st;
    fw_nn_trainer *trainer = new_trainer(mlp, 9, FW_NN_ADAMW, 0.01f);
    fw_nn_keeper keeper = {.path = path, .every_steps = 2, .env = fw_env_real()};
    unlink(path);
    fw_nn_stop_on_signals();
    train(trainer, 1);
    assert_int_equal(fw_nn_keep(&keeper, trainer, &stop, &error), FW_OK);
    assert_false(stop);
    assert_int_not_equal(stat(path, &st), 0);
    train(trainer, 1);
    assert_int_equal(fw_nn_keep(&keeper, trainer, &stop, &error), FW_OK);
    assert_false(stop);
    assert_int_equal(stat(path, &st), 0);
    train(trainer, 1);
    fw_env full = *fw_env_real();
    full.write = no_write;
    assert_int_not_equal(fw_nn_trainer_save(trainer, &full, path, &error), FW_OK);
    assert_int_equal(fw_nn_trainer_restore(trainer, path, &error), FW_OK);
    assert_int_equal(fw_nn_trainer_steps(trainer), 2);
    train(trainer, 1);
    raise(SIGTERM);
    assert_int_equal(fw_nn_keep(&keeper, trainer, &stop, &error), FW_OK);
    assert_true(stop);
    train(trainer, 1);
    assert_int_equal(fw_nn_trainer_restore(trainer, path, &error), FW_OK);
    assert_int_equal(fw_nn_trainer_steps(trainer), 3);
    fw_nn_trainer_free(trainer);
}

int main(void) {
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/c.safetensors", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_classes), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_long_run),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(folder);
    return failed;
}
