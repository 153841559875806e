/* A simulated disk: what was flushed stays, what was not is old, new, torn or reordered, and nothing else;
 * SQLite on it never loses a commit, and does when its flushes are left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "sim/machine.h"
#include "sim/vfs.h"

enum { ROUNDS = 60 };

typedef struct rig {
    char folder[64];
    int64_t now_ns;
    fw_sim_machine machine;
    uint64_t seed;
} rig;

static int open_rig(void **state) {
    rig *r = calloc(1, sizeof *r);
    fw_error error = {""};
    strcpy(r->folder, "/tmp/fw_disk_XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    const char *seed = getenv("FW_SEED");
    r->seed = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu (FW_SEED)\n", (unsigned long long)r->seed);
    assert_int_equal(fw_sim_machine_open(&r->machine, "m", r->folder, r->seed, &r->now_ns, &error), FW_OK);
    *state = r;
    return 0;
}

static int close_rig(void **state) {
    rig *r = *state;
    fw_error error;
    fw_sim_machine_close(&r->machine);
    assert_int_equal(fw_folder_remove(r->folder, &error), FW_OK);
    free(r);
    return 0;
}

static void cut(rig *r) {
    fw_error error;
    fw_sim_disk_cut(&r->machine.disk);
    assert_int_equal(fw_sim_machine_boot(&r->machine, &error), FW_OK);
}

static void path_of(const rig *r, const char *name, char out[FW_PATH_MAX]) {
    fw_path_join(out, FW_PATH_MAX, r->machine.disk.root, name);
}

static char *content(const rig *r, const char *name) {
    char path[FW_PATH_MAX], *text = NULL;
    size_t size;
    fw_error error;
    path_of(r, name, path);
    return fw_file_read(path, 1 << 20, &text, &size, &error) == FW_OK ? text : NULL;
}

static void put_durable(rig *r, const char *name, const char *text) {
    char path[FW_PATH_MAX];
    fw_error error;
    path_of(r, name, path);
    assert_int_equal(fw_file_write_durable(&r->machine.env, path, text, strlen(text), &error), FW_OK);
}

static int open_for(const rig *r, const char *name, int flags) {
    char path[FW_PATH_MAX];
    path_of(r, name, path);
    return open(path, flags | O_CLOEXEC, 0644);
}

static void put(rig *r, int fd, const char *text) {
    fw_error error;
    assert_int_equal(fw_file_write_all(&r->machine.env, fd, text, strlen(text), "x", &error), FW_OK);
}

static void sync_all(rig *r, int fd) {
    fw_error error;
    assert_int_equal(r->machine.env.fdatasync(&r->machine, fd), 0);
    assert_int_equal(fw_folder_sync(&r->machine.env, r->machine.disk.root, &error), FW_OK);
}

static void test_what_was_flushed_stays(void **state) {
    rig *r = *state;
    for (int i = 0; i < 10; i++) {
        put_durable(r, "a", "one");
        cut(r);
        char *text = content(r, "a");
        assert_string_equal(text, "one");
        free(text);
    }
}

/* Appended without a flush: any beginning of it may be there, and what was flushed always is. */
static void test_what_was_not_is_old_or_new(void **state) {
    rig *r = *state;
    bool lost = false, kept = false;
    for (int i = 0; i < ROUNDS; i++) {
        put_durable(r, "a", "base.");
        int fd = open_for(r, "a", O_WRONLY | O_APPEND);
        put(r, fd, "more");
        cut(r);
        close(fd);
        char *text = content(r, "a");
        assert_true(strcmp(text, "base.") == 0 || strcmp(text, "base.more") == 0);
        lost |= strcmp(text, "base.") == 0;
        kept |= strcmp(text, "base.more") == 0;
        free(text);
    }
    assert_true(lost && kept);
}

/* Two sectors written over: each is old or new by itself, in every combination. */
static void test_writes_are_torn_and_reordered(void **state) {
    rig *r = *state;
    char old[1025], fresh[513];
    unsigned seen = 0;
    memset(old, 'o', 1024), old[1024] = '\0';
    memset(fresh, 'n', 512), fresh[512] = '\0';
    for (int i = 0; i < 2 * ROUNDS; i++) {
        put_durable(r, "a", old);
        int fd = open_for(r, "a", O_RDWR);
        put(r, fd, fresh);
        put(r, fd, fresh);
        cut(r);
        close(fd);
        char *text = content(r, "a");
        assert_int_equal(strlen(text), 1024);
        seen |= 1u << ((text[0] == 'n') | (text[512] == 'n') << 1);
        for (int j = 1; j < 512; j++) assert_true(text[j] == text[0] && text[512 + j] == text[512]);
        free(text);
    }
    assert_int_equal(seen, 15);
}

/* A rename is one step; a file removed may come back; neither makes other bytes. */
static void test_names_are_as_before_or_as_now(void **state) {
    rig *r = *state;
    unsigned seen = 0;
    char from[FW_PATH_MAX], to[FW_PATH_MAX];
    path_of(r, "a", from);
    path_of(r, "b", to);
    for (int i = 0; i < ROUNDS; i++) {
        put_durable(r, "a", "A");
        put_durable(r, "b", "B");
        put_durable(r, "c", "C");
        assert_int_equal(r->machine.env.rename(&r->machine, from, to), 0);
        path_of(r, "c", to);
        assert_int_equal(unlink(to), 0);
        path_of(r, "b", to);
        cut(r);
        char *a = content(r, "a"), *b = content(r, "b"), *c = content(r, "c");
        assert_non_null(b);
        assert_true((a && strcmp(a, "A") == 0 && strcmp(b, "B") == 0) || (!a && strcmp(b, "A") == 0));
        assert_true(!c || strcmp(c, "C") == 0);
        seen |= 1u << (a != NULL) | 4u << (c != NULL);
        free(a), free(b), free(c);
    }
    assert_int_equal(seen, 15);
}

