/* Uptane's threats against director and image repository, made one by one: whatever an attacker has in hand short of
 * both, the unit runs what it ran. */
#include "publish.h"

#include "trust/sign.h"
#include "trust/uptane.h"

#define PATH "driving/m.safetensors"

static json_t *custom_of(const char *unit, const char *hardware, int64_t counter) {
    json_t *custom = json_pack("{s:[s],s:I}", "hardware_ids", hardware, "release_counter", (json_int_t)counter);
    if (unit) json_object_set_new(custom, "unit", json_string(unit));
    return custom;
}

/* Both repositories, and unit 7 with its two readers. */
typedef struct stage {
    machine *machine;
    shelf director, image;
    reader to_director, to_image;
} stage;

static stage stage_new(const char *root) {
    stage s = {.machine = machine_new()};
    s.director = shelf_new(s.machine, root, "director");
    s.image = shelf_new(s.machine, root, "image");
    s.to_director = reader_new(&s.director, "unit/director");
    s.to_image = reader_new(&s.image, "unit/image");
    reader_init(&s.to_director, &s.director);
    reader_init(&s.to_image, &s.image);
    return s;
}
static fw_status choose_as(stage *s, const char *unit, const char *hardware, uint64_t installed, fw_uptane_choice *out,
                           fw_error *error) {
    fw_tuf_fetch fetches[2];
    fw_tuf_client *director = reader_open(&s->to_director, &fetches[0]), *image = reader_open(&s->to_image, &fetches[1]);
    const fw_uptane_unit who = {.unit = unit, .hardware_id = hardware, .release_counter = installed};
    fw_status status = fw_uptane_choose(director, image, &who, out, error);
    out->target.custom = NULL;
    fw_tuf_close(director);
    fw_tuf_close(image);
    return status;
}
static fw_status choose(stage *s, uint64_t installed, fw_uptane_choice *out, fw_error *error) {
    return choose_as(s, "7", "ecu", installed, out, error);
}
static void release(stage *s, const char *bytes, int64_t counter) {
    shelf_put(&s->image, PATH, bytes, custom_of(NULL, "ecu", counter));
}
static void assign(stage *s, const char *bytes, int64_t counter) {
    shelf_put(&s->director, PATH, bytes, custom_of("7", "ecu", counter));
}
/* Refused, and the reason has this word. */
static void refused(stage *s, uint64_t installed, fw_status want, const char *word) {
    fw_uptane_choice choice = {.found = false};
    fw_error error = {""};
    fw_status status = choose(s, installed, &choice, &error);
    if (status != want || !strstr(error.text, word))
        fail_msg("wanted %s with '%s', got %s: %s", fw_status_text(want), word, fw_status_text(status), error.text);
    assert_false(choice.found);
}

static void both_agree(void **state) {
    stage s = stage_new(*state);
    fw_uptane_choice choice;
    good(choose(&s, 0, &choice, why));
    assert_false(choice.found); /* nothing is assigned */
    release(&s, "model", 3);
    good(choose(&s, 0, &choice, why));
    assert_false(choice.found); /* released is not assigned */
    assign(&s, "model", 3);
    good(choose(&s, 3, &choice, why));
    assert_true(choice.found);
    assert_string_equal(choice.target.path, PATH);
    assert_int_equal(choice.release_counter, 3);
    assert_int_equal(choice.target.length_bytes, 5);
    free(s.machine);
}

/* The director alone is in an attacker's hand: he can name what he wants, the image repository does not have it. */
static void director_compromised(void **state) {
    stage s = stage_new(*state);
    assign(&s, "evil", 9);
    refused(&s, 0, FW_MISMATCH, "does not have");
    release(&s, "model", 3);
    refused(&s, 0, FW_MISMATCH, "hashes");
    shelf_put(&s.director, PATH, "model", custom_of("7", "ecu", 99)); /* an old model as a new one */
    refused(&s, 0, FW_MISMATCH, "counters");
    shelf_put(&s.director, PATH, "model", custom_of("7", "other", 3));
    refused(&s, 0, FW_MISMATCH, "not for unit");
    free(s.machine);
}

