/* The small network: gradients against central differences, inference against training. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "nn/train/mlp_train.h"

enum { ROWS = 13 };
static const fw_mlp_shape shape = {21, 19, 13};

typedef struct pass {
    float x[ROWS * 21], h0[ROWS * 19], h1[ROWS * 19], y[ROWS * 13], dy[ROWS * 13];
} pass;

static void fill(float *to, size_t count, fw_random *r, float scale) {
    for (size_t i = 0; i < count; i++) to[i] = scale * fw_random_normal(r);
}

/* loss = sum(dy * y), so that dy is its gradient at y. */
static double loss(const float *params, pass *p) {
    fw_mlp_forward(shape, params, ROWS, p->x, p->h0, p->h1, p->y);
    double sum = 0;
    for (size_t i = 0; i < ROWS * 13; i++) sum += (double)p->dy[i] * (double)p->y[i];
    return sum;
}

static void test_gradient(void **state) {
    (void)state;
    uint64_t seed = 11;
    printf("seed %llu\n", (unsigned long long)seed);
    fw_random r = fw_random_named(seed, "test");
    uint32_t n = fw_mlp_parameters(shape);
    float *params = calloc(n, sizeof *params), *grad = calloc(n, sizeof *grad);
    float scratch[2 * ROWS * 19];
    pass p;
    fill(params, n, &r, 0.3f);
    fill(p.x, ROWS * 21, &r, 1);
    fill(p.dy, ROWS * 13, &r, 1);
    loss(params, &p);
    fw_mlp_backward(shape, params, ROWS, p.x, p.h0, p.h1, p.dy, grad, scratch);
    for (uint32_t k = 0; k < 200; k++) {
        uint32_t i = fw_random_below(&r, n);
        float keep = params[i], step = 1e-2f;
        params[i] = keep + step;
        double up = loss(params, &p);
        params[i] = keep - step;
        double down = loss(params, &p);
        params[i] = keep;
        double numeric = (up - down) / (2 * (double)step);
        assert_true(fabs(numeric - (double)grad[i]) < 2e-2 + 1e-2 * fabs(numeric));
    }
    free(params);
    free(grad);
}

static void test_inference_agrees(void **state) {
    (void)state;
    fw_random r = fw_random_named(5, "test");
    uint32_t n = fw_mlp_parameters(shape);
    float *params = calloc(n, sizeof *params), *back = calloc(n, sizeof *back);
    fw_mlp *mlp = calloc(1, sizeof *mlp);
    fw_mlp_session session;
    pass p;
    float y[13];
    fill(params, n, &r, 0.3f);
    fill(p.x, ROWS * 21, &r, 1);
    memset(p.dy, 0, sizeof p.dy);
    loss(params, &p);
    fw_mlp_unpack(shape, params, mlp);
    fw_mlp_pack(mlp, back);
    assert_memory_equal(params, back, n * sizeof *params);
    for (size_t row = 0; row < ROWS; row++) {
        fw_mlp_run(mlp, &session, p.x + row * 21, y);
        for (size_t j = 0; j < 13; j++) assert_true(fabsf(y[j] - p.y[row * 13 + j]) < 1e-4f);
    }
    free(params);
    free(back);
    free(mlp);
}

static void test_adam_descends(void **state) {
    (void)state;
    float w[2] = {3, -2}, m[2] = {0}, v[2] = {0};
    fw_adam adam = {.count = 2, .m = m, .v = v};
    for (int i = 0; i < 2000; i++) {
        float g[2] = {2 * (w[0] - 1), 2 * (w[1] - 0.5f)};
        fw_adam_step(&adam, w, g, 0.01f, 10);
    }
    assert_true(fabsf(w[0] - 1) < 0.01f && fabsf(w[1] - 0.5f) < 0.01f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_inference_agrees),
        cmocka_unit_test(test_adam_descends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