static void test_a_cut_at_an_operation(void **state) {
    rig *r = *state;
    fw_error error;
    char path[FW_PATH_MAX];
    path_of(r, "a", path);
    bool old = false, fresh = false;
    for (uint32_t at = 1; at <= 5; at++) {
        put_durable(r, "a", "old");
        r->machine.disk.cut_after = at;
        fw_status status = fw_file_write_durable(&r->machine.env, path, "new", 3, &error);
        assert_true((status == FW_OK) == (at == 5)); /* write, fdatasync, rename, folder */
        if (at < 5) assert_true(r->machine.disk.dead);
        assert_int_equal(r->machine.env.write(&r->machine, 1, "", 0) < 0 && at == 5, false);
        cut(r);
        char *text = content(r, "a");
        assert_true(text && (strcmp(text, "old") == 0 || strcmp(text, "new") == 0));
        old |= text[0] == 'o', fresh |= text[0] == 'n';
        free(text);
    }
    assert_true(old && fresh);
}

/* As on Linux: the failed flush is told once, and a later good one does not bring its bytes back. */
static void test_a_failed_flush_stays_in_doubt(void **state) {
    rig *r = *state;
    bool lost = false, rewritten = true;
    for (int i = 0; i < ROUNDS; i++) {
        put_durable(r, "a", "base.");
        int fd = open_for(r, "a", O_RDWR | O_APPEND);
        put(r, fd, "doubt");
        r->machine.disk.flush_fails = 1;
        assert_int_equal(r->machine.env.fdatasync(&r->machine, fd), -1);
        put(r, fd, ".good");
        sync_all(r, fd);
        cut(r);
        close(fd);
        char *text = content(r, "a");
        lost |= strncmp(text, "base.doubt", 10) != 0;
        free(text);
        fd = open_for(r, "a", O_RDWR);
        put(r, fd, "again");
        r->machine.disk.flush_fails = 1;
        assert_int_equal(r->machine.env.fdatasync(&r->machine, fd), -1);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        put(r, fd, "again");
        sync_all(r, fd);
        cut(r);
        close(fd);
        text = content(r, "a");
        rewritten = rewritten && strncmp(text, "again", 5) == 0;
        free(text);
    }
    assert_true(lost && rewritten);
}

static void test_a_full_disk(void **state) {
    rig *r = *state;
    fw_error error;
    char path[FW_PATH_MAX];
    put_durable(r, "a", "old");
    r->machine.disk.no_space = true;
    path_of(r, "a", path);
    assert_int_equal(fw_file_write_durable(&r->machine.env, path, "new", 3, &error), FW_NO_SPACE);
    r->machine.disk.no_space = false;
    char *text = content(r, "a");
    assert_string_equal(text, "old");
    free(text);
}

/* ---- SQLite ---- */

static int64_t ask(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static sqlite3 *open_db(const rig *r) {
    char path[FW_PATH_MAX];
    sqlite3 *db = NULL;
    path_of(r, "db.sqlite", path);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=8;", NULL, NULL,
                 NULL);
    return db;
}

/* Inserts until the power goes; true when after the next start exactly the committed rows are there, but for
 * the one whose COMMIT was cut. */
static bool round_of_sqlite(rig *r, fw_random *random, int64_t *rows) {
    sqlite3 *db = open_db(r);
    bool fine = ask(db, "SELECT count(*) FROM t") == *rows && ask(db, "PRAGMA quick_check") != -1;
    r->machine.disk.cut_after = 1 + fw_random_below(random, 200);
    while (fine && !r->machine.disk.dead) {
        int code = sqlite3_exec(db, "INSERT INTO t(x) VALUES(hex(randomblob(600)))", NULL, NULL, NULL);
        if (code == SQLITE_OK) ++*rows;
    }
    sqlite3_close(db);
    cut(r);
    db = open_db(r);
    int64_t found = ask(db, "SELECT count(*) FROM t");
    fine = fine && (found == *rows || found == *rows + 1);
    *rows = found;
    sqlite3_close(db);
    return fine;
}

static bool sqlite_holds(rig *r) {
    fw_error error;
    fw_random random = fw_random_named(r->seed, "sqlite");
    int64_t rows = 0;
    bool fine = true;
    assert_int_equal(fw_sim_vfs_install(&r->machine.disk, &r->machine.env, &error), FW_OK);
    sqlite3 *db = open_db(r);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(fw_folder_sync(&r->machine.env, r->machine.disk.root, &error), FW_OK);
    for (int i = 0; i < ROUNDS && fine; i++) fine = round_of_sqlite(r, &random, &rows);
    fw_sim_vfs_remove();
    return fine;
}

static void test_sqlite_keeps_its_commits(void **state) { assert_true(sqlite_holds(*state)); }

static void test_sqlite_without_flushes_does_not(void **state) {
    rig *r = *state;
    r->machine.disk.drops_vfs_syncs = true;
    assert_false(sqlite_holds(r));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_flushed_stays, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(test_what_was_not_is_old_or_new, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(test_writes_are_torn_and_reordered, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(test_names_are_as_before_or_as_now, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(test_a_cut_at_an_operation, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(test_a_failed_flush_stays_in_doubt, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(test_a_full_disk, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(test_sqlite_keeps_its_commits, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(test_sqlite_without_flushes_does_not, open_rig, close_rig),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
