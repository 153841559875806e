/* duplicates.c - MinHash signatures and their comparison (duplicates.h). */
#include "factory/catalogue/duplicates.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BANDS = 16, BAND_VALUES = FW_DUPLICATE_HASHES / BANDS, CANDIDATES_MAX = 256 };
#define CELL_M 10.0
#define STEP_MPS 2.5

/* The finaliser of SplitMix64. */
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t token(const fw_scan_second *s) {
    uint64_t t = mix((uint64_t)(int64_t)floor(s->x_m / CELL_M));
    t = mix(t ^ (uint64_t)(int64_t)floor(s->y_m / CELL_M));
    double speed = fabs(s->speed_mps) < 1e6 ? s->speed_mps : 0;
    return mix(t ^ (uint64_t)(int64_t)floor(speed / STEP_MPS));
}

fw_status fw_duplicates_signature(const fw_scan *scan, char out[FW_DUPLICATE_HEX + 1],
                                  fw_error *error) {
    out[0] = '\0';
    uint32_t count = scan->second_count;
    if (count < FW_DUPLICATE_SECONDS_MIN) return FW_OK;
    uint64_t *tokens = malloc(count * sizeof *tokens);
    if (!tokens) return fw_fail(error, FW_NO_MEMORY, "no memory for a recording's signature");
    for (uint32_t i = 0; i < count; i++) tokens[i] = token(&scan->seconds[i]);
    qsort(tokens, count, sizeof *tokens, compare);
    uint32_t least[FW_DUPLICATE_HASHES];
    memset(least, 0xff, sizeof least);
    for (uint32_t i = 0, run = 0; i < count; i++) {
        run = i > 0 && tokens[i] == tokens[i - 1] ? run + 1 : 0;
        uint64_t counted = mix(tokens[i] ^ run);
        for (uint32_t h = 0; h < FW_DUPLICATE_HASHES; h++) {
            uint32_t value = (uint32_t)(mix(counted + h * 0x2545f4914f6cdd1du) >> 32);
            if (value < least[h]) least[h] = value;
        }
    }
    free(tokens);
    for (int h = 0; h < FW_DUPLICATE_HASHES; h++)
        snprintf(out + h * 8, 9, "%08" PRIx32, least[h]);
    return FW_OK;
}

int fw_duplicates_equal(const char *a, const char *b) {
    int equal = 0;
    for (int h = 0; h < FW_DUPLICATE_HASHES; h++) equal += memcmp(a + h * 8, b + h * 8, 8) == 0;
    return equal;
}

/* [key of band 0, key of band 1, ...] as JSON. */
static void band_keys(const char *signature, char out[BANDS * 24]) {
    size_t used = 0;
    for (int b = 0; b < BANDS; b++) {
        uint64_t key = 0;
        for (int i = 0; i < BAND_VALUES * 8; i++)
            key = mix(key ^ (uint64_t)(unsigned char)signature[b * BAND_VALUES * 8 + i]);
        int put = snprintf(out + used, 24, "%c%" PRIu64, b ? ',' : '[', key >> 12);
        used += (size_t)put;
    }
    memcpy(out + used, "]", 2);
}

typedef struct search {
    const char *signature;
    int equal;
    char best[FW_HASH_HEX + 1];
} search;

static bool take_candidate(void *self, sqlite3_stmt *row) {
    search *s = self;
    const char *other = fw_db_column(row, 1);
    int equal = strlen(other) == FW_DUPLICATE_HEX ? fw_duplicates_equal(s->signature, other) : 0;
    if (equal <= s->equal) return true; /* of equals the earliest */
    s->equal = equal;
    snprintf(s->best, sizeof s->best, "%s", fw_db_column(row, 0));
    return true;
}

static fw_status label(sqlite3 *db, const char *sha256, const char *signature, fw_error *error) {
    char keys[BANDS * 24];
    search s = {.signature = signature, .equal = FW_DUPLICATE_EQUAL_MIN - 1};
    band_keys(signature, keys);
    FW_TRY(fw_db_each(db, error, take_candidate, &s,
                      "SELECT s.recording,s.minhash FROM (SELECT DISTINCT b.recording FROM "
                      "json_each(?1) j CROSS JOIN signature_bands b ON b.band=j.key AND b.key=j.value) c "
                      "JOIN signatures s ON s.recording=c.recording JOIN recordings r ON "
                      "r.sha256=c.recording JOIN recordings own ON own.sha256=?2 AND "
                      "own.line=r.line AND own.form=r.form JOIN objects o ON o.sha256=r.sha256 "
                      "WHERE r.sha256<>?2 ORDER BY o.sequence LIMIT ?3",
                      "tti", keys, sha256, (int64_t)CANDIDATES_MAX));
    FW_TRY(fw_db_run(db, error, "UPDATE recordings SET duplicate_of=? WHERE sha256=?", "tt",
                     s.best[0] ? s.best : NULL, sha256));
    if (s.best[0]) return FW_OK; /* its original stands for it */
    return fw_db_run(db, error,
                     "INSERT OR IGNORE INTO signature_bands(band,key,recording) "
                     "SELECT key,value,?2 FROM json_each(?1)",
                     "tt", keys, sha256);
}

fw_status fw_duplicates_enter(sqlite3 *db, const char *sha256, const char *signature,
                              fw_error *error) {
    if (!signature[0]) return FW_OK;
    FW_TRY(fw_db_run(db, error, "INSERT INTO signatures(recording,minhash) VALUES(?,?)", "tt",
                     sha256, signature));
    return label(db, sha256, signature, error);
}

typedef struct relabel {
    sqlite3 *db;
    fw_status status;
    fw_error *error;
} relabel;

static bool relabel_one(void *self, sqlite3_stmt *row) {
    relabel *r = self;
    char sha256[FW_HASH_HEX + 1], signature[FW_DUPLICATE_HEX + 1];
    snprintf(sha256, sizeof sha256, "%s", fw_db_column(row, 0));
    snprintf(signature, sizeof signature, "%s", fw_db_column(row, 1));
    r->status = label(r->db, sha256, signature, r->error);
    return r->status == FW_OK;
}

fw_status fw_duplicates_relabel(sqlite3 *db, fw_error *error) {
    relabel r = {db, FW_OK, error};
    FW_TRY(fw_db_run(db, error, "DELETE FROM signature_bands", ""));
    FW_TRY(fw_db_each(db, error, relabel_one, &r,
                      "SELECT s.recording,s.minhash FROM signatures s JOIN objects o ON "
                      "o.sha256=s.recording ORDER BY o.sequence",
                      ""));
    return r.status;
}
