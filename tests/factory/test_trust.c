/* The factory's trust as a unit meets it: its own TUF clients over the real director and image repository; keys, nonces
 * and version reports; releases that wait; restarts, clocks that jump, keys that change beside a running factory. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>

#include "fixture.h"

#include "factory/trust/manage.h"
#include "factory/trust/releases.h"
#include "trust/dsse.h"
#include "trust/roots.h"

#define good(call_)                                                                                          \
    do {                                                                                                     \
        fw_error good_error = {""};                                                                          \
        fw_error *why = &good_error;                                                                         \
        fw_status good_status = (call_);                                                                     \
        if (good_status != FW_OK) fail_msg("%s: %s: %s", #call_, fw_status_text(good_status), why->text);     \
    } while (0)

static const fw_hash *model_of(const char *text) {
    static fw_hash hashes[8];
    static int at;
    fw_hash *hash = &hashes[at++ % 8];
    *hash = fw_hash_bytes(text, strlen(text));
    return hash;
}

static void release(fixture *f, const char *text) {
    good(fw_trust_release(f->factory->trust, "driving", model_of(text), strlen(text), NULL, why));
}

static fw_status assign_try(fixture *f, const char *unit, const fw_hash *model, fw_error *error) {
    sqlite3 *db = fw_catalogue_begin(f->factory->catalogue, error);
    assert_non_null(db);
    return fw_catalogue_end(f->factory->catalogue, fw_trust_assign(f->factory->trust, db, unit, model, error), error);
}
static void assign(fixture *f, const char *unit, const char *text) {
    good(assign_try(f, unit, text ? model_of(text) : NULL, why));
}

/* ---- a unit ---- */

typedef struct unit {
    fixture *f;
    const char *name;
    char folder[160];
    const char *asks_as; /* another unit's metadata is asked for; NULL: its own */
} unit;

static fw_status get_file(unit *u, const char *path, const char *file, char **bytes, size_t *size, fw_error *error) {
    char full[200];
    fw_http_response response = {0};
    snprintf(full, sizeof full, "%s%.100s", path, file);
    const fw_http_request request = {.method = "GET", .path = full, .header = header_of, .query = no_query,
                                     .native = &(headers){{0}, {0}}};
    u->f->app.handle(u->f->app.self, &request, &response);
    if (response.status != 200) {
        free(response.body);
        return fw_fail(error, response.status == 404 ? FW_NOT_FOUND : FW_IO, "%d", response.status);
    }
    if (response.file_path[0]) return fw_file_read(response.file_path, 5 << 20, bytes, size, error);
    *bytes = response.body;
    *size = response.body_bytes;
    return FW_OK;
}
static fw_status from_director(void *self, const char *path, size_t max, char **bytes, size_t *size, fw_error *error) {
    unit *u = self;
    char address[64];
    (void)max;
    snprintf(address, sizeof address, "/v1/tuf/director/%s/", u->asks_as ? u->asks_as : u->name);
    return get_file(u, address, path, bytes, size, error);
}
static fw_status from_image(void *self, const char *path, size_t max, char **bytes, size_t *size, fw_error *error) {
    (void)max;
    return get_file(self, "/v1/tuf/image/", path, bytes, size, error);
}
static fw_status no_target(void *self, const char *path, uint64_t at, size_t max, int fd, fw_error *error) {
    (void)self, (void)path, (void)at, (void)max, (void)fd;
    return fw_fail(error, FW_NOT_FOUND, "none");
}
static unit unit_new(fixture *f, const char *name) {
    unit u = {.f = f, .name = name};
    char *bundle = NULL;
    size_t size = 0;
    snprintf(u.folder, sizeof u.folder, "%s/unit-%s", f->folder, name);
    good(fw_trust_root(f->config.env, f->data, &bundle, &size, why));
    good(fw_uptane_init(f->config.env, u.folder, bundle, size, why));
    free(bundle);
    return u;
}
static fw_status choose(unit *u, uint64_t installed, fw_uptane_choice *out, fw_error *error) {
    fw_uptane_line line = {{u, from_director, no_target}, u->name};
    const fw_tuf_fetch d = fw_uptane_fetch(&line), i = {u, from_image, no_target};
    fw_tuf_client *director = NULL, *image = NULL;
    char path[200];
    snprintf(path, sizeof path, "%s/director", u->folder);
    good(fw_tuf_open(u->f->config.env, path, &d, NULL, &director, why));
    snprintf(path, sizeof path, "%s/image", u->folder);
    good(fw_tuf_open(u->f->config.env, path, &i, NULL, &image, why));
    const fw_uptane_unit who = {u->name, FW_TRUST_HARDWARE, installed};
    fw_status status = fw_uptane_choose(director, image, &who, out, error);
    out->target.custom = NULL;
    fw_tuf_close(director);
    fw_tuf_close(image);
    return status;
}
static void is_told(unit *u, const char *text) {
    fw_uptane_choice choice = {.found = false};
    good(choose(u, 0, &choice, why));
    assert_int_equal(choice.found, text != NULL);
    if (text) assert_string_equal(choice.target.sha256.hex, model_of(text)->hex);
}

