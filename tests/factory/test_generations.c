/* The stations after the door: every stage durable, every crash survived, every decision kept. */
#include "fixture.h"

static json_t *generation(fixture *f, int n) {
    char path[64];
    json_t *json;
    snprintf(path, sizeof path, "/v1/generations/%d", n);
    assert_int_equal(call(f, "GET", path, NULL, &json), 200);
    return json;
}

static const char *word(const json_t *json, const char *name) {
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "";
}

static void ticks(fixture *f, int count) {
    fw_error error = {""};
    while (count-- > 0)
        if (fw_factory_tick(f->factory, &error) != FW_OK) fail_msg("%s", error.text);
}

static void expect_stage(fixture *f, int n, const char *stage) {
    json_t *g = generation(f, n);
    assert_string_equal(word(g, "stage"), stage);
    json_decref(g);
}

static void report(fixture *f, const char *unit, const char *active, const char *staged) {
    char path[80], body[250];
    json_t *json;
    snprintf(path, sizeof path, "/v1/units/%s/report", unit);
    snprintf(body, sizeof body, "{\"active\":\"%s\",\"staged\":\"%s\",\"tick\":1}", active, staged);
    assert_int_equal(call(f, "POST", path, body, &json), 200);
    json_decref(json);
}

static int post(fixture *f) {
    return call(f, "POST", "/v1/generations", "{\"seed\":7,\"agent_steps\":1000}", NULL);
}

/* A champion, and recordings of four units. */
static fw_hash prepare(fixture *f) {
    fw_hash champion = add_champion(f, "generation 0");
    for (int i = 0; i < 8; i++) {
        char unit[16];
        snprintf(unit, sizeof unit, "car-%d", i % 4);
        assert_int_equal(put_mcap(f, unit, 100 + i, i % 2), 201);
    }
    return champion;
}

static void the_loop_closes(void **state) {
    fixture *f = *state;
    fw_hash champion = prepare(f);
    f->jobs.script[0] = f->jobs.script[1] = ACT_SUCCEED;
    report(f, "car-0", champion.hex, "");
    assert_int_equal(post(f), 201);
    assert_int_equal(post(f), 409); /* one at a time */
    ticks(f, 20);
    expect_stage(f, 1, "rollout");
    json_t *g = generation(f, 1);
    char candidate[FW_HASH_HEX + 1];
    snprintf(candidate, sizeof candidate, "%s", word(g, "candidate"));
    assert_string_equal(word(g, "model"), candidate);
    assert_string_equal(word(g, "parent"), champion.hex);
    assert_string_equal(word(g, "decision"), "promoted");
    assert_int_equal(json_integer_value(json_object_get(g, "recordings")), 8);
    assert_int_equal(json_integer_value(json_object_get(g, "agent_steps")), 77);
    assert_true(json_number_value(json_object_get(g, "train_core_s")) == 1.5);
    assert_true(json_integer_value(json_object_get(g, "bytes_uploaded")) > 1000);
    assert_true(json_is_null(json_object_get(g, "event_to_model_s")));
    json_decref(g);
    report(f, "car-0", champion.hex, candidate); /* staged is not active */
    ticks(f, 3);
    expect_stage(f, 1, "rollout");
    g = generation(f, 1);
    assert_int_equal(json_integer_value(json_object_get(g, "units_staged")), 1);
    json_decref(g);
    report(f, "car-0", candidate, candidate);
    ticks(f, 1);
    g = generation(f, 1);
    assert_string_equal(word(g, "stage"), "done");
    assert_true(json_number_value(json_object_get(g, "event_to_model_s")) > 0);
    json_decref(g);
    assert_int_equal(f->jobs.started, 2);
    char work[120];
    snprintf(work, sizeof work, "%s/jobs", f->data);
    assert_true(fw_file_exists(work));
    strcat(work, "/generation-1");
    assert_false(fw_file_exists(work)); /* nothing is left behind */
    json_t *models;
    assert_int_equal(call(f, "GET", "/v1/models", NULL, &models), 200);
    assert_int_equal(json_array_size(models), 2);
    assert_true(json_is_true(json_object_get(json_array_get(models, 1), "champion")));
    assert_string_equal(word(json_array_get(models, 1), "parent"), champion.hex);
    assert_string_equal(word(json_array_get(models, 1), "reason"), "by script");
    json_decref(models);
}

