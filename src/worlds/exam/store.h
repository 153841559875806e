/* store.h - the examiner's own store: one JSON file a result, in a folder of mode 0700.
 *
 *     DIR/<sha256 of the key>.json   {"key": {...}, "label": "idm", "finished_ns": ..., "result": {...}}
 *
 * The key is everything a result depends on: exam version, hash of this program, hash of the
 * policy file (or "sumo"), guard, network, drives, cars, runs, conditions, vehicles. Two exams may write side by side:
 * each writes its own file durably (temporary file, rename).
 *
 * Invariants: (1) a result is handed out only when its whole key matches, not just its name;
 * (2) a file that cannot be read is passed over with a warning, and its exam is done again;
 * (3) the factory never opens this folder.
 */
#ifndef FW_WORLDS_EXAM_STORE_H
#define FW_WORLDS_EXAM_STORE_H

#include "base/env.h"
#include "base/file.h"
#include "worlds/exam/exam.h"

enum { FW_EXAM_FILE_MAX = 1 << 20, FW_EXAM_LIST_MAX = 4096 };

/* Makes the folder, or narrows an existing one to mode 0700. */
fw_status fw_exam_store_open(const char *folder, fw_error *error) FW_MUST;
/* The key of an exam; the caller owns *key. Hashes the policy file and this program. */
fw_status fw_exam_key(const fw_exam_config *config, json_t **key, fw_error *error) FW_MUST;
/* FW_NOT_FOUND when no result with this key is there. The caller owns *result. */
fw_status fw_exam_store_find(const char *folder, json_t *key, json_t **result,
                             fw_error *error) FW_MUST;
/* A result from a file: an entry of a store, or what `exam --json` printed. The caller owns *result. */
fw_status fw_exam_result_read(const char *path, json_t **result, fw_error *error) FW_MUST;
/* `label`: a name for people, no part of the key; may be NULL. */
fw_status fw_exam_store_put(const fw_env *env, const char *folder, json_t *key, const char *label,
                            json_t *result, fw_error *error) FW_MUST;
/* All results as {"exams": [...]}, in order of file name: each the result's figures (without
 * per_run and failures), with "policy" (hash or "sumo"), "label", "finished_ns" and "id" beside
 * them. The caller owns *out. */
fw_status fw_exam_store_list(const char *folder, json_t **out, fw_error *error) FW_MUST;

#endif