/* ---- director and image ---- */

static void a_unit_is_told_what_to_run(void **state) {
    fixture *f = *state;
    fw_error error;
    unit a = unit_new(f, "a"), b = unit_new(f, "b");
    is_told(&a, NULL);
    assert_int_equal(assign_try(f, "a", model_of("one"), &error), FW_NOT_FOUND); /* nothing that is not released */
    release(f, "one");
    release(f, "two");
    is_told(&a, NULL);
    assign(f, "a", "one");
    assign(f, "b", "two");
    is_told(&a, "one");
    is_told(&b, "two");
    assign(f, "a", "two");
    is_told(&a, "two");
    assign(f, "a", NULL);
    is_told(&a, NULL);
    is_told(&b, "two");
}

static void another_units_answer_is_refused(void **state) {
    fixture *f = *state;
    fw_uptane_choice choice;
    fw_error error;
    unit a = unit_new(f, "a");
    release(f, "one");
    release(f, "two");
    assign(f, "a", "one");
    for (int i = 0; i < 5; i++) assign(f, "b", i % 2 ? "one" : "two"); /* its versions are greater */
    a.asks_as = "b";
    assert_int_equal(choose(&a, 0, &choice, &error), FW_MISMATCH);
    a.asks_as = NULL;
    is_told(&a, "one"); /* and nothing of the other's was kept */
}

/* A release counter below the installed one is refused; released again with a greater one it is taken. */
static void going_back_is_a_release(void **state) {
    fixture *f = *state;
    fw_uptane_choice choice;
    fw_error error;
    unit a = unit_new(f, "a");
    release(f, "one");
    release(f, "two");
    assign(f, "a", "one");
    good(choose(&a, 1, &choice, why));
    assert_int_equal(choice.release_counter, 1);
    assert_int_equal(choose(&a, 2, &choice, &error), FW_MISMATCH);
    json_t *custom = json_pack("{s:i}", "release_counter", 3);
    good(fw_trust_release(f->factory->trust, "driving", model_of("one"), 3, custom, why));
    json_decref(custom);
    good(choose(&a, 2, &choice, why)); /* same assignment, other metadata: an epoch began */
    assert_int_equal(choice.release_counter, 3);
    good(fw_trust_withdraw(f->factory->trust, model_of("one"), why));
    is_told(&a, NULL);
}