static void held_out_never_reaches_training(void **state) {
    fixture *f = *state;
    prepare(f);
    f->jobs.script[0] = f->jobs.script[1] = ACT_SUCCEED;
    assert_int_equal(post(f), 201);
    ticks(f, 20);
    json_t *g = generation(f, 1), *train = json_loads(f->jobs.input[0], 0, NULL),
           *gate = json_loads(f->jobs.input[1], 0, NULL), *row, *path;
    char object[FW_PATH_MAX], *text;
    size_t at, i, size;
    fw_error error;
    fw_objects_path(&f->factory->objects, word(g, "dataset"), object);
    assert_int_equal(fw_file_read(object, 1 << 20, &text, &size, &error), FW_OK);
    fw_hash hash = fw_hash_bytes(text, size);
    assert_string_equal(hash.hex, word(g, "dataset")); /* its name is its hash */
    json_t *manifest = json_loadb(text, size, 0, NULL);
    free(text);
    assert_true(json_is_null(json_object_get(manifest, "parent")));
    assert_int_equal(json_array_size(json_object_get(manifest, "recordings")), 8);
    char before[FW_HASH_HEX + 1] = "";
    json_array_foreach(json_object_get(manifest, "recordings"), at, row) {
        const char *sha = word(row, "sha256");
        bool held = strcmp(word(row, "role"), "held_out") == 0, in_train = false, in_gate = false;
        assert_true(strcmp(before, sha) < 0);
        snprintf(before, sizeof before, "%s", sha);
        assert_int_equal(held, strcmp(word(row, "unit"), "car-3") == 0);
        json_array_foreach(json_object_get(train, "recordings"), i, path) in_train |=
            strstr(json_string_value(path), sha) != NULL;
        json_array_foreach(json_object_get(gate, "recordings"), i, path) in_gate |=
            strstr(json_string_value(path), sha) != NULL;
        assert_int_equal(in_train, !held);
        assert_int_equal(in_gate, held);
    }
    json_decref(manifest);
    json_decref(train);
    json_decref(gate);
    json_decref(g);
}

static void a_refused_candidate_changes_nothing_but_is_kept(void **state) {
    fixture *f = *state;
    fw_hash champion = prepare(f);
    f->jobs.script[0] = ACT_SUCCEED, f->jobs.script[1] = ACT_REFUSE;
    assert_int_equal(post(f), 201);
    ticks(f, 20);
    json_t *g = generation(f, 1), *model, *status;
    assert_string_equal(word(g, "stage"), "done");
    assert_string_equal(word(g, "decision"), "refused");
    assert_string_equal(word(g, "reason"), "by script");
    assert_string_equal(word(g, "model"), champion.hex);
    char path[120];
    snprintf(path, sizeof path, "/v1/models/%s", word(g, "candidate"));
    assert_int_equal(call(f, "GET", path, NULL, &model), 200);
    assert_string_equal(word(model, "decision"), "refused");
    assert_true(json_is_false(json_object_get(model, "champion")));
    assert_string_equal(word(model, "dataset"), word(g, "dataset"));
    assert_int_equal(call(f, "GET", "/v1/status", NULL, &status), 200);
    assert_string_equal(word(status, "champion"), champion.hex);
    json_decref(g);
    json_decref(model);
    json_decref(status);
}

static void the_next_generation_has_all_earlier_data(void **state) {
    fixture *f = *state;
    prepare(f);
    for (int i = 0; i < 4; i++) f->jobs.script[i] = i % 2 ? ACT_REFUSE : ACT_SUCCEED;
    assert_int_equal(post(f), 201);
    ticks(f, 20);
    assert_int_equal(put_mcap(f, "car-1", 500, 0), 201);
    assert_int_equal(post(f), 201);
    assert_int_equal(put_mcap(f, "car-1", 501, 0), 201); /* after POST: belongs to the next */
    ticks(f, 20);
    json_t *g = generation(f, 2), *train = json_loads(f->jobs.input[0], 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(g, "recordings")), 1);
    assert_int_equal(json_array_size(json_object_get(train, "recordings")), 7); /* 6 + 1 */
    json_decref(g);
    json_decref(train);
}

static void a_crashed_job_is_tried_again(void **state) {
    fixture *f = *state;
    prepare(f);
    f->jobs.script[0] = f->jobs.script[1] = ACT_CRASH;
    f->jobs.script[2] = ACT_SUCCEED, f->jobs.script[3] = ACT_REFUSE;
    assert_int_equal(post(f), 201);
    for (int i = 0; i < 4; i++) {
        ticks(f, 20);
        f->faults.skip_ns += 10000000000LL; /* over the pause before the next try */
    }
    expect_stage(f, 1, "done");
    assert_int_equal(f->jobs.started, 4);
}