/* The image repository alone: it can change a release, the director still names the genuine one. */
static void image_compromised(void **state) {
    stage s = stage_new(*state);
    release(&s, "model", 3);
    assign(&s, "model", 3);
    release(&s, "evil!", 3);
    refused(&s, 0, FW_MISMATCH, "hashes");
    release(&s, "evil and longer", 3);
    refused(&s, 0, FW_MISMATCH, "hashes");
    release(&s, "model", 4);
    refused(&s, 0, FW_MISMATCH, "counters");
    free(s.machine);
}

static void wrong_hardware(void **state) {
    stage s = stage_new(*state);
    shelf_put(&s.image, PATH, "model", custom_of(NULL, "truck", 3));
    assign(&s, "model", 3);
    refused(&s, 0, FW_MISMATCH, "not released for hardware");
    free(s.machine);
}

/* Both say an older release than what is installed: a rollback with genuine signatures. */
static void lower_release_counter(void **state) {
    stage s = stage_new(*state);
    fw_uptane_choice choice;
    release(&s, "model", 3);
    assign(&s, "model", 3);
    good(choose(&s, 3, &choice, why));
    refused(&s, 4, FW_MISMATCH, "rollback");
    release(&s, "model", 5); /* released again, on purpose */
    assign(&s, "model", 5);
    good(choose(&s, 4, &choice, why));
    assert_true(choice.found);
    free(s.machine);
}

static void another_units_metadata(void **state) {
    stage s = stage_new(*state);
    release(&s, "model", 3);
    shelf_put(&s.director, PATH, "model", custom_of("8", "ecu", 3)); /* signed by the director, for unit 8 */
    refused(&s, 0, FW_MISMATCH, "not for unit 7");
    shelf_put(&s.director, PATH, "model", custom_of(NULL, "ecu", 3)); /* for nobody */
    refused(&s, 0, FW_MISMATCH, "not for unit 7");
    free(s.machine);
}

/* A director signs for many units; unit 8's metadata is genuine and has greater versions. On the line of unit 7 it is
 * refused before it is kept, and 7's own is taken afterwards. */
static void another_units_metadata_is_not_kept(void **state) {
    stage s = stage_new(*state);
    fw_tuf_fetch under = {.self = &s.to_director, .metadata = reader_metadata}, fetches[2];
    fw_uptane_line line = {.under = under, .unit = "7"};
    fw_uptane_choice choice;
    fw_error error;
    const fw_uptane_unit who = {.unit = "7", .hardware_id = "ecu"};
    release(&s, "model", 3);
    s.director.unit = "7";
    assign(&s, "model", 3);
    shelf eight = shelf_new(s.machine, *state, "eight"); /* the same keys, another unit */
    copy_folder(s.director.folder, eight.folder);
    copy_folder(s.director.keys, eight.keys);
    eight.unit = "8";
    for (int i = 0; i < 4; i++) shelf_put(&eight, PATH, i % 2 ? "model" : "other", custom_of("8", "ecu", 3));
    for (int round = 0; round < 3; round++) {
        fw_tuf_client *director = NULL, *image = reader_open(&s.to_image, &fetches[1]);
        fetches[0] = fw_uptane_fetch(&line);
        good(fw_tuf_open(&s.machine->env, s.to_director.folder, &fetches[0], NULL, &director, why));
        reader_serve(&s.to_director, round == 1 ? eight.folder : s.director.folder);
        fw_status status = fw_uptane_choose(director, image, &who, &choice, &error);
        assert_int_equal(status, round == 1 ? FW_MISMATCH : FW_OK);
        fw_tuf_close(director);
        fw_tuf_close(image);
    }
    assert_true(choice.found);
    free(s.machine);
}