/* Versions never go back: over restarts, a clock that jumps, a lost epoch file's seconds, and expiry. */
static void versions_never_go_back(void **state) {
    fixture *f = *state;
    const int64_t hour_ns = INT64_C(3600000000000);
    static const int64_t jumps_h[] = {0, 2, -5, 0, 30, -100, 24 * 400, -24 * 400, 1};
    unit a = unit_new(f, "a");
    release(f, "one");
    release(f, "two");
    for (size_t i = 0; i < sizeof jumps_h / sizeof *jumps_h; i++) {
        f->faults.skip_ns += jumps_h[i] * hour_ns;
        good(fw_factory_tick(f->factory, why));
        assign(f, "a", i % 2 ? "one" : "two");
        if (jumps_h[i] > 24 * 300) { /* the image's root is old by then and must be signed anew: it was, by the tick */
            f->faults.skip_ns += hour_ns;
        }
        is_told(&a, i % 2 ? "one" : "two");
        fixture_stop(f);
        fixture_start(f);
        is_told(&a, i % 2 ? "one" : "two");
    }
}

/* `flywheel trust` beside a running factory: it goes on with the new keys. */
static void keys_change_beside_a_running_factory(void **state) {
    fixture *f = *state;
    unit a = unit_new(f, "a");
    release(f, "one");
    assign(f, "a", "one");
    is_told(&a, "one");
    const fw_trust_config config = {.env = f->config.env, .data_folder = f->data};
    fw_trust *other = NULL;
    good(fw_trust_open(&config, &other, why));
    for (int i = 0; i < 2 * FW_TUF_ROLES; i++) {
        good(fw_trust_rotate(other, i % 2 == 0, (fw_tuf_role)(i / 2), NULL, why));
        is_told(&a, "one");
    }
    const char *const patterns[] = {"driving/*", NULL};
    good(fw_trust_delegate(other, "driving", patterns, NULL, why));
    fw_trust_close(other);
    release(f, "two");
    assign(f, "a", "two");
    is_told(&a, "two");
    int64_t count = 0;
    good(fw_trust_verify(f->factory->trust, &count, why));
    assert_int_equal(count, 2);
}

static void *ask_director(void *self) {
    char *bytes = NULL;
    size_t size = 0;
    fw_error error;
    if (fw_trust_director_file(((fixture *)self)->factory->trust, "a", "timestamp.json", &bytes, &size, &error) == FW_OK)
        free(bytes);
    return NULL;
}

/* One rotation is done and the next one half: who serves meanwhile must not clear its new key away. */
static void a_rotation_is_left_alone_by_who_serves(void **state) {
    fixture *f = *state;
    char roots_folder[300], keys[300], lock[300], next[400];
    fw_roots *roots = NULL;
    pthread_t thread;
    assign(f, "a", NULL);
    assert_null(ask_director(f)); /* has the first root */
    snprintf(roots_folder, sizeof roots_folder, "%s/trust/director", f->data);
    snprintf(keys, sizeof keys, "%s/trust/keys/director", f->data);
    snprintf(lock, sizeof lock, "%s/trust/lock", f->data);
    snprintf(next, sizeof next, "%s/snapshot.next.pem", keys);
    int fd = open(lock, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0);
    const fw_roots_config config = {.env = f->config.env, .folder = roots_folder, .keys = keys, .life_s = 365 * 86400};
    good(fw_roots_open(&config, &roots, why));
    good(fw_roots_next(roots, FW_TUF_TIMESTAMP, why));
    good(fw_roots_rotate(roots, FW_TUF_TIMESTAMP, why));
    good(fw_roots_next(roots, FW_TUF_SNAPSHOT, why));
    assert_int_equal(pthread_create(&thread, NULL, ask_director, f), 0);
    usleep(200000); /* long enough for who does not wait */
    assert_true(fw_file_exists(next));
    good(fw_roots_rotate(roots, FW_TUF_SNAPSHOT, why));
    fw_roots_close(roots);
    close(fd);
    pthread_join(thread, NULL);
    unit a = unit_new(f, "a");
    release(f, "one");
    assign(f, "a", "one");
    is_told(&a, "one");
}

