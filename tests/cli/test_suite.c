/* flywheel suite: the same files from the same scenes, a split that nobody chose, and what it refuses. */
#include "suite_folder.h"

static void shell(const char *words, int status) {
    char command[600], output[2000];
    snprintf(command, sizeof command, "cd %s && %s 2>&1", folder, words);
    expect_outcome(words, run_command(command, output, sizeof output), status, "", output);
}

static json_t *suite(const char *name) {
    char path[300];
    json_error_t why;
    fw_path_join(path, sizeof path, folder, name);
    json_t *json = json_load_file(path, 0, &why);
    if (!json) fail_msg("%s: %s", path, why.text);
    return json;
}

static const char *text_of(const json_t *item, const char *name) {
    return json_string_value(json_object_get(item, name));
}

/* ---- what is in them ---- */

static void counts(void **state) {
    (void)state;
    json_t *json = suite_json("suite ngsim raw --out ngsim --json");
    assert_int_equal(json_integer_value(json_object_get(json, "scenes")), SUITE_SCENES);
    assert_int_equal(json_integer_value(json_object_get(json, "empty")), 1);
    assert_int_equal(json_integer_value(json_object_get(json, "doubles")), 1);
    static const int files[] = {9, 3, 8, 4}; /* train, heldout, us101, lanker */
    const json_t *suites = json_object_get(json, "suites");
    assert_int_equal(json_array_size(suites), 4);
    for (size_t i = 0; i < 4; i++) {
        const json_t *row = json_array_get(suites, i);
        assert_int_equal(json_integer_value(json_object_get(row, "files")), files[i]);
        assert_int_equal(json_integer_value(json_object_get(row, "groups")), files[i]);
        json_t *file = suite(i == 0 ? "ngsim/train.json" : i == 1 ? "ngsim/heldout.json"
                                  : i == 2 ? "ngsim/us101.json" : "ngsim/lanker.json");
        assert_int_equal(json_array_size(json_object_get(file, "items")), files[i]);
        json_decref(file);
    }
    json_decref(json);
}

/* Held out is a quarter of each site's groups; what is held out is sealed in every suite, and trained on in none. */
static void the_split_is_sealed(void **state) {
    (void)state;
    json_t *train = suite("ngsim/train.json"), *held = suite("ngsim/heldout.json"), *site = suite("ngsim/us101.json");
    const json_t *item, *other;
    size_t i, k, us101 = 0, sealed = 0;
    json_array_foreach(json_object_get(held, "items"), i, item) {
        assert_true(json_is_true(json_object_get(item, "sealed")));
        us101 += strcmp(text_of(item, "site"), "US101") == 0;
        json_array_foreach(json_object_get(train, "items"), k, other)
            assert_false(strcmp(text_of(item, "site"), text_of(other, "site")) == 0 &&
                         strcmp(text_of(item, "group"), text_of(other, "group")) == 0);
    }
    assert_int_equal(us101, 2); /* of nine groups, the one with nothing to drive among them */
    json_array_foreach(json_object_get(train, "items"), i, item)
        assert_true(json_is_false(json_object_get(item, "sealed")));
    json_array_foreach(json_object_get(site, "items"), i, item) sealed += json_is_true(json_object_get(item, "sealed"));
    assert_int_equal(sealed, us101);
    json_decref(train), json_decref(held), json_decref(site);
    suite_expect("train --suite ngsim/heldout.json --out never", 1, "3 of its 3 items are sealed");
    suite_expect("train --suite ngsim/us101.json --out never", 1, "2 of its 8 items are sealed");
    shell("test -e never", 1);
}

static void files_are_what_the_suite_names(void **state) {
    (void)state;
    json_t *json = suite("ngsim/us101.json");
    const json_t *item;
    char command[300];
    size_t i;
    json_array_foreach(json_object_get(json, "items"), i, item) {
        snprintf(command, sizeof command, "echo '%s  ngsim/%s' | sha256sum -c", text_of(item, "sha256"),
                 text_of(item, "file"));
        shell(command, 0);
    }
    json_decref(json);
}

/* ---- again ---- */

