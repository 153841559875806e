#include "factory/catalogue/db.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

fw_status fw_db_fail(sqlite3 *db, fw_error *error, const char *what) {
    int code = sqlite3_errcode(db);
    fw_status status = FW_IO;
    if (code == SQLITE_FULL)
        return fw_fail(error, FW_NO_SPACE,
                       "the disk under the data folder is full: the catalogue cannot be written; "
                       "free some space");
    if (code == SQLITE_NOMEM)
        return fw_fail(error, FW_NO_MEMORY, "no memory for the catalogue: %.120s", what);
    if (code == SQLITE_INTERRUPT)
        return fw_fail(error, FW_TOO_BIG,
                       "the question takes too long to answer; narrow it by unit or time");
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED) status = FW_BUSY;
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) status = FW_CORRUPT;
    if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN) status = FW_DENIED;
    return fw_fail(error, status, "catalogue: %.120s: %s", what, sqlite3_errmsg(db));
}

const char *fw_db_column(sqlite3_stmt *row, int column) {
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text ? text : "";
}

static fw_status prepare(sqlite3 *db, fw_error *error, sqlite3_stmt **out, const char *sql,
                         const char *types, va_list args) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        return fw_db_fail(db, error, sql);
    FW_ASSERT(sqlite3_bind_parameter_count(statement) == (int)strlen(types));
    for (int i = 0; types[i]; i++) {
        int code = SQLITE_OK;
        if (types[i] == 't') {
            code = sqlite3_bind_text(statement, i + 1, va_arg(args, const char *), -1,
                                     SQLITE_TRANSIENT);
        } else if (types[i] == 'i') {
            code = sqlite3_bind_int64(statement, i + 1, va_arg(args, int64_t));
        } else {
            FW_ASSERT(types[i] == 'd');
            double value = va_arg(args, double);
            code = isfinite(value) ? sqlite3_bind_double(statement, i + 1, value)
                                   : sqlite3_bind_null(statement, i + 1);
        }
        if (code != SQLITE_OK) {
            sqlite3_finalize(statement);
            return fw_db_fail(db, error, sql);
        }
    }
    *out = statement;
    return FW_OK;
}

static fw_status each(sqlite3 *db, fw_error *error, fw_db_row row, void *self, const char *sql,
                      const char *types, va_list args) {
    sqlite3_stmt *statement = NULL;
    FW_TRY(prepare(db, error, &statement, sql, types, args));
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        bool more = !row || row(self, statement);
        if (sqlite3_errcode(db) == SQLITE_NOMEM) code = SQLITE_NOMEM; /* a column read as "" */
        if (!more || code != SQLITE_ROW) break;
    }
    fw_status status = FW_OK;
    if (code != SQLITE_ROW && code != SQLITE_DONE) status = fw_db_fail(db, error, sql);
    sqlite3_finalize(statement);
    return status;
}

fw_status fw_db_each(sqlite3 *db, fw_error *error, fw_db_row row, void *self, const char *sql,
                     const char *types, ...) {
    va_list args;
    va_start(args, types);
    fw_status status = each(db, error, row, self, sql, types, args);
    va_end(args);
    return status;
}

fw_status fw_db_run(sqlite3 *db, fw_error *error, const char *sql, const char *types, ...) {
    va_list args;
    va_start(args, types);
    fw_status status = each(db, error, NULL, NULL, sql, types, args);
    va_end(args);
    return status;
}

typedef struct first_value {
    char *text;
    int64_t number;
    bool want_text, found;
} first_value;

static bool take_first(void *self, sqlite3_stmt *row) {
    first_value *first = self;
    first->found = true;
    if (first->want_text)
        first->text = strdup(fw_db_column(row, 0));
    else
        first->number = sqlite3_column_int64(row, 0);
    return false;
}

fw_status fw_db_text(sqlite3 *db, fw_error *error, char **text, const char *sql, const char *types,
                     ...) {
    first_value first = {.want_text = true};
    va_list args;
    va_start(args, types);
    fw_status status = each(db, error, take_first, &first, sql, types, args);
    va_end(args);
    if (status != FW_OK) {
        free(first.text);
        return status;
    }
    if (!first.found) return fw_fail(error, FW_NOT_FOUND, "not found");
    if (!first.text) return fw_fail(error, FW_NO_MEMORY, "no memory for a list");
    *text = first.text;
    return FW_OK;
}

fw_status fw_db_int(sqlite3 *db, fw_error *error, int64_t *value, const char *sql,
                    const char *types, ...) {
    first_value first = {0};
    va_list args;
    va_start(args, types);
    fw_status status = each(db, error, take_first, &first, sql, types, args);
    va_end(args);
    if (status != FW_OK) return status;
    if (!first.found) return fw_fail(error, FW_NOT_FOUND, "not found");
    *value = first.number;
    return FW_OK;
}

fw_status fw_db_script(sqlite3 *db, fw_error *error, const char *sql) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK) return FW_OK;
    return fw_db_fail(db, error, sql);
}