static void a_job_that_always_crashes_fails_the_generation(void **state) {
    fixture *f = *state;
    fw_hash champion = prepare(f);
    for (int i = 0; i < 16; i++) f->jobs.script[i] = ACT_CRASH;
    assert_int_equal(post(f), 201);
    for (int i = 0; i < 8; i++) {
        ticks(f, 20);
        f->faults.skip_ns += 10000000000LL;
    }
    json_t *g = generation(f, 1);
    assert_string_equal(word(g, "stage"), "failed");
    assert_non_null(strstr(word(g, "reason"), "signal 11"));
    assert_string_equal(word(g, "model"), champion.hex);
    assert_int_equal(f->jobs.started, 1 + FW_JOB_CRASHES_MAX);
    json_decref(g);
    f->jobs.script[4] = ACT_SUCCEED, f->jobs.script[5] = ACT_REFUSE;
    assert_int_equal(post(f), 201); /* the factory goes on */
    ticks(f, 20);
    expect_stage(f, 2, "done");
}

static void a_job_that_cannot_fails_at_once_with_its_reason(void **state) {
    fixture *f = *state;
    prepare(f);
    f->jobs.script[0] = ACT_FINAL;
    assert_int_equal(post(f), 201);
    ticks(f, 20);
    json_t *g = generation(f, 1);
    assert_string_equal(word(g, "stage"), "failed");
    assert_string_equal(word(g, "reason"), "train: no use");
    assert_int_equal(f->jobs.started, 1);
    json_decref(g);
}

static void a_silent_job_is_ended(void **state) {
    fixture *f = *state;
    prepare(f);
    f->jobs.script[0] = ACT_HANG, f->jobs.script[1] = ACT_SUCCEED, f->jobs.script[2] = ACT_REFUSE;
    assert_int_equal(post(f), 201);
    ticks(f, 5);
    assert_int_equal(f->jobs.started, 1);
    f->faults.skip_ns += (FW_JOB_SILENCE_S + 1) * 1000000000LL;
    ticks(f, 2);
    f->faults.skip_ns += 10000000000LL;
    ticks(f, 20);
    expect_stage(f, 1, "done");
    assert_int_equal(f->jobs.started, 3);
}

static void progress_is_live(void **state) {
    fixture *f = *state;
    json_t *status;
    prepare(f);
    f->jobs.script[0] = ACT_HANG;
    assert_int_equal(post(f), 201);
    ticks(f, 5);
    assert_int_equal(call(f, "GET", "/v1/status", NULL, &status), 200);
    assert_string_equal(word(status, "stage"), "train");
    json_t *job = json_object_get(status, "job");
    assert_string_equal(word(job, "phase"), "ppo");
    assert_true(json_number_value(json_object_get(job, "done")) == 5);
    assert_true(json_number_value(json_object_get(job, "total")) == 10);
    assert_string_equal(word(job, "unit"), "agent-steps");
    assert_null(json_object_get(job, "per_s")); /* nothing to tell it from yet */
    json_decref(status);
    f->faults.skip_ns += 1000 * 1000000000LL;
    scripted_say(&f->jobs, "{\"phase\":\"ppo\",\"done\":2005,\"total\":4005}\n");
    ticks(f, 1);
    assert_int_equal(call(f, "GET", "/v1/status", NULL, &status), 200);
    job = json_object_get(status, "job");
    double per_s = json_number_value(json_object_get(job, "per_s")),
           left_s = json_number_value(json_object_get(job, "left_s"));
    assert_true(per_s > 1.5 && per_s <= 2.0); /* 2000 in 1000 s and what the test itself took */
    assert_true(left_s >= 1000 && left_s < 1400);
    json_decref(status);
    json_t *g = generation(f, 1);
    assert_true(json_number_value(json_object_get(json_object_get(g, "progress"), "per_s")) == per_s);
    json_decref(g);
}

/* ---- the curve ---- */

/* Starts a generation of so many agent-steps; its training job runs and is silent. */
static void start_training(fixture *f, int agent_steps) {
    char body[80];
    f->jobs.script[f->jobs.started] = ACT_HANG;
    snprintf(body, sizeof body, "{\"seed\":7,\"agent_steps\":%d}", agent_steps);
    assert_int_equal(call(f, "POST", "/v1/generations", body, NULL), 201);
    ticks(f, 3);
    assert_int_equal(f->jobs.now, ACT_HANG);
}