static void two_targets(void **state) {
    stage s = stage_new(*state);
    release(&s, "model", 3);
    assign(&s, "model", 3);
    shelf_put(&s.director, "driving/n.safetensors", "model", custom_of("7", "ecu", 3));
    refused(&s, 0, FW_MISMATCH, "more than one");
    free(s.machine);
}

/* The line shows what was true yesterday, or last month, for ever. */
static void freeze(void **state) {
    stage s = stage_new(*state);
    fw_uptane_choice choice;
    release(&s, "model", 3);
    assign(&s, "model", 3);
    good(choose(&s, 0, &choice, why));
    s.machine->now_s += 2 * DAY_S; /* both are old now: timestamps live a day */
    refused(&s, 0, FW_TIMEOUT, "");
    fw_repository *r = shelf_open(&s.director);
    good(fw_repository_freshen(r, why)); /* the director is fresh, the image is not */
    fw_repository_close(r);
    refused(&s, 0, FW_TIMEOUT, "");
    r = shelf_open(&s.image);
    good(fw_repository_freshen(r, why));
    fw_repository_close(r);
    good(choose(&s, 0, &choice, why));
    free(s.machine);
}

/* An old, genuine state of a repository put in the place of the new one. */
static void old_repositories_come_back(void **state) {
    stage s = stage_new(*state);
    fw_uptane_choice choice;
    char kept[2][FW_PATH_MAX];
    fw_error error;
    release(&s, "model", 3);
    assign(&s, "model", 3);
    const shelf *both[2] = {&s.director, &s.image};
    for (int i = 0; i < 2; i++) {
        snprintf(kept[i], sizeof kept[i], "%s/kept-%d", (char *)*state, i);
        copy_folder(both[i]->folder, kept[i]);
    }
    release(&s, "newer model", 4);
    assign(&s, "newer model", 4);
    good(choose(&s, 3, &choice, why));
    for (int i = 1; i < 4; i++) { /* the director's, the image's, both */
        reader_serve(&s.to_director, i & 1 ? kept[0] : s.director.folder);
        reader_serve(&s.to_image, i & 2 ? kept[1] : s.image.folder);
        assert_int_equal(choose(&s, 3, &choice, &error), FW_MISMATCH);
    }
    reader_serve(&s.to_director, s.director.folder);
    reader_serve(&s.to_image, s.image.folder);
    good(choose(&s, 3, &choice, why));
    free(s.machine);
}

/* Single files of an older or of the other repository among the new ones. */
static const char *mixed_file, *mixed_from;
static fw_status mix(reader *r, const char *path, size_t max_bytes, char **bytes, size_t *size_bytes) {
    char full[FW_PATH_MAX + 128];
    (void)r;
    if (!strstr(path, mixed_file)) return FW_END;
    snprintf(full, sizeof full, "%s/%s", mixed_from, path);
    if (!fw_file_exists(full)) return FW_END;
    return fw_file_read(full, max_bytes, bytes, size_bytes, NULL);
}
static void mix_and_match(void **state) {
    static const char *const files[] = {"timestamp.json", "snapshot.json", "targets.json", "2.root.json"};
    stage s = stage_new(*state);
    fw_error error;
    fw_uptane_choice choice;
    release(&s, "model", 3);
    assign(&s, "model", 3);
    shelf other = shelf_new(s.machine, *state, "other"); /* an attacker's repository with the same version numbers */
    shelf_put(&other, PATH, "evil!", custom_of("7", "ecu", 3));
    fw_repository *r = shelf_open(&other);
    good(fw_repository_rotate(r, FW_TUF_ROOT, why));
    fw_repository_close(r);
    const char *const sources[2] = {other.folder, s.image.folder};
    for (size_t source = 0; source < 2; source++)
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            char fresh[FW_PATH_MAX], kept[FW_PATH_MAX];
            if (source == 1 && i == 3) continue; /* the image has no second root */
            snprintf(kept, sizeof kept, "%s", s.to_director.folder);
            snprintf(fresh, sizeof fresh, "%s/fresh-%zu-%zu", (char *)*state, source, i);
            copy_folder(kept, fresh);
            snprintf(s.to_director.folder, sizeof s.to_director.folder, "%s", fresh);
            mixed_file = files[i];
            mixed_from = sources[source];
            s.to_director.attack = mix;
            if (choose(&s, 0, &choice, &error) == FW_OK) fail_msg("took %s of another repository", files[i]);
            s.to_director.attack = NULL;
            good(choose(&s, 0, &choice, why)); /* and is none the worse */
            assert_true(choice.found);
            snprintf(s.to_director.folder, sizeof s.to_director.folder, "%s", kept);
        }
    free(s.machine);
}

