/* check.c - does the catalogue say what the folder of objects holds (rebuild.h)? */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "factory/factory.h"
#include "factory/catalogue/rebuild_build.h"

typedef struct checking {
    sqlite3 *db;
    fw_objects objects;
    fw_check_report report;
    fw_status status;
    fw_error *error;
} checking;

static bool check_row(void *self, sqlite3_stmt *row) {
    checking *c = self;
    char path[FW_PATH_MAX];
    struct stat info;
    fw_objects_path(&c->objects, fw_db_column(row, 0), path);
    bool there = stat(path, &info) == 0 && info.st_size == sqlite3_column_int64(row, 1);
    bool kept = strcmp(fw_db_column(row, 2), "kept") == 0;
    c->report.objects++;
    c->report.missing += kept && !there;
    c->report.left_over += !kept && fw_file_exists(path);
    return true;
}

static bool check_line(void *self, const fw_ledger_line *line) {
    checking *c = self;
    int64_t found = 0;
    c->status = fw_db_run(c->db, c->error, "INSERT OR IGNORE INTO temp.listed VALUES(?)", "i",
                          line->sequence);
    if (c->status == FW_OK)
        c->status = fw_db_int(c->db, c->error, &found,
                              "SELECT count(*) FROM objects WHERE sequence=? AND sha256=? AND kind=? "
                              "AND size_bytes=? AND received_ns=?",
                              "ittii", line->sequence, line->sha256, line->kind, line->size_bytes,
                              line->received_ns);
    c->report.unknown += !found;
    return c->status == FW_OK;
}

static fw_status check_file(checking *c, const char *name, fw_error *error) {
    int64_t found = 0;
    if (!fw_hash_valid(name)) return FW_OK;
    FW_TRY(fw_db_int(c->db, error, &found, "SELECT count(*) FROM objects WHERE sha256=?", "t", name));
    c->report.unacked += !found;
    return FW_OK;
}

static fw_status check_files(checking *c, fw_error *error) {
    char folder[FW_PATH_MAX + 8];
    fw_status status = FW_OK;
    for (unsigned i = 0; i < 256 && status == FW_OK; i++) {
        snprintf(folder, sizeof folder, "%s/%02x", c->objects.folder, i);
        DIR *dir = opendir(folder);
        if (!dir) continue;
        for (struct dirent *entry; status == FW_OK && (entry = readdir(dir));)
            status = check_file(c, entry->d_name, error);
        closedir(dir);
    }
    return status;
}

/* Rows of either that the other lacks. The numbers of events (id) count what was ever entered. */
static fw_status compare(checking *c, const char *new_path, fw_error *error) {
    static const char *const selects[][2] = {
        {"sequence,sha256,kind,size_bytes,received_ns,state", "objects"},
        {"*", "recordings"},
        {"recording,unit,kind,time_ns,value,received_ns", "events"},
        {"*", "channels"},
        {"*", "fields"},
        {"*", "places"},
        {"*", "recording_models"},
        {"*", "signatures"},
        {"*", "signature_bands"}};
    char one[120], other[120], sql[600];
    FW_TRY(fw_db_run(c->db, error, "ATTACH ? AS new", "t", new_path));
    fw_status status = FW_OK;
    for (size_t i = 0; i < sizeof selects / sizeof *selects && status == FW_OK; i++) {
        int64_t rows = 0;
        snprintf(one, sizeof one, "%s FROM main.%s", selects[i][0], selects[i][1]);
        snprintf(other, sizeof other, "%s FROM new.%s", selects[i][0], selects[i][1]);
        snprintf(sql, sizeof sql,
                 "SELECT (SELECT count(*) FROM (SELECT %s EXCEPT SELECT %s))+(SELECT count(*) FROM "
                 "(SELECT %s EXCEPT SELECT %s))",
                 one, other, other, one);
        status = fw_db_int(c->db, error, &rows, sql, "");
        c->report.differing += rows;
    }
    fw_error ignored;
    fw_status detached = fw_db_script(c->db, &ignored, "DETACH new");
    return status == FW_OK ? detached : status;
}

static fw_status check(checking *c, const char *data_folder, fw_error *error) {
    c->error = error;
    FW_TRY(fw_db_script(c->db, error, "CREATE TEMP TABLE listed(sequence INTEGER PRIMARY KEY)"));
    FW_TRY(fw_db_each(c->db, error, check_row, c, "SELECT sha256,size_bytes,state FROM objects", ""));
    FW_TRY(fw_ledger_each(data_folder, check_line, c, error));
    FW_TRY(c->status);
    FW_TRY(fw_db_int(c->db, error, &c->report.unlisted,
                     "SELECT count(*) FROM objects WHERE sequence NOT IN (SELECT sequence FROM "
                     "temp.listed)",
                     ""));
    return check_files(c, error);
}

static fw_status check_locked(const fw_env *env, const char *data_folder,
                              const fw_factory_line *line, bool deep, checking *c,
                              fw_error *error) {
    char path[FW_PATH_MAX], new_path[FW_PATH_MAX];
    fw_catalogue *catalogue;
    fw_ledger ledger;
    fw_rebuild_report built;
    fw_path_join(path, sizeof path, data_folder, "catalogue.sqlite");
    fw_path_join(new_path, sizeof new_path, data_folder, "catalogue.check.sqlite");
    if (!fw_file_exists(path))
        return fw_fail(error, FW_NOT_FOUND, "%s is no data folder of a factory", data_folder);
    if (deep) FW_TRY(fw_rebuild_into(env, data_folder, line, new_path, &built, error));
    fw_status status = fw_catalogue_open(path, &catalogue, error);
    if (status == FW_OK) {
        status = fw_objects_open(env, data_folder, &c->objects, error);
        if (status == FW_OK) status = fw_ledger_open(env, data_folder, catalogue, &ledger, error);
        if (status == FW_OK) fw_ledger_close(&ledger); /* settled, as serve would at its start */
        c->db = fw_catalogue_read(catalogue);
        if (status == FW_OK) status = check(c, data_folder, error);
        if (status == FW_OK && deep) status = compare(c, new_path, error);
        fw_catalogue_read_end(catalogue);
        fw_catalogue_close(catalogue);
    }
    unlink(new_path);
    return status;
}

fw_status fw_catalogue_check(const fw_env *env, const char *data_folder,
                             const fw_factory_line *line, bool deep, fw_check_report *report,
                             fw_error *error) {
    int lock;
    checking *c = calloc(1, sizeof *c);
    if (!c) return fw_fail(error, FW_NO_MEMORY, "no memory to check");
    fw_status status = fw_factory_lock(data_folder, &lock, error);
    if (status == FW_OK) {
        status = check_locked(env, data_folder, line, deep, c, error);
        close(lock);
    }
    if (status == FW_OK) *report = c->report;
    free(c);
    return status;
}

bool fw_check_equal(const fw_check_report *r) {
    return r->missing == 0 && r->left_over == 0 && r->unlisted == 0 && r->unknown == 0 &&
           r->differing == 0;
}
