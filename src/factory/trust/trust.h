/* trust.h - what the factory signs: the image repository, the director, statements; and whose words it believes.
 *
 *   DIR/trust/root.json            {"image":ROOT,"director":ROOT}: what an owner gives each unit, once
 *   DIR/trust/image/               what is genuine: a TUF repository of all releases (trust/repository.h)
 *   DIR/trust/director/            roots of the director, and its clock (epoch.json)
 *   DIR/trust/keys/image/ROLE.pem  0600; root and targets may be taken elsewhere (docs/howto/keys.md)
 *   DIR/trust/keys/director/ROLE.pem, DIR/trust/keys/release.pem
 *   DIR/trust/waiting/SHA256.json  releases that wait for the image's targets key
 *
 *   release(model) --> image: "<line>/<sha256>.safetensors", custom
 *   assign(unit, model) --> catalogue: unit_keys --> GET director/{unit}/timestamp.json: signed at that moment
 *   report(unit, text) <-- what runs there, signed by the unit, with the nonce of the last answer
 *
 * Director: each unit's timestamp, snapshot and targets have one version, epoch + assigned_version: it grows with
 * every assignment and with every epoch (an hour, durable before its first use), so it never goes back, whatever the
 * clock does, and 10,000 units cost no file. Same version, same statement: a release that changes begins an epoch.
 *
 * Invariants: (1) a unit is assigned only what the image repository has; (2) what was published or assigned and
 * returned FW_OK is still so after a power cut; (3) a unit's first key is taken, another one only from an
 * operator; (4) a version report counts once: for its own unit, signed by its key, with a fresh nonce; (5) files
 * below DIR/trust are changed only under DIR/trust/lock, so that commands work beside a running factory.
 */
#ifndef FW_FACTORY_TRUST_H
#define FW_FACTORY_TRUST_H

#include <jansson.h>
#include <stdbool.h>

#include "base/env.h"
#include "base/hash.h"
#include "factory/catalogue/catalogue.h"
#include "trust/key.h"
#include "trust/uptane.h"

#define FW_TRUST_HARDWARE "flywheel-unit" /* hardware id of the units of this repository */
enum {
    FW_TRUST_EPOCH_S = 3600,
    FW_TRUST_NONCE_S = 600, /* a nonce is good for this long at least, twice as long at most */
    FW_TRUST_METADATA_MAX = 1 << 20
};

typedef struct fw_trust_config {
    const fw_env *env;
    const char *data_folder; /* outlives it */
    fw_catalogue *catalogue; /* NULL: commands that need no units */
} fw_trust_config;

typedef struct fw_trust fw_trust;

/* Keys (of env's random bytes) and first roots are made when they are first needed. Calls are safe from several
 * threads; the catalogue's lock may be held in fw_trust_assign alone. */
fw_status fw_trust_open(const fw_trust_config *config, fw_trust **out, fw_error *error) FW_MUST;
void fw_trust_close(fw_trust *trust);
/* Signs anew what expires soon; cheap otherwise. From the factory's tick. */
fw_status fw_trust_tick(fw_trust *trust, fw_error *error) FW_MUST;

/* ---- releases ---- */

/* Puts a model into the image repository and publishes. custom: NULL or an object with what is known of
 * "release_counter" (a whole number; else one above the greatest so far), "hardware_ids" (else FW_TRUST_HARDWARE) and
 * "self_test"; it stays the caller's. Again does no harm. FW_DENIED: the targets key is elsewhere; the release
 * waits for `flywheel trust sign`. Units take nothing below the counter of what they run: going back to a model means
 * releasing it again with a greater one. */
fw_status fw_trust_release(fw_trust *trust, const char *line, const fw_hash *model, uint64_t length_bytes,
                           const json_t *custom, fw_error *error) FW_MUST;
/* Takes it out again: units refuse it from their next refresh on. FW_NOT_FOUND. */
fw_status fw_trust_withdraw(fw_trust *trust, const fw_hash *model, fw_error *error) FW_MUST;
/* Is it in the published image repository? */
bool fw_trust_released(fw_trust *trust, const fw_hash *model);

/* ---- the director ---- */

/* Within a transaction of the catalogue: what the unit is to run from its commit on; model NULL or empty: nothing.
 * The same again changes nothing. FW_NOT_FOUND: the image repository has no such model. */
fw_status fw_trust_assign(fw_trust *trust, sqlite3 *db, const char *unit, const fw_hash *model,
                          fw_error *error) FW_MUST;
/* What it is assigned; empty: nothing. */
fw_status fw_trust_assigned(fw_trust *trust, const char *unit, fw_hash *model, fw_error *error) FW_MUST;

/* ---- statements ---- */

/* An in-toto statement (JSON text) in a DSSE envelope, signed with the release key; malloc'd. */
fw_status fw_trust_sign_statement(fw_trust *trust, const char *statement, size_t statement_bytes, char **out,
                                  fw_error *error) FW_MUST;
/* Its public half, for who checks offline: TUF's JSON form, malloc'd text. */
fw_status fw_trust_release_key(fw_trust *trust, char **json, fw_error *error) FW_MUST;

/* ---- units ---- */

/* body: {"public":KEY} with KEY in TUF's JSON form; an operator may add "replace":true. FW_EXISTS: it has another
 * key. */
fw_status fw_trust_unit_key(fw_trust *trust, const char *unit, const void *body, size_t body_bytes, bool is_operator,
                            fw_error *error) FW_MUST;
/* The unit's key, assignment and last good report; malloc'd JSON. FW_NOT_FOUND: nothing is known of it. */
fw_status fw_trust_unit_json(fw_trust *trust, const char *unit, char **json, fw_error *error) FW_MUST;
/* The nonce that the unit's next version report must carry. */
void fw_trust_nonce(fw_trust *trust, const char *unit, char out[33]);
/* Checks a version report (its text, uptane.h) and keeps it: unit_keys.report, report_ns. FW_NOT_FOUND: the unit
 * has no key; FW_TIMEOUT: an old nonce, ask again with the new one; FW_MISMATCH, FW_CORRUPT: refused, in the log
 * and shown by fw_trust_unit_json. */
fw_status fw_trust_report(fw_trust *trust, const char *unit, const void *text, size_t text_bytes,
                          fw_version_report *out, fw_error *error) FW_MUST;

/* ---- files for units ---- */

/* A file of the image repository: its path on disk for the HTTP server. FW_NOT_FOUND. */
fw_status fw_trust_image_path(fw_trust *trust, const char *file, char *path, size_t path_size,
                              fw_error *error) FW_MUST;
/* A file of the director for one unit, malloc'd. FW_NOT_FOUND. */
fw_status fw_trust_director_file(fw_trust *trust, const char *unit, const char *file, char **bytes,
                                 size_t *size_bytes, fw_error *error) FW_MUST;
/* DIR/trust/root.json, malloc'd; made when there is none. For commands: takes no catalogue. */
fw_status fw_trust_root(const fw_env *env, const char *data_folder, char **bytes, size_t *size_bytes,
                        fw_error *error) FW_MUST;

#endif
