/* duplicates.h - recordings that say what an earlier one already says, found at the door.
 *
 *   seconds of a recording --> tokens --> MinHash (64 values) --> 16 bands of 4 --> candidates
 *   (place in squares of 10 m,                                          |
 *    speed in steps of 2.5 m/s,                       64 values compared: at least 48 equal
 *    how often that came before)                                        v
 *                                                   duplicate_of = the earliest such recording
 *
 * The share of equal values estimates the Jaccard index of the two sets of tokens, with a standard
 * error of 0.05 at the threshold (48 of 64: 0.75, about 86 % of the seconds the same). Two recordings of an index of 0.9 are compared with
 * a probability over 0.9999, of 0.8 with 0.9998, of 0.5 with 0.64, of 0.3 with 0.12. Model, unit and
 * time of day do not enter: the same drive by another model is a near-duplicate.
 *
 * Invariants: (1) only labels: nothing is refused or dropped here (retention.h may, when told so);
 * (2) duplicate_of never names a duplicate; (3) recordings of under FW_DUPLICATE_SECONDS_MIN seconds
 * with a place have no signature and are never labelled; (4) labels depend on the recordings and
 * their order of arrival alone, so that a rebuilt catalogue has the same.
 */
#ifndef FW_FACTORY_DUPLICATES_H
#define FW_FACTORY_DUPLICATES_H

#include "factory/catalogue/db.h"
#include "factory/catalogue/scan.h"

enum {
    FW_DUPLICATE_HASHES = 64,
    FW_DUPLICATE_EQUAL_MIN = 48,
    FW_DUPLICATE_SECONDS_MIN = 10,
    FW_DUPLICATE_HEX = FW_DUPLICATE_HASHES * 8
};

/* The signature as hex digits, "" for a recording without one. */
fw_status fw_duplicates_signature(const fw_scan *scan, char out[FW_DUPLICATE_HEX + 1],
                                  fw_error *error) FW_MUST;
/* How many of the values are equal. */
int fw_duplicates_equal(const char *a, const char *b);
/* Inside a transaction, after the recording's row: stores the signature and labels it. */
fw_status fw_duplicates_enter(sqlite3 *db, const char *sha256, const char *signature,
                              fw_error *error) FW_MUST;
/* Inside a transaction: labels all anew, in order of arrival (after others were taken away). */
fw_status fw_duplicates_relabel(sqlite3 *db, fw_error *error) FW_MUST;

#endif