/* A file that never ends is cut at its limit. */
static size_t most_asked;
static fw_status endless(reader *r, const char *path, size_t max_bytes, char **bytes, size_t *size_bytes) {
    (void)r;
    if (strstr(path, "root")) return FW_END;
    if (max_bytes > most_asked) most_asked = max_bytes;
    *size_bytes = max_bytes;
    *bytes = malloc(max_bytes + 1);
    memset(*bytes, ' ', max_bytes);
    (*bytes)[max_bytes] = '\0';
    return FW_OK;
}
static void endless_data(void **state) {
    stage s = stage_new(*state);
    fw_error error;
    fw_uptane_choice choice;
    release(&s, "model", 3);
    assign(&s, "model", 3);
    s.to_director.attack = endless;
    most_asked = 0;
    assert_int_not_equal(choose(&s, 0, &choice, &error), FW_OK);
    assert_true(most_asked > 0 && most_asked <= (5u << 20));
    s.to_director.attack = NULL;
    good(choose(&s, 0, &choice, why));
    /* a target longer than it says is refused while it comes */
    fw_tuf_fetch fetch;
    char path[FW_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/model", (char *)*state);
    fw_tuf_client *image = reader_open(&s.to_image, &fetch);
    fw_tuf_target target;
    good(fw_tuf_refresh(image, why));
    good(fw_tuf_find(image, PATH, &target, why));
    s.to_image.bytes = "model and much more";
    assert_int_not_equal(fw_tuf_download(image, &target, path, &error), FW_OK);
    assert_false(fw_file_exists(path));
    s.to_image.bytes = "mode!";
    assert_int_equal(fw_tuf_download(image, &target, path, &error), FW_MISMATCH);
    assert_false(fw_file_exists(path));
    fw_tuf_close(image);
    free(s.machine);
}

/* A line that gives two bytes at a time and breaks: the download goes on where it was. */
static void slow_retrieval_resumes(void **state) {
    stage s = stage_new(*state);
    fw_tuf_fetch fetch;
    fw_tuf_target target;
    char path[FW_PATH_MAX + 16];
    fw_error error;
    release(&s, "a model of some length", 3);
    snprintf(path, sizeof path, "%s/model", (char *)*state);
    fw_tuf_client *image = reader_open(&s.to_image, &fetch);
    good(fw_tuf_refresh(image, why));
    good(fw_tuf_find(image, PATH, &target, why));
    s.to_image.bytes = "a model of some length";
    s.to_image.cut_after = 2;
    int tries = 0;
    while (fw_tuf_download(image, &target, path, &error) != FW_OK) assert_true(++tries < 30);
    assert_int_equal(tries, 10); /* 22 bytes: ten broken lines, the last two whole */
    fw_tuf_close(image);
    free(s.machine);
}

/* Any one request, or all from one on, never answered: nothing is chosen, nothing is lost. */
static unsigned drop_from, drop_count, asked;
static fw_status drop(reader *r, const char *path, size_t max_bytes, char **bytes, size_t *size_bytes) {
    (void)r, (void)path, (void)max_bytes, (void)bytes, (void)size_bytes;
    asked++;
    return asked >= drop_from && asked < drop_from + drop_count ? FW_CLOSED : FW_END;
}
static void dropped_requests(void **state) {
    stage s = stage_new(*state);
    fw_uptane_choice choice;
    fw_error error;
    release(&s, "model", 3);
    assign(&s, "model", 3);
    unsigned failures = 0;
    s.to_director.attack = s.to_image.attack = drop;
    for (drop_from = 1; drop_from < 10; drop_from++)
        for (drop_count = 1; drop_count < 100; drop_count += 98) {
            asked = 0;
            choice.found = false;
            if (choose(&s, 0, &choice, &error) != FW_OK) {
                failures++;
                assert_false(choice.found);
            }
        }
    assert_true(failures > 4);
    s.to_director.attack = s.to_image.attack = NULL;
    good(choose(&s, 0, &choice, why));
    assert_true(choice.found);
    free(s.machine);
}

/* ---- the first roots ---- */

static void first_roots_from_a_bundle(void **state) {
    machine *m = machine_new();
    shelf director = shelf_new(m, *state, "director"), image = shelf_new(m, *state, "image");
    const shelf *both[2] = {&director, &image};
    char *roots[2], *bundle = NULL, folder[FW_PATH_MAX], path[FW_PATH_MAX + 32];
    fw_error error;
    for (int i = 0; i < 2; i++) {
        fw_repository *r = shelf_open(both[i]);
        size_t size;
        good(fw_repository_root(r, &roots[i], &size, why));
        fw_repository_close(r);
    }
    assert_true(asprintf(&bundle, "{\"image\":%s,\"director\":%s}", roots[1], roots[0]) > 0);
    snprintf(folder, sizeof folder, "%s/unit", (char *)*state);
    assert_int_not_equal(fw_uptane_init(&m->env, folder, "{}", 2, &error), FW_OK);
    assert_int_not_equal(fw_uptane_init(&m->env, folder, "no", 2, &error), FW_OK);
    good(fw_uptane_init(&m->env, folder, bundle, strlen(bundle), why));
    assert_int_equal(fw_uptane_init(&m->env, folder, bundle, strlen(bundle), &error), FW_EXISTS);
    snprintf(path, sizeof path, "%s/director/root.json", folder); /* a crash between the two */
    assert_int_equal(unlink(path), 0);
    good(fw_uptane_init(&m->env, folder, bundle, strlen(bundle), why));
    assert_true(fw_file_exists(path));
    reader r = reader_new(&director, "unit/director");
    fw_tuf_target target;
    good(reader_find(&r, NULL, &target, why));
    free(bundle);
    free(roots[0]);
    free(roots[1]);
    free(m);
}

/* ---- version reports ---- */

static fw_private_key *key_of(uint8_t fill) {
    uint8_t seed[32];
    fw_private_key *key = NULL;
    memset(seed, fill, sizeof seed);
    good(fw_private_key_of_seed(seed, &key, why));
    return key;
}

static void version_reports(void **state) {
    (void)state;
    fw_private_key *key = key_of(1), *other = key_of(2);
    fw_public_key *half = NULL, *other_half = NULL;
    fw_error error;
    char *text = NULL;
    good(fw_private_key_public(key, &half, why));
    good(fw_private_key_public(other, &other_half, why));
    fw_version_report said = {.unit = "7", .hardware_id = "ecu", .target = PATH, .sha256 = fw_hash_bytes("m", 1),
                              .release_counter = 3, .tick = 99, .time_ns = -5, .nonce = "n", .attack = "a rollback"},
                      heard;
    good(fw_version_report_sign(&said, key, &text, why));
    good(fw_version_report_check(text, strlen(text), half, &heard, why));
    assert_string_equal(heard.unit, "7");
    assert_string_equal(heard.target, PATH);
    assert_string_equal(heard.sha256.hex, said.sha256.hex);
    assert_string_equal(heard.attack, "a rollback");
    assert_int_equal(heard.tick, 99);
    assert_int_equal(heard.time_ns, -5);
    assert_int_equal(fw_version_report_check(text, strlen(text), other_half, &heard, &error), FW_MISMATCH);
    size_t taken = 0;
    for (size_t bit = 0; bit < 8 * strlen(text); bit++) { /* a flipped bit is refused, or lies in the key's name */
        fw_version_report flipped = {.tick = 0};
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
        if (fw_version_report_check(text, strlen(text), half, &flipped, &error) == FW_OK) {
            assert_memory_equal(&flipped.tick, &said.tick, sizeof said.tick);
            assert_string_equal(flipped.unit, "7");
            taken++;
        }
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
    }
    assert_true(taken < 8 * (64 + 8));
    assert_int_equal(fw_version_report_check("{}", 2, half, &heard, &error), FW_CORRUPT);
    assert_int_equal(fw_version_report_check("[", 1, half, &heard, &error), FW_CORRUPT);
    free(text);
    fw_public_key_free(half);
    fw_public_key_free(other_half);
    fw_private_key_free(key);
    fw_private_key_free(other);
}

/* Signed by the right key, and no version report all the same. */
static void signed_nonsense(void **state) {
    (void)state;
    fw_private_key *key = key_of(1);
    fw_public_key *half = NULL;
    fw_error error;
    fw_version_report heard;
    good(fw_private_key_public(key, &half, why));
    const fw_private_key *const keys[1] = {key};
    static const char *const bodies[] = {
        "{}", "{\"unit\":7}",
        "{\"attacks\":[],\"hardware_id\":\"h\",\"nonce\":\"n\",\"release_counter\":-1,\"sha256\":\"\",\"target\":\"t\",\"tick\":1,\"time_ns\":1,\"unit\":\"7\"}",
        "{\"attacks\":[],\"hardware_id\":\"h\",\"nonce\":\"n\",\"release_counter\":1,\"sha256\":\"zz\",\"target\":\"t\",\"tick\":1,\"time_ns\":1,\"unit\":\"7\"}",
        "{\"attacks\":[7],\"hardware_id\":\"h\",\"nonce\":\"n\",\"release_counter\":1,\"sha256\":\"\",\"target\":\"t\",\"tick\":1,\"time_ns\":1,\"unit\":\"7\"}",
        "{\"attacks\":[],\"hardware_id\":\"h\",\"nonce\":\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\",\"release_counter\":1,\"sha256\":\"\",\"target\":\"t\",\"tick\":1,\"time_ns\":1,\"unit\":\"7\"}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        json_t *body = json_loads(bodies[i], 0, NULL);
        char *text = NULL;
        size_t size = 0;
        good(fw_sign_metadata(body, keys, 1, &text, &size, why));
        assert_int_equal(fw_version_report_check(text, size, half, &heard, &error), FW_CORRUPT);
        free(text);
        json_decref(body);
    }
    fw_public_key_free(half);
    fw_private_key_free(key);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_open, folder_close)
    const struct CMUnitTest tests[] = {
        TEST(both_agree), TEST(director_compromised), TEST(image_compromised), TEST(wrong_hardware),
        TEST(lower_release_counter), TEST(another_units_metadata),
        TEST(another_units_metadata_is_not_kept), TEST(two_targets), TEST(freeze),
        TEST(old_repositories_come_back), TEST(mix_and_match), TEST(endless_data), TEST(slow_retrieval_resumes),
        TEST(dropped_requests), TEST(first_roots_from_a_bundle), TEST(version_reports), TEST(signed_nonsense),
    };
    return cmocka_run_group_tests_name("uptane", tests, NULL, NULL);
}
