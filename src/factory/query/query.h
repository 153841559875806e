/* query.h - one small language to ask for recordings, compiled to SQL with all values beside it.
 *
 *   unit = 7 and event = hard_brake and max(/ego.speed_mps) > 20 and near(100, 250, 50)
 *   text --fw_query_parse--> condition (SQL) + values (JSON, bound as ?1) --> rows, counts, bytes
 *
 *   query    = [ or ] ;  or = and { "or" and } ;  and = not { "and" not } ;  not = { "not" } test
 *   test     = "(" or ")" | column compare value | column [ "not" ] "in" "(" value { "," value } ")"
 *            | function "(" name ")" compare number | "near" "(" x "," y "," radius_m ")"
 *   compare  = "=" | "!=" | "<" | "<=" | ">" | ">="      (< and so on: numbers and times only)
 *   column   = unit line form role campaign state id duplicate_of boot kind event model topic
 *              bytes messages events sequence generation duration_s moved_s time received
 *   function = min max mean (of a field "/ego.speed_mps"), count (of a field, a topic or an event's
 *              kind), size (of a topic, bytes)
 *   value    = word | "quoted" | 'quoted' | number | none (not given) | 2026-11-01[T12:30[:15]][Z]
 *
 * What each means: docs/formats/query.md. Values of id, model and duplicate_of may be the first 6 or
 * more digits of a hash.
 *
 * Invariants: (1) nothing of the text reaches the SQL, only the tables' own words do; values are
 * bound; (2) no recursion: brackets are counted, at most FW_QUERY_DEPTH_MAX; (3) at most
 * FW_QUERY_TERMS_MAX tests, FW_QUERY_MAX_BYTES of text; (4) an error names the column, from 1.
 */
#ifndef FW_FACTORY_QUERY_H
#define FW_FACTORY_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "factory/catalogue/catalogue.h"

enum {
    FW_QUERY_MAX_BYTES = 2000,
    FW_QUERY_TERMS_MAX = 64,
    FW_QUERY_DEPTH_MAX = 32,
    FW_QUERY_LIMIT_MAX = 10000
};

typedef struct fw_query fw_query;

/* FW_INVALID with the column. The caller ends it with fw_query_free. */
fw_status fw_query_parse(const char *text, fw_query **out, fw_error *error) FW_MUST;
void fw_query_free(fw_query *query);

/* For "FROM recordings r JOIN objects o USING(sha256) WHERE " condition, with values as ?1. */
const char *fw_query_condition(const fw_query *query);
const char *fw_query_values(const fw_query *query);
/* The kinds of events that it names, as a JSON array. */
const char *fw_query_events(const fw_query *query);

/* {"recordings":[...],"count":n,"bytes":b,"next":"..."|null}: newest first by the time they were
 * recorded; count and bytes are of all that match. after: "" or an earlier answer's next. FW_ERASED:
 * nothing matches and a unit or a recording that it names was erased. */
fw_status fw_query_json(fw_catalogue *catalogue, const fw_query *query, int64_t limit,
                        const char *after, char **json, fw_error *error) FW_MUST;
/* FW_ERASED when a unit or a recording named in it was erased (a unit that records again after it is
 * there again); else FW_OK. The lock is held. */
fw_status fw_query_check_erased(sqlite3 *db, const fw_query *query, fw_error *error) FW_MUST;

/* "2026-11-01", "2026-11-01T12:30:15.5Z", or nanoseconds since 1970. */
bool fw_query_parse_time(const char *text, int64_t *time_ns);

#endif