/* The factory signs its root anew in time: not over one that a command beside it has made. */
static void a_root_is_never_written_over(void **state) {
    fixture *f = *state;
    char path[300], *before = NULL, *after = NULL;
    size_t before_bytes = 0, after_bytes = 0;
    fw_trust *other = NULL;
    assign(f, "a", NULL);
    assert_null(ask_director(f));
    good(fw_trust_tick(f->factory->trust, why));
    f->faults.skip_ns += INT64_C(200) * 86400 * 1000000000; /* over half its life */
    const fw_trust_config config = {.env = f->config.env, .data_folder = f->data};
    good(fw_trust_open(&config, &other, why));
    good(fw_trust_rotate(other, true, FW_TUF_TARGETS, NULL, why));
    fw_trust_close(other);
    snprintf(path, sizeof path, "%s/trust/director/2.root.json", f->data);
    good(fw_file_read(path, FW_ROOT_MAX_BYTES, &before, &before_bytes, why));
    good(fw_trust_tick(f->factory->trust, why));
    good(fw_file_read(path, FW_ROOT_MAX_BYTES, &after, &after_bytes, why));
    assert_string_equal(before, after);
    free(before), free(after);
}

/* The folder of keys is lost: the factory says so, and does not begin anew in silence; a person may. */
static void lost_keys_are_not_made_anew_in_silence(void **state) {
    fixture *f = *state;
    char folder[300], *bytes = NULL;
    size_t size = 0;
    fw_error error = {""};
    release(f, "one");
    assign(f, "a", "one");
    fixture_stop(f);
    snprintf(folder, sizeof folder, "%s/trust", f->data);
    good(fw_folder_remove(folder, why));
    fixture_start(f);
    assert_int_equal(fw_trust_release(f->factory->trust, "driving", model_of("two"), 3, NULL, &error), FW_CORRUPT);
    assert_non_null(strstr(error.text, "bring it back from a copy"));
    assert_null(ask_director(f));
    assert_false(fw_file_exists(folder));
    good(fw_trust_root(f->config.env, f->data, &bytes, &size, why)); /* flywheel trust init */
    free(bytes);
    release(f, "two");
    unit a = unit_new(f, "a");
    assign(f, "a", "two");
    is_told(&a, "two");
}

/* A year away, while root keys of both were replaced every two weeks. */
static void a_unit_from_last_year(void **state) {
    fixture *f = *state;
    unit a = unit_new(f, "a");
    release(f, "one");
    assign(f, "a", "one");
    is_told(&a, "one");
    for (int i = 0; i < 24; i++) {
        f->faults.skip_ns += INT64_C(15) * 86400 * 1000000000;
        good(fw_trust_rotate(f->factory->trust, true, FW_TUF_ROOT, NULL, why));
        good(fw_trust_rotate(f->factory->trust, false, FW_TUF_ROOT, NULL, why));
        good(fw_trust_tick(f->factory->trust, why));
    }
    release(f, "two");
    assign(f, "a", "two");
    is_told(&a, "two");
}

static void a_release_waits_for_its_key(void **state) {
    fixture *f = *state;
    char command[600], away[120];
    fw_error error;
    int64_t count = 0;
    unit a = unit_new(f, "a");
    snprintf(away, sizeof away, "%s/stick", f->folder);
    snprintf(command, sizeof command, "mkdir '%s' && mv '%s/trust/keys/image/targets.pem' '%s/trust/keys/image/root.pem' '%s'",
             away, f->data, f->data, away);
    assert_int_equal(system(command), 0);
    assert_int_equal(fw_trust_release(f->factory->trust, "driving", model_of("one"), 3, NULL, &error), FW_DENIED);
    assert_false(fw_trust_released(f->factory->trust, model_of("one")));
    assert_int_equal(assign_try(f, "a", model_of("one"), &error), FW_NOT_FOUND);
    good(fw_trust_sign_waiting(f->factory->trust, away, &count, why));
    assert_int_equal(count, 1);
    assign(f, "a", "one");
    is_told(&a, "one");
    good(fw_trust_sign_waiting(f->factory->trust, away, &count, why));
    assert_int_equal(count, 0);
}

