/* check_report FILE GENERATIONS: is this report whole? Prints its hashes and every figure of every
 * exam and generation (times aside), so that two reports of the same seed can be compared; exits 1 with
 * a reason otherwise. */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/confine.h"
#include "base/hash.h"

static const char *const figures[] = {"drives", "clean", "clean_low", "clean_high",
                                      "clean_cluster_low", "clean_cluster_high",
                                      "collisions_per_km", "at_fault_per_km",
                                      "red_light_runs_per_km", "off_lane", "stuck",
                                      "hard_brakes_per_km", "mean_speed_mps", "desync", "runs"};
static const char *const networks[] = {"acosta", "pasubio"};

static void fail(const char *where, const char *what) {
    fprintf(stderr, "check_report: %s: %s\n", where, what);
    exit(1);
}

/* All of an object on one line, names sorted. */
static void print_all(const char *where, const json_t *object) {
    char *text = json_dumps(object, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_REAL_PRECISION(9));
    if (text == NULL) fail(where, "no object");
    printf("%s %s\n", where, text);
    free(text);
}

static void check_eval(const char *where, const json_t *eval) {
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        if (!json_is_number(json_object_get(eval, figures[i]))) fail(where, figures[i]);
    double clean = json_number_value(json_object_get(eval, "clean"));
    if (json_number_value(json_object_get(eval, "drives")) < 1) fail(where, "no drives");
    if (json_number_value(json_object_get(eval, "clean_low")) > clean ||
        json_number_value(json_object_get(eval, "clean_high")) < clean)
        fail(where, "clean lies outside its interval");
    if (json_number_value(json_object_get(eval, "clean_cluster_low")) > clean ||
        json_number_value(json_object_get(eval, "clean_cluster_high")) < clean)
        fail(where, "clean lies outside its interval over runs");
    print_all(where, eval);
}

static void check_evals(const char *where, const json_t *row, const char *name, bool wanted) {
    const json_t *list = json_object_get(row, name);
    if (!json_is_array(list) || json_array_size(list) != (wanted ? 2 : 0)) fail(where, name);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *eval = json_array_get(list, i);
        const char *network = json_string_value(json_object_get(eval, "network"));
        if (network == NULL || strcmp(network, networks[i]) != 0) fail(where, "networks");
        check_eval(where, eval);
    }
}

static void check_generation(const json_t *row, size_t index) {
    static const char *const counts[] = {"recordings", "bytes_uploaded", "train_core_s",
                                         "agent_steps", "loop_s", "veto_share"};
    char where[40];
    snprintf(where, sizeof where, "generation %zu", index);
    const char *model = json_string_value(json_object_get(row, "model"));
    const char *dataset = json_string_value(json_object_get(row, "dataset"));
    const char *decision = json_string_value(json_object_get(row, "decision"));
    if (json_integer_value(json_object_get(row, "index")) != (json_int_t)index) fail(where, "index");
    if (model == NULL || !fw_hash_valid(model)) fail(where, "model");
    if (decision == NULL) fail(where, "decision");
    if (index > 0 && (dataset == NULL || !fw_hash_valid(dataset))) fail(where, "dataset");
    if (index > 0 && strcmp(decision, "promoted") != 0 && strcmp(decision, "refused") != 0)
        fail(where, "neither promoted nor refused");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (!json_is_number(json_object_get(row, counts[i]))) fail(where, counts[i]);
    printf("%s model %s dataset %s decision %s", where, model, dataset ? dataset : "-", decision);
    static const char *const same[] = {"recordings", "bytes_uploaded", "agent_steps", "veto_share"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        printf(" %s %.9g", same[i], json_number_value(json_object_get(row, same[i])));
    printf("\n");
    check_evals(where, row, "eval", true);
    check_evals(where, row, "eval_guarded", true);
}

int main(int argc, char **argv) {
    static const char *const baselines[] = {"constant", "untrained", "idm", "sumo"};
    json_error_t why;
    if (argc != 3) return fprintf(stderr, "usage: check_report FILE GENERATIONS\n"), 2;
    json_t *report = json_load_file(argv[1], 0, &why);
    if (report == NULL) fail(argv[1], why.text);
    if (!json_is_integer(json_object_get(report, "seed"))) fail(argv[1], "seed");
    if (!json_is_number(json_object_get(report, "veto_share"))) fail(argv[1], "veto_share");
    if (!json_is_integer(json_object_get(report, "faults"))) fail(argv[1], "faults");
    if (!json_is_boolean(json_object_get(report, "factory_confined"))) fail(argv[1], "factory_confined");
    if (fw_confine_version() > 0 && !json_is_true(json_object_get(report, "factory_confined")))
        fail(argv[1], "the factory is not confined, though this kernel has Landlock");
    const json_t *world = json_object_get(report, "world");
    if (!json_is_object(world)) fail(argv[1], "world");
    print_all("faults", json_object_get(report, "faults"));
    print_all("world", world);
    const json_t *generations = json_object_get(report, "generations");
    if (json_array_size(generations) != (size_t)atoi(argv[2]) + 1) fail(argv[1], "generations");
    for (size_t i = 0; i < json_array_size(generations); i++)
        check_generation(json_array_get(generations, i), i);
    for (size_t i = 0; i < sizeof baselines / sizeof baselines[0]; i++) {
        const json_t *row = json_object_get(json_object_get(report, "baselines"), baselines[i]);
        if (row == NULL) fail(argv[1], baselines[i]);
        check_evals(baselines[i], row, "eval", true);
        check_evals(baselines[i], row, "eval_guarded", i < 3);
    }
    json_decref(report);
    return 0;
}
