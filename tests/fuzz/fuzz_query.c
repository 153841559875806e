/* links: fw_factory */
/* A query from anywhere: any text gives a condition that SQLite takes as it is, with its values
 * beside it, or an error that names the column. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "factory/query/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

/* The catalogue's tables, empty. */
static sqlite3 *tables(void) {
    static fw_catalogue *catalogue;
    fw_error error = {""};
    if (!catalogue) FW_ASSERT(fw_catalogue_open(":memory:", &catalogue, &error) == FW_OK);
    return fw_catalogue_read(catalogue); /* kept locked: one thread */
}

static void check(const fw_query *query) {
    static sqlite3 *db;
    static char sql[64 << 10];
    sqlite3_stmt *statement = NULL;
    if (!db) db = tables();
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM recordings r JOIN objects o USING(sha256) WHERE (%s) AND ?1 IS "
             "NOT NULL",
             fw_query_condition(query));
    FW_ASSERT(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    FW_ASSERT(sqlite3_bind_parameter_count(statement) == 1);
    FW_ASSERT(sqlite3_bind_text(statement, 1, fw_query_values(query), -1, SQLITE_STATIC) ==
              SQLITE_OK);
    FW_ASSERT(sqlite3_step(statement) == SQLITE_ROW);
    FW_ASSERT(sqlite3_column_int64(statement, 0) == 0);
    sqlite3_finalize(statement);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes) {
    char text[FW_QUERY_MAX_BYTES + 2];
    size_t used = size_bytes < sizeof text - 1 ? size_bytes : sizeof text - 1;
    memcpy(text, bytes, used);
    text[used] = '\0';
    fw_query *query = NULL;
    fw_error error = {""};
    if (fw_query_parse(text, &query, &error) == FW_OK) {
        check(query);
        fw_query_free(query);
    } else {
        FW_ASSERT(query == NULL && error.text[0]);
    }
    return 0;
}