static void bad_arguments(void **state) {
    fixture *f = *state;
    fw_trust *t = f->factory->trust;
    fw_error error;
    char path[FW_PATH_MAX], *bytes = NULL;
    size_t size;
    json_t *real = json_pack("{s:f}", "release_counter", 1.5), *list = json_array();
    assert_int_equal(fw_trust_release(t, "../x", model_of("m"), 1, NULL, &error), FW_INVALID);
    assert_int_equal(fw_trust_release(t, "driving", &(fw_hash){"zz"}, 1, NULL, &error), FW_INVALID);
    assert_int_equal(fw_trust_release(t, "driving", model_of("m"), 1, real, &error), FW_INVALID);
    assert_int_equal(fw_trust_release(t, "driving", model_of("m"), 1, list, &error), FW_INVALID);
    json_decref(real);
    json_decref(list);
    static const char *const files[] = {"", ".json", "../keys/release.pem", "x/timestamp.json", "lock", "..json",
                                        "TIMESTAMP.json", "9.root.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        assert_int_equal(fw_trust_image_path(t, files[i], path, sizeof path, &error), FW_NOT_FOUND);
        assert_int_equal(fw_trust_director_file(t, "7", files[i], &bytes, &size, &error), FW_NOT_FOUND);
    }
    assert_int_equal(fw_trust_director_file(t, "../7", "timestamp.json", &bytes, &size, &error), FW_INVALID);
}

/* ---- statements ---- */

static void statements_are_signed(void **state) {
    fixture *f = *state;
    char *key_text = NULL, *envelope = NULL, *payload = NULL;
    size_t size = 0;
    fw_public_key *key = NULL;
    good(fw_trust_sign_statement(f->factory->trust, "{\"a\":1}", 7, &envelope, why));
    fixture_stop(f); /* the key stays */
    fixture_start(f);
    good(fw_trust_release_key(f->factory->trust, &key_text, why));
    json_t *json = json_loads(key_text, 0, NULL);
    good(fw_public_key_read(json, &key, why));
    good(fw_dsse_check(envelope, strlen(envelope), FW_DSSE_IN_TOTO, key, &payload, &size, why));
    assert_string_equal(payload, "{\"a\":1}");
    json_decref(json);
    fw_public_key_free(key);
    free(payload);
    free(envelope);
    free(key_text);
}

/* ---- keys and version reports ---- */

static fw_private_key *key_of(uint8_t fill) {
    uint8_t seed[32];
    fw_private_key *key = NULL;
    memset(seed, fill, sizeof seed);
    good(fw_private_key_of_seed(seed, &key, why));
    return key;
}

static int post_key(fixture *f, const char *name, const fw_private_key *key, bool replace) {
    fw_public_key *half = NULL;
    char path[80];
    good(fw_private_key_public(key, &half, why));
    json_t *body = json_pack("{s:o,s:b}", "public", fw_public_key_json(half), "replace", replace);
    char *text = json_dumps(body, 0);
    snprintf(path, sizeof path, "/v1/units/%s/key", name);
    int status = call(f, "POST", path, text, NULL);
    free(text);
    json_decref(body);
    fw_public_key_free(half);
    return status;
}

/* Reports with this text as "versions" (NULL: none); the nonce of the answer. */
static const char *report(fixture *f, const char *name, const char *versions) {
    static char nonce[40];
    char path[80];
    json_t *answer = NULL, *body = json_object();
    if (versions) json_object_set_new(body, "versions", json_string(versions));
    char *text = json_dumps(body, 0);
    snprintf(path, sizeof path, "/v1/units/%s/report", name);
    assert_int_equal(call(f, "POST", path, text, &answer), 200);
    snprintf(nonce, sizeof nonce, "%s", json_string_value(json_object_get(answer, "nonce")));
    assert_int_equal(strlen(nonce), 32);
    json_decref(answer);
    json_decref(body);
    free(text);
    return nonce;
}

