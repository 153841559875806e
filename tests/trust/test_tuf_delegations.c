/* Delegations: in which order roles are asked, who may speak of what, and on whose word. */
#include "repo.h"

#include "trust/tuf_inner.h"

/* ---- the order: depth first, as the delegator lists them ---- */

/* "A>B" A delegates to B; "A>B!" and the delegation terminates; "A>B:*.py" of these paths alone. */
typedef struct graph {
    const char *name, *edges, *visited;
} graph;

static const graph graphs[] = {
    {"one", "targets>A", "A"},
    {"two", "targets>A targets>B", "A B"},
    {"two levels", "targets>A targets>B B>C", "A B C"},
    {"depth first", "targets>A targets>B A>C A>D", "A C D B"},
    {"three levels", "targets>A targets>B A>C C>D", "A C D B"},
    {"terminating", "targets>A targets>B A>C! A>D", "A C"},
    {"terminating, with those below", "targets>A targets>B A>C! C>D", "A C D"},
    {"terminating, but of other paths", "targets>A!:*.py targets>B", "B"},
    {"terminating, the second", "targets>A targets>B! targets>C A>D", "A D B"},
    {"a branch of other paths", "targets>A:*.py targets>B A>C", "B"},
    {"a twig of other paths", "targets>A targets>B A>C:*.py C>D", "A B"},
    {"a cycle", "targets>A targets>B B>C C>D D>B", "A B C D"},
    {"one by two ways", "targets>A targets>B B>C A>C", "A C B"},
    {"one by the second way", "targets>A targets>B B>C A>C:*.py", "A B C"},
};

/* The roles that were asked for, behind the four files of the top level. */
static void visited(const repo *r, char out[256]) {
    const char *at = strstr(r->asked, "targets.json ");
    char role[64];
    out[0] = '\0';
    at = at ? at + strlen("targets.json ") : r->asked;
    for (int used; sscanf(at, "1.%63[^.].json %n", role, &used) == 1; at += used)
        snprintf(out + strlen(out), 256 - strlen(out), "%s%s", *out ? " " : "", role);
}

static void build(repo *r, const char *edges) {
    char words[256], *rest = words, *word;
    snprintf(words, sizeof words, "%s", edges);
    while ((word = strsep(&rest, " "))) {
        char *role = strchr(word, '>') + 1, name[2] = {*role}, key[8], *paths = strchr(role, ':');
        role[-1] = '\0';
        snprintf(key, sizeof key, "%d", 10 + *role - 'A');
        repo_delegate(r, word, name, key, role[1] == '!', paths ? paths + 1 : "*");
    }
    for (char role[2] = "A"; *role <= 'D'; ++*role)
        if (repo_content(r, role)) repo_publish(r, role);
    repo_publish(r, "targets snapshot timestamp");
}

static void test_order(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
        repo r = {0};
        char order[256];
        fw_tuf_target target;
        repo_open(&r);
        build(&r, graphs[i].edges);
        assert_int_equal(repo_look(&r, "missing", &target), FW_NOT_FOUND);
        visited(&r, order);
        if (strcmp(order, graphs[i].visited) != 0) fail_msg("%s: %s", graphs[i].name, order);
        repo_close(&r);
    }
}

/* ---- who speaks of a target ---- */