/* Updates first..last of `size` agent-steps each, with this loss. */
static void say_updates(fixture *f, int first, int last, int size, double loss) {
    static char text[1 << 17];
    size_t used = 0;
    for (int i = first; i <= last; i++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "{\"point\":{\"agent_steps\":%d,\"loss\":%.1f}}\n", i * size, loss);
    assert_true(used < sizeof text);
    scripted_say(&f->jobs, text);
    f->faults.skip_ns += 2000000000LL; /* it is written once a second */
    ticks(f, 2);
}

static json_t *curve(fixture *f, int n) {
    char path[64];
    json_t *json;
    snprintf(path, sizeof path, "/v1/generations/%d/curve", n);
    assert_int_equal(call(f, "GET", path, NULL, &json), 200);
    assert_int_equal(json_integer_value(json_object_get(json, "generation")), n);
    return json;
}

static double figure(const json_t *curve, size_t i, const char *name) {
    const json_t *value =
        json_object_get(json_array_get(json_object_get(curve, "points"), i), name);
    if (!json_is_number(value)) fail_msg("point %zu has no %s", i, name);
    return json_number_value(value);
}

/* Exactly these agent-steps and losses. */
static void expect_curve(fixture *f, size_t count, const double steps[], const double losses[]) {
    json_t *c = curve(f, 1);
    assert_int_equal(json_array_size(json_object_get(c, "points")), count);
    for (size_t i = 0; i < count; i++) {
        assert_true(figure(c, i, "agent_steps") == steps[i]);
        assert_true(figure(c, i, "loss") == losses[i]);
    }
    json_decref(c);
}

static void a_training_leaves_its_curve(void **state) {
    fixture *f = *state;
    prepare(f);
    start_training(f, 1000);
    expect_curve(f, 0, NULL, NULL);
    scripted_say(&f->jobs, "{\"point\":{\"agent_steps\":250,\"loss\":1.5,\"value_loss\":0.5,"
                           "\"entropy\":2,\"gradient_norm\":3,\"clean_share\":0.25}}\n"
                           "{\"point\":{\"agent_steps\":500,\"loss\":1.0}}\n"
                           "{\"point\":{}}\n{\"point\":7}\n{\"point\":{\"agent_steps\":-1}}\n");
    f->faults.skip_ns += 2000000000LL;
    ticks(f, 2);
    for (int restart = 0; restart < 2; restart++) {
        json_t *c = curve(f, 1), *points = json_object_get(c, "points");
        assert_int_equal(json_integer_value(json_object_get(c, "agent_steps_wanted")), 1000);
        json_t *thinning = json_object_get(c, "thinning");
        assert_int_equal(json_integer_value(json_object_get(thinning, "parts")), FW_CURVE_PARTS);
        assert_int_equal(json_array_size(points), 2);
        assert_true(figure(c, 0, "agent_steps") == 250);
        assert_true(figure(c, 0, "loss") == 1.5);
        assert_true(figure(c, 0, "value_loss") == 0.5);
        assert_true(figure(c, 0, "entropy") == 2);
        assert_true(figure(c, 0, "gradient_norm") == 3);
        assert_true(figure(c, 0, "clean_share") == 0.25);
        assert_true(json_is_null(json_object_get(json_array_get(points, 1), "clean_share")));
        json_decref(c);
        f->jobs.script[f->jobs.started] = ACT_HANG;
        fixture_stop(f);
        fixture_start(f);
        ticks(f, 2); /* the job runs again and has said nothing yet */
    }
    assert_int_equal(call(f, "GET", "/v1/generations/2/curve", NULL, NULL), 404);
    assert_int_equal(call(f, "GET", "/v1/generations/x/curve", NULL, NULL), 404);
}

static void a_curve_is_thinned_evenly(void **state) {
    fixture *f = *state;
    enum { UPDATES = 2500, SIZE = 400 };
    prepare(f);
    start_training(f, UPDATES * SIZE - 100); /* the last update ends past the budget */
    for (int i = 0; i < UPDATES; i += 500) say_updates(f, i + 1, i + 500, SIZE, i);
    json_t *c = curve(f, 1);
    size_t count = json_array_size(json_object_get(c, "points"));
    double part = json_number_value(json_object_get(json_object_get(c, "thinning"),
                                                    "part_agent_steps"));
    assert_in_range(count, FW_CURVE_PARTS, FW_CURVE_PARTS + 1);
    for (size_t i = 1; i + 1 < count; i++) {
        double step = figure(c, i, "agent_steps") - figure(c, i - 1, "agent_steps");
        assert_true(step > part - SIZE && step < part + SIZE);
    }
    assert_true(figure(c, count - 1, "agent_steps") == UPDATES * SIZE);
    json_decref(c);
}