static char *versions_of(const char *name, const char *model, const char *nonce, const fw_private_key *key) {
    fw_version_report r = {.hardware_id = FW_TRUST_HARDWARE, .target = "driving/x", .sha256 = *model_of(model), .tick = 1};
    char *text = NULL;
    snprintf(r.unit, sizeof r.unit, "%s", name);
    snprintf(r.nonce, sizeof r.nonce, "%s", nonce);
    good(fw_version_report_sign(&r, key, &text, why));
    return text;
}

/* What GET .../key says: the model of the last good report ("" none), and whether the last one was refused. */
static void stands(fixture *f, const char *name, const char *model, bool refused) {
    char path[80];
    json_t *json = NULL;
    snprintf(path, sizeof path, "/v1/units/%s/key", name);
    assert_int_equal(call(f, "GET", path, NULL, &json), 200);
    const json_t *body = json_object_get(json_object_get(json, "report"), "signed");
    const char *sha256 = json_string_value(json_object_get(body, "sha256"));
    assert_string_equal(sha256 ? sha256 : "", *model ? model_of(model)->hex : "");
    assert_int_equal(json_is_string(json_object_get(json, "refused")), refused);
    json_decref(json);
}

static void first_key_is_taken_another_is_not(void **state) {
    fixture *f = *state;
    fw_private_key *one = key_of(1), *two = key_of(2);
    json_t *json = NULL;
    assert_int_equal(call(f, "GET", "/v1/units/a/key", NULL, NULL), 404);
    assert_int_equal(call(f, "POST", "/v1/units/a/key", "{}", NULL), 400);
    assert_int_equal(call(f, "POST", "/v1/units/a/key", "{\"public\":{\"keytype\":\"rot13\"}}", NULL), 400);
    assert_int_equal(post_key(f, "a", one, false), 201);
    assert_int_equal(post_key(f, "a", one, false), 201);
    assert_int_equal(post_key(f, "a", two, false), 409);
    assert_int_equal(call(f, "GET", "/v1/units/a/key", NULL, &json), 200);
    json_decref(json);
    /* a unit that says so itself is no operator */
    fw_public_key *half = NULL;
    fw_error error;
    good(fw_private_key_public(two, &half, why));
    json_t *body = json_pack("{s:o,s:b}", "public", fw_public_key_json(half), "replace", 1);
    char *text = json_dumps(body, 0);
    assert_int_equal(fw_trust_unit_key(f->factory->trust, "a", text, strlen(text), false, &error), FW_EXISTS);
    free(text);
    json_decref(body);
    fw_public_key_free(half);
    assert_int_equal(post_key(f, "a", two, true), 201);
    assert_int_equal(post_key(f, "a", one, false), 409);
    fw_private_key_free(one);
    fw_private_key_free(two);
}

static void a_version_report_counts_once(void **state) {
    fixture *f = *state;
    fw_private_key *key = key_of(1), *foreign = key_of(2);
    char *first, *second, *bad, nonce[40];
    assert_int_equal(post_key(f, "a", key, false), 201);
    assert_int_equal(post_key(f, "b", foreign, false), 201);
    first = versions_of("a", "one", report(f, "a", NULL), key);
    snprintf(nonce, sizeof nonce, "%s", report(f, "a", first));
    stands(f, "a", "one", false);
    second = versions_of("a", "two", nonce, key);
    report(f, "a", second);
    stands(f, "a", "two", false);
    report(f, "a", first); /* played again */
    stands(f, "a", "two", false);
    report(f, "a", second);
    stands(f, "a", "two", false);
    bad = versions_of("a", "three", report(f, "a", NULL), foreign); /* signed by another key */
    report(f, "a", bad);
    stands(f, "a", "two", true);
    free(bad);
    bad = versions_of("a", "three", report(f, "b", NULL), key); /* a's report as b's */
    report(f, "b", bad);
    stands(f, "b", "", true);
    free(bad);
    bad = versions_of("b", "three", report(f, "a", NULL), key); /* signed by a, in b's name */
    report(f, "a", bad);
    stands(f, "a", "two", true);
    report(f, "a", "no JSON");
    stands(f, "a", "two", true);
    free(bad);
    free(second);
    second = versions_of("a", "two", report(f, "a", NULL), key);
    report(f, "a", second);
    stands(f, "a", "two", false);
    free(first);
    free(second);
    fw_private_key_free(key);
    fw_private_key_free(foreign);
}