static void a_repeated_run_changes_nothing(void **state) {
    (void)state;
    shell("find ngsim -type f | sort | xargs sha256sum > first", 0);
    suite_expect("suite ngsim raw --out ngsim", 0, "14 scenes; left out: 1 in which nobody");
    shell("find ngsim -type f | sort | xargs sha256sum | cmp - first", 0);
    suite_expect("suite ngsim raw --out elsewhere", 0, "heldout.json");
    shell("(cd elsewhere && find . -type f | sort | xargs sha256sum) > there && "
          "(cd ngsim && find . -type f | sort | xargs sha256sum) | cmp - there", 0);
}

static void other_content_is_not_overwritten(void **state) {
    (void)state;
    shell("cp -r raw other && sed -i 's/^USA_US101-2_1_T-1,0,2/USA_US101-2_1_T-1,0,77/' other/index.csv", 0);
    shell("sha256sum ngsim/*.json > before", 0);
    suite_expect("suite ngsim other --out ngsim", 1, "is there with other content");
    shell("sha256sum -c before", 0);
}

/* ---- refused ---- */

static void wrong_words(void **state) {
    (void)state;
    suite_expect("suite", 2, "want ngsim FOLDER");
    suite_expect("suite waymo raw --out x", 2, "want ngsim FOLDER");
    suite_expect("suite ngsim raw", 2, "needs --out FOLDER");
    suite_expect("suite ngsim raw --out x --sites 3", 2, "--sites");
    suite_expect("suite --help", 0, "usage: flywheel suite ngsim");
    suite_expect("suite ngsim nowhere --out x", 1, "index.csv");
}

static void broken_folders(void **state) {
    (void)state;
    static const struct {
        const char *index, *text;
    } cases[] = {{"", "index.csv is empty"},
                 {"scene,group\\n", "no column overlap_group"},
                 {"scene,overlap_group\\nUSA_US101-1_1_T-1\\n", "index.csv, line 2"},
                 {"scene,overlap_group\\nUSA_US101-1_1_T-1,\\n", "index.csv, line 2"},
                 {"scene,overlap_group\\nnonsense,4\\n", "wants a scene like"},
                 {"scene,overlap_group\\nUSA_../x-1_1_T-1,4\\n", "wants a scene like"},
                 {"scene,overlap_group\\nUSA_US101-1_1_T-1,4\\n", "USA_US101-1_1_T-1"}, /* no such file */};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char command[200];
        snprintf(command, sizeof command, "mkdir -p broken && printf '%s' > broken/index.csv", cases[i].index);
        shell(command, 0);
        suite_expect("suite ngsim broken --out made", 1, cases[i].text);
        shell("ls made/*.json", 2);
    }
    shell("echo '<commonRoad' > broken/USA_US101-1_1_T-1.xml", 0);
    suite_expect("suite ngsim broken --out made", 1, "USA_US101-1_1_T-1");
    shell("ls made/*.json", 2);
}

/* ---- the real scenes ---- */

static void real_scenes(void **state) {
    (void)state;
    const char *data = getenv("FLYWHEEL_DATA");
    char command[1500];
    snprintf(command, sizeof command, "%.300s/ngsim/index.csv", data ? data : "");
    if (!data || !fw_file_exists(command)) skip();
    snprintf(command, sizeof command,
             "mkdir real && cd real && head -1 '%.300s/ngsim/index.csv' > index.csv && "
             "grep -E '^USA_(Lanker-1_1_T-1|US101-[2-9]_1_T-1),' '%.300s/ngsim/index.csv' >> index.csv && "
             "for s in $(tail -n +2 index.csv | cut -d, -f1); do ln -s '%.300s'/ngsim/$s.xml.gz .; done",
             data, data, data);
    shell(command, 0);
    json_t *json = suite_json("suite ngsim real --out real-suite --json");
    const json_t *sites = json_object_get(json, "suites");
    json_int_t starts = 0;
    for (size_t i = 0; i < 2; i++)
        starts += json_integer_value(json_object_get(json_array_get(sites, i), "starts"));
    assert_true(json_integer_value(json_object_get(json, "scenes")) >= 3);
    assert_true(starts > 20);
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),
        cmocka_unit_test(the_split_is_sealed),
        cmocka_unit_test(files_are_what_the_suite_names),
        cmocka_unit_test(a_repeated_run_changes_nothing),
        cmocka_unit_test(other_content_is_not_overwritten),
        cmocka_unit_test(wrong_words),
        cmocka_unit_test(broken_folders),
        cmocka_unit_test(real_scenes),
    };
    return cmocka_run_group_tests(tests, suite_open_made, suite_close);
}
