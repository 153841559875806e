/* The gate's book and the gate's seal: suites, places and epochs in the catalogue; what a job can open. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/confine.h"
#include "base/file.h"
#include "factory/gate/gate_job.h"
#include "factory/gate/ledger.h"
#include "factory/generations/job.h"
#include "factory/generations/job_confine.h"
#include "lines/driving/act/policy.h"
#include "../lines/synthetic_file.h"

/* ---- the book ---- */

static fw_catalogue *book(char folder[64]) {
    char path[120];
    fw_catalogue *catalogue;
    fw_error error = {""};
    strcpy(folder, "/tmp/flywheel-book-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/catalogue.sqlite", folder);
    if (fw_catalogue_open(path, &catalogue, &error) != FW_OK) fail_msg("%s", error.text);
    return catalogue;
}

static void shut(fw_catalogue *catalogue, const char *folder) {
    fw_catalogue_close(catalogue);
    assert_int_equal(fw_folder_remove(folder, NULL), FW_OK);
}

static fw_hash name_of(int i) {
    char text[16];
    snprintf(text, sizeof text, "r%d", i);
    return fw_hash_bytes(text, strlen(text));
}

/* Recordings [from, to) come in. */
static void arrive(fw_catalogue *catalogue, int from, int to) {
    sqlite3 *db = fw_catalogue_begin(catalogue, NULL);
    for (int i = from; i < to; i++)
        assert_int_equal(fw_db_run(db, NULL, "INSERT INTO objects(sha256,kind,size_bytes,received_ns) VALUES(?,'recording',1,1)",
                                   "t", name_of(i).hex), FW_OK);
    assert_int_equal(fw_catalogue_end(catalogue, FW_OK, NULL), FW_OK);
}

static json_t *held_out(int from, int to) {
    json_t *list = json_array();
    for (int i = from; i < to; i++) json_array_append_new(list, json_string(name_of(i).hex));
    return list;
}

/* The next decision on recordings [from, to); what is left of them in *left. */
static fw_gate_turn next(fw_catalogue *catalogue, int from, int to, size_t *left) {
    fw_gate_turn turn;
    fw_error error = {""};
    json_t *list = held_out(from, to);
    sqlite3 *db = fw_catalogue_read(catalogue);
    if (fw_gate_turn_next(db, list, &turn, &error) != FW_OK) fail_msg("%s", error.text);
    fw_catalogue_read_end(catalogue);
    *left = json_array_size(list);
    json_decref(list);
    return turn;
}

static json_t *record(bool promote) {
    return json_pack("{s:b,s:s,s:{s:f,s:f},s:{s:f}}", "promote", promote, "reason", "because", "hypotheses", "alpha_t",
                     0.025, "beta", 0.1, "primary", "log_e", 1.5);
}

static void write_down(fw_catalogue *catalogue, const fw_gate_turn *turn, bool promote) {
    json_t *t = fw_gate_turn_json(turn), *r = record(promote);
    const fw_hash champion = name_of(-1), candidate = name_of(-2);
    const fw_gate_decision d = {7, 5, champion.hex, candidate.hex, t, r};
    fw_error error = {""};
    sqlite3 *db = fw_catalogue_begin(catalogue, NULL);
    fw_status status = fw_gate_ledger_add(db, &d, &error);
    if (fw_catalogue_end(catalogue, status, &error) != FW_OK) fail_msg("%s", error.text);
    json_decref(t);
    json_decref(r);
}

static void test_places_and_promotions(void **state) {
    (void)state;
    char folder[64];
    size_t left;
    fw_catalogue *catalogue = book(folder);
    arrive(catalogue, 0, 30);
    fw_gate_turn turn = next(catalogue, 0, 20, &left);
    assert_true(turn.plan.epoch == 1 && turn.plan.place == 1 && turn.plan.promotions == 0 && left == 20);
    fw_gate_turn again = next(catalogue, 0, 20, &left); /* asked twice, decided once */
    assert_true(again.plan.place == 1 && strcmp(again.plan.suite, turn.plan.suite) == 0);
    write_down(catalogue, &turn, true);
    turn = next(catalogue, 0, 30, &left);
    assert_true(turn.plan.epoch == 1 && turn.plan.place == 2 && turn.plan.promotions == 1 && left == 30);
    assert_string_not_equal(turn.plan.suite, again.plan.suite);
    write_down(catalogue, &turn, false);
    turn = next(catalogue, 10, 30, &left);
    assert_true(turn.plan.place == 3 && turn.plan.promotions == 1 && left == 20);
    shut(catalogue, folder);
}