static void test_search(void **state) {
    (void)state;
    static const char *const tree[][3] = {{"targets", "A", "*.doc *.md foo-?.tgz"}, {"targets", "B", "releases/*/*"},
                                          {"B", "C", "releases/x/*"}, {"B", "D", "releases/y/*.zip"}};
    static const struct {
        const char *role, *path; /* the role lists the path */
        bool found;
        const char *visited;
    } cases[] = {
        {"targets", "file", true, ""},
        {"A", "README.md", true, "A"},
        {"A", "foo-1.tgz", true, "A"},
        {"A", "foo-alpha.tgz", false, ""},
        {"A", "releases/README.md", false, ""},
        {"A", "README.MD", false, ""},
        {"C", "releases/x/x_v1", true, "B C"},
        {"D", "releases/y/y_v1.zip", true, "B D"},
        {"D", "releases/z/z_v1.zip", false, "B"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        repo r = {0};
        char order[256];
        fw_tuf_target target;
        repo_open(&r);
        for (int j = 0; j < 4; j++) {
            char key[8];
            snprintf(key, sizeof key, "%d", 10 + j);
            repo_delegate(&r, tree[j][0], tree[j][1], key, false, tree[j][2]);
        }
        repo_target(&r, cases[i].role, cases[i].path, cases[i].path);
        repo_publish(&r, "A B C D targets snapshot timestamp");
        fw_status status = repo_look(&r, cases[i].path, &target);
        visited(&r, order);
        if (status != (cases[i].found ? FW_OK : FW_NOT_FOUND)) fail_msg("%s: %s", cases[i].path, fw_status_text(status));
        if (strcmp(order, cases[i].visited) != 0) fail_msg("%s: %s", cases[i].path, order);
        repo_close(&r);
    }
}

/* The first role that lists a target decides, though a later one says otherwise. */
static void test_first_decides(void **state) {
    (void)state;
    repo r = {0};
    fw_tuf_target target;
    repo_open(&r);
    build(&r, "targets>A targets>B");
    repo_target(&r, "A", "model", "by A");
    repo_target(&r, "B", "model", "by B, longer");
    repo_publish(&r, "A B snapshot timestamp");
    assert_int_equal(repo_look(&r, "model", &target), FW_OK);
    assert_int_equal(target.length_bytes, 4);
    repo_close(&r);
}

/* ---- paths by the beginning of their hash ---- */

static void test_hash_prefixes(void **state) {
    (void)state;
    repo r = {0};
    fw_tuf_target target;
    char prefix[5];
    repo_open(&r);
    json_t *entry = repo_delegate(&r, "targets", "bin", "9", false, "");
    snprintf(prefix, sizeof prefix, "%.4s", fw_hash_bytes("model", 5).hex);
    json_object_del(entry, "paths");
    json_object_del(entry, "terminating");
    json_object_set_new(entry, "path_hash_prefixes", json_pack("[s,s]", "ffffffff", prefix));
    repo_target(&r, "bin", "model", "in this bin");
    repo_target(&r, "bin", "another", "not in this bin");
    repo_publish(&r, "bin targets snapshot timestamp");
    assert_int_equal(repo_look(&r, "model", &target), FW_OK);
    assert_int_equal(repo_look(&r, "another", &target), FW_NOT_FOUND);
    repo_close(&r);
}

/* ---- on whose word ---- */

/* Two delegators name one role with keys of their own, and it is signed by the first one's: what is good through the
 * first is nothing through the second, also for a client that has just verified it. */
static void test_diamond(void **state) {
    (void)state;
    for (int first = 0; first < 2; first++) {
        repo r = {0};
        fw_tuf_target target;
        repo_open(&r);
        repo_delegate(&r, "targets", "parent-a", "10", false, "team-a/*");
        repo_delegate(&r, "targets", "parent-b", "11", false, "team-b/*");
        repo_delegate(&r, "parent-a", "release", "12", false, "team-a/*");
        repo_delegate(&r, "parent-b", "release", "13", false, "team-b/*");
        repo_signers(&r, "release", "12");
        repo_target(&r, "release", "team-a/model", "by a");
        repo_target(&r, "release", "team-b/model", "in b's name, by a");
        repo_publish(&r, "release parent-a parent-b targets snapshot timestamp");
        fw_tuf_client *client = repo_client(&r);
        assert_int_equal(fw_tuf_refresh(client, &r.error), FW_OK);
        if (first == 0) assert_int_equal(fw_tuf_find(client, "team-a/model", &target, &r.error), FW_OK);
        assert_int_equal(fw_tuf_find(client, "team-b/model", &target, &r.error), FW_MISMATCH);
        assert_int_equal(fw_tuf_find(client, "team-a/model", &target, &r.error), FW_OK);
        assert_int_equal(fw_tuf_find(client, "team-b/model", &target, &r.error), FW_MISMATCH);
        fw_tuf_close(client);
        repo_close(&r);
    }
}

/* The same where both signed: fetched once, and each delegator's word is checked. */
static void test_diamond_of_both(void **state) {
    (void)state;
    repo r = {0};
    fw_tuf_target target;
    repo_open(&r);
    repo_delegate(&r, "targets", "parent-a", "10", false, "team-a/*");
    repo_delegate(&r, "targets", "parent-b", "11", false, "team-b/*");
    repo_delegate(&r, "parent-a", "release", "12", false, "team-a/*");
    repo_delegate(&r, "parent-b", "release", "13", false, "team-b/*");
    repo_signers(&r, "release", "12 13");
    repo_target(&r, "release", "team-a/model", "by a");
    repo_target(&r, "release", "team-b/model", "by b");
    repo_publish(&r, "release parent-a parent-b targets snapshot timestamp");
    fw_tuf_client *client = repo_client(&r);
    assert_int_equal(fw_tuf_refresh(client, &r.error), FW_OK);
    r.asked[0] = '\0';
    assert_int_equal(fw_tuf_find(client, "team-a/model", &target, &r.error), FW_OK);
    assert_int_equal(fw_tuf_find(client, "team-b/model", &target, &r.error), FW_OK);
    assert_int_equal(fw_tuf_find(client, "team-a/model", &target, &r.error), FW_OK);
    assert_string_equal(r.asked, "1.parent-a.json 1.release.json 1.parent-b.json ");
    fw_tuf_close(client);
    repo_close(&r);
}

/* ---- roles that cannot be had ---- */

static void test_not_in_snapshot(void **state) {
    (void)state;
    repo r = {0};
    fw_tuf_target target;
    repo_open(&r);
    build(&r, "targets>A");
    json_object_del(json_object_get(repo_content(&r, "snapshot"), "meta"), "A.json");
    repo_publish_as_is(&r, "snapshot");
    repo_publish(&r, "timestamp");
    assert_int_equal(repo_refresh(&r), FW_OK);
    assert_int_equal(repo_look(&r, "missing", &target), FW_MISMATCH);
    assert_string_equal(r.asked, "2.root.json timestamp.json ");
    assert_int_equal(repo_trusted(&r, "A"), 0);
    repo_close(&r);
}

static void test_role_fails(void **state) {
    (void)state;
    enum { ABSENT, EXPIRED, UNSIGNED, OTHER_VERSION, NO_TARGETS, CASES };
    static const fw_status expect[CASES] = {FW_MISMATCH, FW_TIMEOUT, FW_MISMATCH, FW_MISMATCH, FW_CORRUPT};
    for (int i = 0; i < CASES; i++) {
        repo r = {0};
        fw_tuf_target target;
        repo_open(&r);
        repo_delegate(&r, "targets", "A", "10", false, "*");
        if (i == EXPIRED) repo_expires(&r, "A", repo_start_s);
        if (i == UNSIGNED) repo_signers(&r, "A", "3");
        if (i == NO_TARGETS) json_object_del(repo_content(&r, "A"), "targets");
        repo_publish(&r, "A targets");
        if (i == OTHER_VERSION) repo_put(&r, "2.A.json", repo_find(&r, "1.A.json")->bytes, repo_find(&r, "1.A.json")->size);
        if (i == OTHER_VERSION) repo_say(&r, "snapshot", "A.json", 2);
        repo_publish(&r, "snapshot timestamp");
        if (i == ABSENT) repo_remove(&r, "1.A.json");
        assert_int_equal(repo_look(&r, "missing", &target), expect[i]);
        assert_int_equal(repo_trusted(&r, "A"), 0);
        repo_close(&r);
    }
}

/* A role of which a newer version is signed is fetched; one that is trusted and right is not. */
static void test_role_is_remembered(void **state) {
    (void)state;
    repo r = {0};
    fw_tuf_target target;
    repo_open(&r);
    build(&r, "targets>A");
    assert_int_equal(repo_look(&r, "missing", &target), FW_NOT_FOUND);
    assert_int_equal(repo_look(&r, "missing", &target), FW_NOT_FOUND);
    assert_string_equal(r.asked, "2.root.json timestamp.json ");
    repo_publish(&r, "A snapshot timestamp");
    assert_int_equal(repo_look(&r, "missing", &target), FW_NOT_FOUND);
    assert_string_equal(r.asked, "2.root.json timestamp.json 3.snapshot.json 2.A.json ");
    assert_int_equal(repo_trusted(&r, "A"), 2);
    repo_close(&r);
}

/* ---- limits ---- */

static void test_delegations_max(void **state) {
    (void)state;
    repo r = {.limits.delegations_max = 3};
    fw_tuf_target target;
    repo_open(&r);
    build(&r, "targets>A targets>B targets>C targets>D");
    repo_target(&r, "C", "third", "x");
    repo_target(&r, "D", "fourth", "x");
    repo_publish(&r, "C D snapshot timestamp");
    assert_int_equal(repo_look(&r, "third", &target), FW_OK);
    assert_int_equal(repo_look(&r, "fourth", &target), FW_NOT_FOUND);
    assert_non_null(strstr(r.error.text, "first 3"));
    repo_close(&r);
}

/* More roles than a client holds between two refreshes. */
static void test_held_max(void **state) {
    (void)state;
    enum { ROLES = 200 };
    repo r = {0};
    fw_tuf_target target;
    fw_status status = FW_NOT_FOUND;
    repo_open(&r);
    for (int i = 0; i < ROLES; i++) {
        char role[16], paths[16];
        snprintf(role, sizeof role, "r%d", i);
        snprintf(paths, sizeof paths, "p%d", i);
        repo_delegate(&r, "targets", role, "10", false, paths);
        repo_publish(&r, role);
    }
    repo_publish(&r, "targets snapshot timestamp");
    r.now_s--; /* a client of another time: nothing hangs on it */
    fw_tuf_client *client = repo_client(&r);
    assert_int_equal(fw_tuf_refresh(client, &r.error), FW_OK);
    for (int i = 0; i < ROLES && status == FW_NOT_FOUND; i++) {
        char path[16];
        snprintf(path, sizeof path, "p%d", i);
        status = fw_tuf_find(client, path, &target, &r.error);
    }
    assert_int_equal(status, FW_TOO_BIG);
    assert_int_equal(client->held_count, FW_TUF_HELD_MAX);
    assert_int_equal(fw_tuf_refresh(client, &r.error), FW_OK);
    assert_int_equal(fw_tuf_find(client, "p0", &target, &r.error), FW_NOT_FOUND);
    fw_tuf_close(client);
    repo_close(&r);
}

/* ---- names ---- */

/* A role's name is one file in the folder and one name in an address, whatever it is. */
static void test_odd_names(void **state) {
    (void)state;
    static const char *const names[][2] = {{"?", "%3F"}, {"#", "%23"}, {"/delegated", "%2Fdelegated"},
                                           {"../delegated", "..%2Fdelegated"}, {"a b%", "a%20b%25"}, {"\xC3\xA4", "%C3%A4"}, {"..", ".."}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        repo r = {0};
        char expect[64], outside[128];
        fw_tuf_target target;
        repo_open(&r);
        repo_delegate(&r, "targets", names[i][0], "10", false, "*");
        repo_set_version(&r, names[i][0], 1);
        repo_publish_as_is(&r, names[i][0]);
        repo_publish(&r, "targets snapshot timestamp");
        assert_int_equal(repo_look(&r, "missing", &target), FW_NOT_FOUND);
        snprintf(expect, sizeof expect, "1.%s.json ", names[i][1]);
        assert_non_null(strstr(r.asked, expect));
        assert_int_equal(repo_trusted(&r, names[i][0]), 1);
        snprintf(outside, sizeof outside, "%s/../delegated.json", r.folder);
        assert_false(fw_file_exists(outside));
        repo_close(&r);
    }
}

/* ---- patterns ---- */

static void test_match(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *path;
        bool expect;
    } cases[] = {
        {"*", "a", true}, {"*", "", true}, {"*", "a/b", false}, {"", "", true}, {"", "a", false}, {"a", "", false},
        {"a/*", "a/b", true}, {"a/*", "a/b/c", false}, {"*/*", "a/b", true}, {"*/*", "ab", false}, {"**", "ab", true},
        {"*.tgz", "foo.tgz", true}, {"*.tgz", "d/foo.tgz", false}, {"*.tgz", "foo.tgz.x", false}, {"*a*b", "xaybzb", true},
        {"*a*b", "xaybz", false}, {"foo-?.tgz", "foo-2.tgz", true}, {"foo-?.tgz", "foo-.tgz", false}, {"a?b", "a/b", false},
        {"?", "\xC3\xA4", true}, {"??", "\xC3\xA4", false}, {"\xC3\xA4*", "\xC3\xA4x", true}, {"\xC3\xA4", "\xC3\xB6", false},
        {"a", "\xC3\xA4", false}, {".*", ".x", true}, {"*", ".x", true}, {"\\*", "*", false}, {"\\*", "\\x", true},
        {"[ab]", "b", true}, {"[ab]", "c", false}, {"[!ab]", "c", true}, {"[!ab]", "a", false}, {"[a-c]x", "bx", true},
        {"[a-c]", "a", true}, {"[a-c]", "c", true}, {"[a-c]", "d", false}, {"[b-c]", "a", false}, {"[]]", "]", true}, {"[!]]", "]", false}, {"[a-]", "-", true}, {"[-a]", "-", true},
        {"[a", "[a", true}, {"[a", "a", false}, {"[a/]b", "[a/]b", true}, {"[!a]", "/", false}, {"[\xC3\xA4-\xC3\xB6]", "\xC3\xA5", true},
        {"[a-z]", "\xC3\xA4", false}, {"x[", "x[", true}, {"a/*/c*", "a/b/cd", true}, {"*/c", "a/b/c", false},
        /* What takes a matcher that tries everything a lifetime. */
        {"*a*a*a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (fw_tuf_match(cases[i].pattern, cases[i].path) != cases[i].expect)
            fail_msg("%s against %s", cases[i].pattern, cases[i].path);
}

/* ---- what the top level lists ---- */

static bool count_two(void *self, const fw_tuf_target *target) {
    int *count = self;
    assert_int_equal(target->length_bytes, 1);
    return ++*count < 2;
}

static void test_each(void **state) {
    (void)state;
    repo r = {0};
    int count = 0;
    char path[300];
    repo_open(&r);
    fw_tuf_client *client = repo_client(&r);
    fw_tuf_each(client, count_two, &count);
    assert_int_equal(count, 0);
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    json_t *said = repo_target(&r, "targets", "a", "x");
    json_object_set(json_object_get(repo_content(&r, "targets"), "targets"), path, said);
    repo_publish(&r, "targets snapshot timestamp");
    assert_int_equal(fw_tuf_refresh(client, &r.error), FW_OK);
    fw_tuf_each(client, count_two, &count);
    assert_int_equal(count, 1); /* not the one whose path is too long */
    json_object_set_new(repo_target(&r, "targets", "b", "x"), "hashes", json_pack("{s:s}", "md4", "00"));
    repo_publish(&r, "targets snapshot timestamp");
    assert_int_equal(fw_tuf_refresh(client, &r.error), FW_OK);
    count = 0;
    fw_tuf_each(client, count_two, &count);
    assert_int_equal(count, 1); /* nor the one that nobody can check */
    repo_target(&r, "targets", "c", "x");
    repo_target(&r, "targets", "d", "x");
    repo_publish(&r, "targets snapshot timestamp");
    assert_int_equal(fw_tuf_refresh(client, &r.error), FW_OK);
    count = 0;
    fw_tuf_each(client, count_two, &count);
    assert_int_equal(count, 2);
    fw_tuf_close(client);
    repo_close(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_first_decides),
        cmocka_unit_test(test_hash_prefixes),
        cmocka_unit_test(test_diamond),
        cmocka_unit_test(test_diamond_of_both),
        cmocka_unit_test(test_not_in_snapshot),
        cmocka_unit_test(test_role_fails),
        cmocka_unit_test(test_role_is_remembered),
        cmocka_unit_test(test_delegations_max),
        cmocka_unit_test(test_held_max),
        cmocka_unit_test(test_odd_names),
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
