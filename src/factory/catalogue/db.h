/* db.h - the few verbs with which the factory speaks SQL, so that no statement leaks and no
 * argument is pasted into a text.
 *
 * Arguments follow a letter each: 't' const char * (NULL is SQL NULL), 'i' int64_t, 'd' double
 * (NaN is NULL).  Example: fw_db_run(db, error, "UPDATE units SET active=? WHERE unit=?", "tt", a,
 * u)
 *
 * Invariant: a full disk is FW_NO_SPACE, whatever SQLite calls it.
 */
#ifndef FW_FACTORY_DB_H
#define FW_FACTORY_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Runs one statement that gives no rows. */
fw_status fw_db_run(sqlite3 *db, fw_error *error, const char *sql, const char *types, ...) FW_MUST;
/* First column of the first row; FW_NOT_FOUND without a row. *text is malloc'd ("" for NULL). */
fw_status fw_db_text(sqlite3 *db, fw_error *error, char **text, const char *sql, const char *types,
                     ...) FW_MUST;
fw_status fw_db_int(sqlite3 *db, fw_error *error, int64_t *value, const char *sql,
                    const char *types, ...) FW_MUST;
/* Calls row for each row; false ends early. */
typedef bool (*fw_db_row)(void *self, sqlite3_stmt *row);
fw_status fw_db_each(sqlite3 *db, fw_error *error, fw_db_row row, void *self, const char *sql,
                     const char *types, ...) FW_MUST;
/* Several statements, no arguments. */
fw_status fw_db_script(sqlite3 *db, fw_error *error, const char *sql) FW_MUST;
/* The status of the last failure, with its text. */
fw_status fw_db_fail(sqlite3 *db, fw_error *error, const char *what);
/* A column as text, never NULL; valid until the next row. */
const char *fw_db_column(sqlite3_stmt *row, int column);

#endif