/* Killed and started again, a job says again what it said; or goes on from a checkpoint. */
static void a_restarted_job_doubles_nothing(void **state) {
    fixture *f = *state;
    prepare(f);
    start_training(f, 1000);
    say_updates(f, 1, 5, 100, 1);
    f->jobs.script[f->jobs.started] = ACT_HANG;
    f->jobs.now = ACT_CRASH;
    ticks(f, 4);
    f->faults.skip_ns += 10000000000LL;
    ticks(f, 2);
    assert_int_equal(f->jobs.started, 2);
    expect_curve(f, 5, (double[]){100, 200, 300, 400, 500}, (double[]){1, 1, 1, 1, 1});
    say_updates(f, 1, 3, 100, 2);
    expect_curve(f, 3, (double[]){100, 200, 300}, (double[]){2, 2, 2});
    f->jobs.script[f->jobs.started] = ACT_HANG;
    fixture_stop(f);
    fixture_start(f);
    ticks(f, 2);
    say_updates(f, 3, 4, 100, 3);
    expect_curve(f, 4, (double[]){100, 200, 300, 400}, (double[]){2, 2, 3, 3});
}

/* What a job said just before its end is not lost with it. */
static void the_last_points_are_kept(void **state) {
    fixture *f = *state;
    prepare(f);
    f->jobs.script[0] = ACT_SUCCEED, f->jobs.script[1] = ACT_REFUSE;
    assert_int_equal(post(f), 201);
    ticks(f, 2);
    scripted_say(&f->jobs, "{\"point\":{\"agent_steps\":1000,\"loss\":0.5}}\n");
    ticks(f, 20);
    expect_stage(f, 1, "done");
    expect_curve(f, 1, (double[]){1000}, (double[]){0.5});
}

static void an_old_curve_is_thinned_further(void **state) {
    fixture *f = *state;
    fw_error error;
    prepare(f);
    start_training(f, 300);
    say_updates(f, 1, 300, 1, 1);
    f->jobs.now = ACT_FINAL;
    scripted_say(&f->jobs, "{\"error\":\"no use\"}\n");
    ticks(f, 5);
    expect_stage(f, 1, "failed");
    sqlite3 *db = fw_catalogue_begin(f->factory->catalogue, &error);
    assert_int_equal(fw_catalogue_end(f->factory->catalogue,
                                      fw_db_script(db, &error, "UPDATE sqlite_sequence SET seq=100 "
                                                               "WHERE name='generations'"),
                                      &error),
                     FW_OK);
    f->jobs.script[1] = ACT_SUCCEED, f->jobs.script[2] = ACT_REFUSE;
    assert_int_equal(post(f), 201);
    ticks(f, 20);
    expect_stage(f, 1 + FW_CURVE_FINE, "done");
    json_t *c = curve(f, 1), *thinning = json_object_get(c, "thinning");
    assert_int_equal(json_integer_value(json_object_get(thinning, "parts")), FW_CURVE_COARSE_PARTS);
    assert_int_equal(json_array_size(json_object_get(c, "points")), FW_CURVE_COARSE_PARTS);
    assert_true(figure(c, 0, "agent_steps") == 10);
    json_decref(c);
}

/* Stops and starts the factory after every number of ticks: the end is always the same. */
static void it_may_be_stopped_anywhere(void **state) {
    fixture *f = *state;
    char dataset[FW_HASH_HEX + 1] = "";
    prepare(f);
    for (int stop_at = 0; stop_at < 12; stop_at++) {
        f->jobs.started = f->jobs.stale_ended = 0;
        for (int i = 0; i < 16; i++) f->jobs.script[i] = ACT_SUCCEED;
        assert_int_equal(post(f), 201);
        int n = stop_at + 1;
        ticks(f, stop_at);
        fixture_stop(f);
        fixture_start(f);
        ticks(f, 30);
        json_t *g = generation(f, n);
        assert_string_equal(word(g, "stage"), "done"); /* no unit is known: rollout needs nobody */
        assert_string_equal(word(g, "decision"), "promoted");
        assert_true(json_integer_value(json_object_get(g, "crashes")) == 0);
        assert_true(fw_hash_valid(word(g, "candidate")));
        assert_true(f->jobs.started >= 2 && f->jobs.started <= 3);
        assert_string_not_equal(word(g, "dataset"), dataset); /* its parent is another one */
        snprintf(dataset, sizeof dataset, "%s", word(g, "dataset"));
        json_decref(g);
    }
}