static void test_an_epoch_ends_when_enough_came(void **state) {
    (void)state;
    char folder[64];
    size_t left;
    fw_catalogue *catalogue = book(folder);
    arrive(catalogue, 0, 20 + FW_GATE_FRESH - 1);
    fw_gate_turn first = next(catalogue, 0, 20, &left);
    write_down(catalogue, &first, true);
    fw_gate_turn turn = next(catalogue, 0, 20 + FW_GATE_FRESH - 1, &left);
    assert_true(turn.plan.epoch == 1 && turn.plan.place == 2 && left == 20 + FW_GATE_FRESH - 1);
    write_down(catalogue, &turn, false);
    arrive(catalogue, 20 + FW_GATE_FRESH - 1, 20 + FW_GATE_FRESH);
    turn = next(catalogue, 0, 20 + FW_GATE_FRESH, &left);
    assert_true(turn.plan.epoch == 2 && turn.plan.place == 1 && turn.plan.promotions == 0);
    assert_int_equal(left, FW_GATE_FRESH); /* none that the first epoch began with */
    write_down(catalogue, &turn, false);
    turn = next(catalogue, 0, 20 + FW_GATE_FRESH, &left);
    assert_true(turn.plan.epoch == 2 && turn.plan.place == 2 && left == FW_GATE_FRESH);
    shut(catalogue, folder);
}

static void test_a_suite_is_worn_after_its_places(void **state) {
    (void)state;
    char folder[64];
    size_t left;
    fw_catalogue *catalogue = book(folder);
    arrive(catalogue, 0, 10);
    for (uint32_t i = 1; i <= FW_GATE_PLACES + 1; i++) {
        fw_gate_turn turn = next(catalogue, 0, 10, &left);
        assert_int_equal(turn.plan.place, i);
        assert_true((fw_gate_alpha(0.05, turn.plan.place, turn.plan.promotions) > 0) == (i <= FW_GATE_PLACES));
        write_down(catalogue, &turn, false);
    }
    shut(catalogue, folder);
}

static void test_rows_are_listed_and_shown(void **state) {
    (void)state;
    char folder[64], *text;
    size_t left;
    fw_error error = {""};
    fw_catalogue *catalogue = book(folder);
    arrive(catalogue, 0, 3);
    for (int i = 0; i < 2; i++) {
        fw_gate_turn turn = next(catalogue, 0, 3, &left);
        write_down(catalogue, &turn, i == 1);
    }
    assert_int_equal(fw_gate_ledger_json(catalogue, &text, NULL), FW_OK);
    json_t *rows = json_loads(text, 0, NULL);
    free(text);
    assert_int_equal(json_array_size(rows), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(rows, 0), "n")), 2);
    assert_true(json_is_true(json_object_get(json_array_get(rows, 0), "promoted")));
    assert_null(json_object_get(json_array_get(rows, 0), "record"));
    json_decref(rows);
    assert_int_equal(fw_gate_ledger_json_of(catalogue, 1, &text, NULL), FW_OK);
    json_t *row = json_loads(text, 0, NULL);
    free(text);
    assert_string_equal(json_string_value(json_object_get(json_object_get(row, "record"), "reason")), "because");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json_object_get(row, "record"), "ledger"), "place")), 1);
    json_decref(row);
    assert_int_equal(fw_gate_ledger_json_of(catalogue, 9, &text, &error), FW_NOT_FOUND);
    shut(catalogue, folder);
}