/* A nonce is good for ten minutes at least and twenty at most, and not over a restart. */
static void old_nonces(void **state) {
    fixture *f = *state;
    const int64_t second_ns = 1000000000;
    fw_private_key *key = key_of(1);
    assert_int_equal(post_key(f, "a", key, false), 201);
    char *text = versions_of("a", "one", report(f, "a", NULL), key);
    f->faults.skip_ns += (FW_TRUST_NONCE_S - 10) * second_ns;
    report(f, "a", text);
    stands(f, "a", "one", false);
    free(text);
    text = versions_of("a", "two", report(f, "a", NULL), key);
    f->faults.skip_ns += (2 * FW_TRUST_NONCE_S + 10) * second_ns;
    report(f, "a", text);
    stands(f, "a", "one", false); /* no attack: it asks again */
    free(text);
    text = versions_of("a", "two", report(f, "a", NULL), key);
    fixture_stop(f);
    fixture_start(f);
    report(f, "a", text);
    stands(f, "a", "one", false);
    free(text);
    text = versions_of("a", "two", report(f, "a", NULL), key);
    report(f, "a", text);
    stands(f, "a", "two", false);
    free(text);
    fw_private_key_free(key);
}

static void many_units_cost_no_files(void **state) {
    fixture *f = *state;
    fw_error error;
    char name[32], nonce[33], *bytes = NULL;
    size_t size;
    release(f, "one");
    sqlite3 *db = fw_catalogue_begin(f->factory->catalogue, &error);
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "u%d", i);
        good(fw_trust_assign(f->factory->trust, db, name, model_of("one"), why));
    }
    good(fw_catalogue_end(f->factory->catalogue, FW_OK, why));
    uint64_t before = fw_folder_size_bytes(f->data);
    for (int i = 0; i < 10000; i += 97) {
        snprintf(name, sizeof name, "u%d", i);
        good(fw_trust_director_file(f->factory->trust, name, "timestamp.json", &bytes, &size, why));
        free(bytes);
        fw_trust_nonce(f->factory->trust, name, nonce);
        assert_int_equal(strlen(nonce), 32);
    }
    char trust[120];
    snprintf(trust, sizeof trust, "%s/trust", f->data);
    assert_true(fw_folder_size_bytes(trust) < 64 << 10);
    assert_true(fw_folder_size_bytes(f->data) < before + (64 << 10));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_open, fixture_close)
    const struct CMUnitTest tests[] = {
        TEST(a_unit_is_told_what_to_run), TEST(another_units_answer_is_refused), TEST(going_back_is_a_release),
        TEST(versions_never_go_back), TEST(keys_change_beside_a_running_factory),
        TEST(a_rotation_is_left_alone_by_who_serves), TEST(a_root_is_never_written_over),
        TEST(lost_keys_are_not_made_anew_in_silence), TEST(a_unit_from_last_year),
        TEST(a_release_waits_for_its_key), TEST(bad_arguments), TEST(statements_are_signed),
        TEST(first_key_is_taken_another_is_not), TEST(a_version_report_counts_once), TEST(old_nonces),
        TEST(many_units_cost_no_files),
    };
    return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}