static void a_finished_result_is_taken_after_a_restart(void **state) {
    fixture *f = *state;
    prepare(f);
    f->jobs.script[0] = f->jobs.script[1] = ACT_SUCCEED;
    assert_int_equal(post(f), 201);
    ticks(f, 2); /* the script has written its result, nobody has looked */
    assert_int_equal(f->jobs.started, 1);
    fixture_stop(f);
    fixture_start(f);
    assert_int_equal(f->jobs.stale_ended, 1); /* the lease named a process */
    ticks(f, 20);
    expect_stage(f, 1, "done");
    assert_int_equal(f->jobs.started, 2); /* gate only */
}

static void same_input_same_names(void **state) {
    fixture *f = *state, *other;
    void *second;
    char names[2][2][FW_HASH_HEX + 1];
    assert_int_equal(fixture_open(&second), 0);
    other = second;
    for (int i = 0; i < 2; i++) {
        fixture *one = i ? other : f;
        prepare(one);
        one->jobs.script[0] = one->jobs.script[1] = ACT_SUCCEED;
        assert_int_equal(post(one), 201);
        ticks(one, 20);
        json_t *g = generation(one, 1);
        snprintf(names[i][0], sizeof names[i][0], "%s", word(g, "dataset"));
        snprintf(names[i][1], sizeof names[i][1], "%s", word(g, "candidate"));
        json_decref(g);
    }
    assert_string_equal(names[0][0], names[1][0]);
    assert_string_equal(names[0][1], names[1][1]);
    fixture_close(&second);
}