static void test_a_broken_turn_or_record_is_refused(void **state) {
    (void)state;
    static const char *const turns[] = {"null", "{}", "{\"suite\":\"x\",\"epoch\":1,\"place\":1}",
                                        "{\"suite\":\"%s\",\"epoch\":0,\"place\":1}", "{\"suite\":\"%s\",\"epoch\":1,\"place\":0}",
                                        "{\"suite\":\"%s\",\"epoch\":1,\"place\":1,\"promotions\":2}"};
    char folder[64], text[200];
    fw_gate_turn turn;
    fw_catalogue *catalogue = book(folder);
    sqlite3 *db = fw_catalogue_begin(catalogue, NULL);
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
        snprintf(text, sizeof text, turns[i], name_of(1).hex);
        json_t *json = json_loads(text, JSON_DECODE_ANY, NULL), *r = record(true);
        assert_int_equal(fw_gate_turn_read(json, &turn, NULL), FW_CORRUPT);
        const fw_gate_decision d = {1, 1, "a", "b", json, r};
        assert_int_equal(fw_gate_ledger_add(db, &d, NULL), FW_CORRUPT);
        json_decref(json);
        json_decref(r);
    }
    turn = (fw_gate_turn){.plan = fw_gate_usual};
    memcpy(turn.plan.suite, name_of(1).hex, sizeof turn.plan.suite);
    json_t *json = fw_gate_turn_json(&turn), *empty = json_object();
    const fw_gate_decision d = {1, 1, "a", "b", json, empty};
    assert_int_equal(fw_gate_ledger_add(db, &d, NULL), FW_CORRUPT);
    json_decref(json);
    json_decref(empty);
    assert_int_equal(fw_catalogue_end(catalogue, FW_OK, NULL), FW_OK);
    shut(catalogue, folder);
}

static void test_a_summary_is_short(void **state) {
    (void)state;
    json_t *result = json_pack("{s:b,s:{},s:{s:s,s:[i],s:[i]}}", "promote", 1, "turn", "record", "reason", "x", "clusters", 1,
                               "log_wealth", 2);
    json_t *summary = fw_gate_job_summary(result);
    assert_null(json_object_get(summary, "turn"));
    assert_null(json_object_get(json_object_get(summary, "record"), "clusters"));
    assert_non_null(json_object_get(json_object_get(summary, "record"), "reason"));
    assert_non_null(json_object_get(json_object_get(result, "record"), "clusters")); /* the whole stays whole */
    json_decref(summary);
    json_decref(result);
}

/* ---- the seal ---- */

typedef struct place {
    char data[64], folder[100], train[100], held_out[100], champion[100], candidate[140];
} place;

static int lay_out(void **state) {
    place *p = calloc(1, sizeof *p);
    char *bytes;
    size_t size;
    strcpy(p->data, "/tmp/flywheel-seal-XXXXXX");
    assert_non_null(mkdtemp(p->data));
    assert_int_equal(chmod(p->data, 0755), 0);
    snprintf(p->folder, sizeof p->folder, "%s/jobs/generation-1", p->data);
    snprintf(p->train, sizeof p->train, "%s/train.mcap", p->data);
    snprintf(p->held_out, sizeof p->held_out, "%s/held-out.mcap", p->data);
    snprintf(p->champion, sizeof p->champion, "%s/champion", p->data);
    snprintf(p->candidate, sizeof p->candidate, "%s/candidate.safetensors", p->folder);
    assert_int_equal(fw_folder_make(p->folder, 0777, NULL), FW_OK);
    assert_int_equal(chmod(p->folder, 0777), 0);
    synthetic_file(p->train, "car-1", 6);
    synthetic_file(p->held_out, "car-3", 7);
    assert_int_equal(fw_policy_rule_file(FW_POLICY_CONSTANT, &bytes, &size, NULL), FW_OK);
    assert_int_equal(fw_file_write_durable(fw_env_real(), p->champion, bytes, size, NULL), FW_OK);
    free(bytes);
    *state = p;
    return 0;
}