static void what_is_missing_is_said(void **state) {
    fixture *f = *state;
    json_t *json;
    assert_int_equal(call(f, "POST", "/v1/generations", "{\"seed\":1,\"agent_steps\":1}", &json),
                     409);
    assert_non_null(strstr(word(json, "error"), "champion"));
    json_decref(json);
    add_champion(f, "generation 0");
    assert_int_equal(put_mcap(f, "car-1", 1, 0), 201); /* nothing held out */
    assert_int_equal(call(f, "POST", "/v1/generations", "{\"seed\":1,\"agent_steps\":1}", &json),
                     409);
    assert_non_null(strstr(word(json, "error"), "held out"));
    assert_non_null(strstr(word(json, "error"), "at least 4 units"));
    json_decref(json);
    const char *const bad[] = {"",
                               "{}",
                               "[]",
                               "{\"seed\":-1,\"agent_steps\":1}",
                               "{\"seed\":1,\"agent_steps\":0}",
                               "{\"seed\":\"1\",\"agent_steps\":1}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(call(f, "POST", "/v1/generations", bad[i], NULL), 400);
}

enum { ROLLOUT_MAX_S = 180 };

/* All units in one ring, one of them may refuse. */
static const char nobody_may_refuse[] = "{\"rings\":[{\"name\":\"all\",\"share\":1,\"time_max_s\":180}]}";

static void one_ring(fixture *f) {
    assert_int_equal(call(f, "POST", "/v1/rollout-plan",
                          "{\"refusals_max\":1,\"rings\":[{\"name\":\"all\",\"share\":1,\"time_max_s\":180}]}", NULL),
                     200);
}

static void a_rollout_nobody_answers_ends(void **state) {
    fixture *f = *state;
    fw_hash champion = prepare(f);
    report(f, "car-0", champion.hex, "");
    f->jobs.script[0] = f->jobs.script[1] = ACT_SUCCEED;
    assert_int_equal(post(f), 201);
    ticks(f, 20);
    expect_stage(f, 1, "rollout");
    f->faults.skip_ns += (FW_UNIT_RECENT_S + 1) * 1000000000LL; /* the unit fell silent */
    ticks(f, 2);
    expect_stage(f, 1, "rollout");
    f->faults.skip_ns += (ROLLOUT_MAX_S + 1) * 1000000000LL;
    ticks(f, 3);
    json_t *g = generation(f, 1);
    assert_string_equal(word(g, "stage"), "done");
    assert_string_equal(word(g, "decision"), "rolled_back");
    assert_string_equal(word(g, "model"), champion.hex);
    assert_non_null(strstr(word(g, "reason"), "undecided"));
    json_decref(g);
}

static int64_t of_rollout(fixture *f, int n, const char *name) {
    json_t *g = generation(f, n), *rollout = json_object_get(g, "rollout");
    int64_t value = rollout && json_is_object(rollout)
                        ? json_integer_value(json_object_get(rollout, name))
                        : -1;
    json_decref(g);
    return value;
}

/* Runs a generation up to its rollout; its candidate's hash. */
static void roll_out(fixture *f, int n, char candidate[FW_HASH_HEX + 1]) {
    assert_int_equal(post(f), 201);
    ticks(f, 20);
    expect_stage(f, n, "rollout");
    json_t *g = generation(f, n);
    snprintf(candidate, FW_HASH_HEX + 1, "%s", word(g, "candidate"));
    assert_true(json_is_null(json_object_get(g, "rollout")));
    json_decref(g);
}

static void a_refusal_is_an_answer(void **state) {
    fixture *f = *state;
    char candidate[FW_HASH_HEX + 1], body[400];
    fw_hash champion = prepare(f);
    f->jobs.script[0] = f->jobs.script[1] = ACT_SUCCEED;
    report(f, "car-0", champion.hex, "");
    report(f, "car-1", champion.hex, "");
    one_ring(f);
    roll_out(f, 1, candidate);
    report(f, "car-0", candidate, candidate);
    ticks(f, 2);
    expect_stage(f, 1, "rollout");
    snprintf(body, sizeof body, "{\"active\":\"%s\",\"refused\":\"%s\"}", champion.hex,
             candidate);
    assert_int_equal(call(f, "POST", "/v1/units/car-1/report", body, NULL), 200);
    json_t *g = generation(f, 1);
    assert_int_equal(json_integer_value(json_object_get(g, "units_refused")), 1);
    json_decref(g);
    ticks(f, 2);
    expect_stage(f, 1, "done");
    assert_int_equal(of_rollout(f, 1, "units"), 2);
    assert_int_equal(of_rollout(f, 1, "active"), 1);
    assert_int_equal(of_rollout(f, 1, "refused"), 1);
    g = generation(f, 1); /* not every unit drives it */
    assert_true(json_is_null(json_object_get(g, "event_to_model_s")));
    json_decref(g);
    assert_int_equal(
        call(f, "POST", "/v1/units/car-1/report", "{\"refused\":\"no hash\"}", NULL), 400);
}

static void a_rollout_ends_in_time(void **state) {
    fixture *f = *state;
    char candidate[FW_HASH_HEX + 1];
    fw_hash champion = prepare(f);
    f->jobs.script[0] = f->jobs.script[1] = ACT_SUCCEED;
    report(f, "car-0", champion.hex, "");
    report(f, "car-1", champion.hex, "");
    assert_int_equal(call(f, "POST", "/v1/rollout-plan", nobody_may_refuse, NULL), 200);
    roll_out(f, 1, candidate);
    for (int s = 0; s < ROLLOUT_MAX_S - 30; s += 30) { /* car-1 reports, but drives nothing */
        f->faults.skip_ns += 30 * 1000000000LL;
        report(f, "car-0", candidate, candidate);
        report(f, "car-1", champion.hex, candidate);
        ticks(f, 2);
        expect_stage(f, 1, "rollout");
    }
    f->faults.skip_ns += 31 * 1000000000LL;
    ticks(f, 2);
    expect_stage(f, 1, "rollout"); /* car-0 still runs it */
    report(f, "car-0", champion.hex, candidate);
    ticks(f, 2);
    expect_stage(f, 1, "done");
    assert_int_equal(of_rollout(f, 1, "units"), 2);
    assert_int_equal(of_rollout(f, 1, "active"), 0);
    json_t *g = generation(f, 1);
    assert_string_equal(word(g, "decision"), "rolled_back");
    assert_non_null(strstr(word(g, "reason"), "1 of 2 units do not have it yet"));
    json_decref(g);
}

static void without_an_event_there_is_no_time_from_it(void **state) {
    fixture *f = *state;
    char candidate[FW_HASH_HEX + 1];
    fw_hash champion = add_champion(f, "generation 0");
    assert_int_equal(put_mcap(f, "car-0", 1, 0), 201);
    assert_int_equal(put_mcap(f, "car-3", 2, 0), 201);
    f->jobs.script[0] = f->jobs.script[1] = ACT_SUCCEED;
    report(f, "car-0", champion.hex, "");
    roll_out(f, 1, candidate);
    report(f, "car-0", candidate, candidate);
    ticks(f, 2);
    expect_stage(f, 1, "done");
    json_t *g = generation(f, 1);
    assert_true(json_is_null(json_object_get(g, "event_to_model_s")));
    json_decref(g);
}

static bool reads(const json_t *input, int salt, int events) {
    static uint8_t bytes[MCAP_MAX];
    fw_hash hash = fw_hash_bytes(bytes, make_mcap(bytes, salt, events));
    size_t i;
    json_t *path;
    json_array_foreach(json_object_get(input, "recordings"), i, path) {
        if (strstr(json_string_value(path), hash.hex)) return true;
    }
    return false;
}

static int64_t held_out_kept(fixture *f) {
    fw_error error;
    int64_t count = -1;
    sqlite3 *db = fw_catalogue_read(f->factory->catalogue);
    assert_int_equal(fw_db_int(db, &error, &count,
                               "SELECT count(*) FROM recordings JOIN objects USING(sha256) WHERE "
                               "role='held_out' AND state='kept'",
                               ""),
                     FW_OK);
    fw_catalogue_read_end(f->factory->catalogue);
    return count;
}

static void a_data_set_has_bounds(void **state) {
    fixture *f = *state;
    fw_error error;
    add_champion(f, "generation 0");
    f->factory->generations.limits = (fw_dataset_limits){3, 2, 2};
    const int events[] = {5, 0, 2, 7, 0, 9, 0, 1}; /* newest: the last three */
    for (int i = 0; i < 8; i++) assert_int_equal(put_mcap(f, "car-0", i, events[i]), 201);
    for (int i = 0; i < 4; i++) assert_int_equal(put_mcap(f, "car-3", 50 + i, 0), 201);
    f->jobs.script[0] = ACT_SUCCEED, f->jobs.script[1] = ACT_REFUSE;
    assert_int_equal(post(f), 201);
    ticks(f, 20);
    expect_stage(f, 1, "done");
    json_t *train = json_loads(f->jobs.input[0], 0, NULL),
           *gate = json_loads(f->jobs.input[1], 0, NULL);
    const bool wanted[] = {true, false, false, true, false, true, true, true};
    for (int i = 0; i < 8; i++) assert_int_equal(reads(train, i, events[i]), wanted[i]);
    for (int i = 0; i < 4; i++) assert_int_equal(reads(gate, 50 + i, 0), i >= 2);
    json_decref(train);
    json_decref(gate);
    f->factory->ingest.disk_cap_bytes = 1; /* all that may go goes: held-out ones not in use too */
    assert_int_equal(fw_ingest_make_room(&f->factory->ingest, 0, &error), FW_NO_SPACE);
    assert_int_equal(held_out_kept(f), 2);
}

/* The disk fills at each write of the stages: the tick fails, is tried again, and the end is the
 * same. */
static void a_full_disk_only_delays(void **state) {
    fixture *f = *state;
    prepare(f);
    for (unsigned n = 1; n <= 12; n++) {
        fw_error error = {""};
        f->jobs.started = 0;
        f->jobs.script[0] = f->jobs.script[1] = f->jobs.script[2] = ACT_SUCCEED;
        assert_int_equal(post(f), 201);
        f->faults.calls = 0, f->faults.fail_at = n, f->faults.fail_errno = ENOSPC;
        int failed = 0;
        for (int i = 0; i < 40; i++) failed += fw_factory_tick(f->factory, &error) != FW_OK;
        assert_true(failed <= 1);
        f->faults.fail_at = 0;
        expect_stage(f, (int)n, "done");
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(the_loop_closes),
        TEST(held_out_never_reaches_training),
        TEST(a_refused_candidate_changes_nothing_but_is_kept),
        TEST(the_next_generation_has_all_earlier_data),
        TEST(a_crashed_job_is_tried_again),
        TEST(a_job_that_always_crashes_fails_the_generation),
        TEST(a_job_that_cannot_fails_at_once_with_its_reason),
        TEST(a_silent_job_is_ended),
        TEST(progress_is_live),
        TEST(a_training_leaves_its_curve),
        TEST(a_curve_is_thinned_evenly),
        TEST(a_restarted_job_doubles_nothing),
        TEST(the_last_points_are_kept),
        TEST(an_old_curve_is_thinned_further),
        TEST(it_may_be_stopped_anywhere),
        TEST(a_finished_result_is_taken_after_a_restart),
        TEST(same_input_same_names),
        TEST(what_is_missing_is_said),
        TEST(a_rollout_nobody_answers_ends),
        TEST(a_refusal_is_an_answer),
        TEST(a_rollout_ends_in_time),
        TEST(without_an_event_there_is_no_time_from_it),
        TEST(a_data_set_has_bounds),
        TEST(a_full_disk_only_delays),
    };
    return cmocka_run_group_tests_name("generations", tests, NULL, NULL);
}