static int tidy(void **state) {
    place *p = *state;
    int failed = fw_folder_remove(p->data, NULL) != FW_OK;
    free(p);
    return failed;
}

/* errno of opening; 0: it is open. */
static int opens(const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0) return errno;
    close(fd);
    return 0;
}

/* errno when every kind of socket is refused; 0: one is given. */
static int sockets(void) {
    const int kinds[] = {AF_INET, AF_INET6, AF_UNIX};
    int refused = 0, code = 0;
    for (int i = 0; i < 3; i++) {
        int fd = socket(kinds[i], SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) refused++, code = errno;
        else close(fd);
    }
    return refused == 3 ? code : 0;
}

/* In a process of its own, as `uid`: returns its exit status. */
static int in_child(const place *p, uid_t uid, int (*work)(const place *p)) {
    fflush(NULL);
    pid_t pid = fork();
    int status = 0;
    if (pid == 0) {
        if (uid != getuid() && (setgid(uid) != 0 || setuid(uid) != 0)) _exit(99);
        _exit(work(p));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

/* What a job of training may do, and nothing else. */
static int reach_out(const place *p) {
    const char *train[] = {p->train};
    const fw_job_reach reach = {.folder = p->folder, .champion = p->champion, .recordings = train, .recording_count = 1};
    char link_path[140], inside[140];
    snprintf(link_path, sizeof link_path, "%s/link-%d", p->folder, (int)getuid());
    snprintf(inside, sizeof inside, "%s/out-%d", p->folder, (int)getuid());
    if (opens(p->held_out, O_RDONLY) != 0 || sockets() != 0) return 1; /* before */
    if (fw_job_confine(&reach, NULL) != FW_OK) return 2;
    if (opens(p->held_out, O_RDONLY) != EACCES) return 3;
    if (symlink(p->held_out, link_path) != 0 || opens(link_path, O_RDONLY) != EACCES) return 4;
    if (link(p->held_out, inside) == 0) return 5; /* not into its folder either */
    if (opens(p->train, O_RDONLY) != 0 || opens(p->champion, O_RDONLY) != 0) return 6;
    if (opens(p->train, O_WRONLY) != EACCES) return 7;
    if (opens(inside, O_WRONLY | O_CREAT) != 0) return 8;
    if (opens(p->data, O_RDONLY | O_DIRECTORY) != EACCES) return 9; /* nor look around */
    if (sockets() != EACCES) return 10; /* nor ask the factory for it */
    return 0;
}

static void test_training_cannot_open_what_is_held_out(void **state) {
    const place *p = *state;
    if (fw_confine_version() == 0) skip();
    assert_int_equal(in_child(p, getuid(), reach_out), 0);
    if (getuid() == 0) assert_int_equal(in_child(p, 65534, reach_out), 0);
}

/* A data folder below /usr or /etc is open to every program: nobody may call that sealed. */
static int lies_in_the_open(const place *p) {
    const fw_job_reach reach = {.folder = p->folder, .champion = "/etc/passwd"};
    fw_error error = {""};
    if (fw_job_confine(&reach, &error) != FW_UNSUPPORTED) return 1;
    return strstr(error.text, "move the data folder") ? 0 : 2;
}

static void test_a_system_folder_is_no_seal(void **state) {
    if (fw_confine_version() == 0) skip();
    assert_int_equal(in_child(*state, getuid(), lies_in_the_open), 0);
}

/* The job itself: it trains, and its process is sealed from then on. */
static int train_and_look(const place *p) {
    if (freopen("/dev/null", "w", stdout) == NULL) return 10;
    if (fw_job_run("train", p->data, 1, 1) != 0) return 11;
    if (opens(p->held_out, O_RDONLY) != EACCES) return 12;
    if (opens(p->candidate, O_RDONLY) != 0) return 13;
    if (sockets() != EACCES) return 14;
    return 0;
}

static void write_input(const place *p) {
    char path[140];
    json_t *json = json_pack("{s:i,s:s,s:i,s:s,s:i,s:i,s:s,s:s,s:s,s:[s]}", "version", FW_JOB_VERSION, "job", "train",
                             "generation", 1, "dataset", "d", "seed", 1, "agent_steps", 2000, "champion", p->champion,
                             "candidate", p->candidate, "candidate_hash", "", "recordings", p->train);
    snprintf(path, sizeof path, "%s/train.in.json", p->folder);
    assert_int_equal(json_dump_file(json, path, 0), 0);
    json_decref(json);
}

static void test_the_job_seals_itself(void **state) {
    const place *p = *state;
    char path[140];
    if (fw_confine_version() == 0) skip();
    write_input(p);
    assert_int_equal(in_child(p, getuid(), train_and_look), 0);
    snprintf(path, sizeof path, "%s/train.json", p->folder);
    json_t *result = json_load_file(path, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(result, "sealed_by")), "Landlock");
    json_decref(result);
}

/* The gate's job on one recording: it decides by its turn, and sees the suite and the two models alone. */
static int judge_and_look(const place *p) {
    if (freopen("/dev/null", "w", stdout) == NULL) return 10;
    if (fw_job_run("gate", p->data, 1, 1) != 0) return 11;
    if (opens(p->train, O_RDONLY) != EACCES) return 12;
    if (opens(p->held_out, O_RDONLY) != 0) return 13;
    return 0;
}

static void test_the_gates_job(void **state) {
    const place *p = *state;
    char path[140];
    fw_hash champion;
    fw_gate_turn turn = {.plan = fw_gate_usual, .since = 3, .newest = 9};
    turn.plan.place = 2, turn.plan.promotions = 1;
    memcpy(turn.plan.suite, name_of(1).hex, sizeof turn.plan.suite);
    if (fw_confine_version() == 0) skip();
    assert_int_equal(fw_hash_file(p->champion, &champion, NULL), FW_OK);
    json_t *json = json_pack("{s:i,s:s,s:i,s:s,s:i,s:i,s:s,s:s,s:s,s:[s],s:o}", "version", FW_JOB_VERSION, "job", "gate",
                             "generation", 1, "dataset", "d", "seed", 1, "agent_steps", 1, "champion", p->champion,
                             "candidate", p->champion, "candidate_hash", champion.hex, "recordings", p->held_out, "gate",
                             fw_gate_turn_json(&turn));
    snprintf(path, sizeof path, "%s/gate.in.json", p->folder);
    assert_int_equal(json_dump_file(json, path, 0), 0);
    assert_int_equal(in_child(p, getuid(), judge_and_look), 0);
    snprintf(path, sizeof path, "%s/gate.json", p->folder);
    json_t *result = json_load_file(path, 0, NULL);
    const json_t *record = json_object_get(result, "record");
    assert_true(json_is_false(json_object_get(result, "promote"))); /* the champion again */
    assert_true(json_equal(json_object_get(result, "turn"), json_object_get(json, "gate")));
    assert_string_equal(json_string_value(json_object_get(json_object_get(record, "suite"), "hash")), turn.plan.suite);
    assert_true(json_real_value(json_object_get(json_object_get(record, "hypotheses"), "e_wanted")) > 59.9);
    assert_string_equal(json_string_value(json_object_get(result, "sealed_by")), "Landlock");
    json_decref(result);
    json_decref(json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places_and_promotions),
        cmocka_unit_test(test_an_epoch_ends_when_enough_came),
        cmocka_unit_test(test_a_suite_is_worn_after_its_places),
        cmocka_unit_test(test_rows_are_listed_and_shown),
        cmocka_unit_test(test_a_broken_turn_or_record_is_refused),
        cmocka_unit_test(test_a_summary_is_short),
        cmocka_unit_test_setup_teardown(test_training_cannot_open_what_is_held_out, lay_out, tidy),
        cmocka_unit_test_setup_teardown(test_a_system_folder_is_no_seal, lay_out, tidy),
        cmocka_unit_test_setup_teardown(test_the_job_seals_itself, lay_out, tidy),
        cmocka_unit_test_setup_teardown(test_the_gates_job, lay_out, tidy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
