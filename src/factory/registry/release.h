/* release.h - a model that may drive gets a number, a self-test, a place in the image repository and a statement.
 *
 *   gate promotes --> fw_release_make: release counter (durable, never used twice)
 *                                      self-test of the line (act/self_test.h)
 *                                      image repository: "<line>/<hash>.safetensors" (trust/trust.h)
 *                                      statement, signed with the factory's release key
 *                 --> the gate's commit: decision, lineage, counter, self-test, statement, champion
 *
 * Units refuse a release counter below the one installed (trust/uptane.h), so going back to an older model is
 * a release too: fw_registry_release gives it the next counter.
 *
 * Statement: in-toto in DSSE, in the form that OpenSSF's model signing verifies over a folder with model.safetensors
 * and lineage.json (`flywheel models export`; docs/formats/lineage.md):
 *
 *   subject    "<line>/<hash>", sha256 over the digests of the resources
 *   predicate  "serialization": files; "resources": lineage.json, model.safetensors, each with its sha256;
 *              "release": {"line","release_counter"}
 *
 * Invariants: (1) a counter grows within its line, and is never given twice; (2) a model that the catalogue calls
 * promoted is in the image repository, or waits for its offline key (FW_DENIED of fw_trust_release); (3) what was
 * released but whose commit failed is released again with the next counter: nobody was told of it.
 */
#ifndef FW_FACTORY_RELEASE_H
#define FW_FACTORY_RELEASE_H

#include "factory/registry/registry.h"

/* malloc'd texts; NULL: none. */
typedef struct fw_release {
    int64_t counter; /* 0: nothing is signed here */
    char *self_test, *statement;
} fw_release;

/* Before the commit that lets the model drive; lineage is what will stand in it, "" none. No lock of the catalogue is
 * held. The caller clears *out. */
fw_status fw_release_make(const fw_registry *registry, const char *hash, const char *lineage, fw_release *out,
                          fw_error *error) FW_MUST;
/* Inside that commit. */
fw_status fw_release_write(sqlite3 *db, const char *hash, const fw_release *release, fw_error *error) FW_MUST;
void fw_release_clear(fw_release *release);
/* Both, for a model that the catalogue has: before it is assigned to units again. FW_NOT_FOUND. */
fw_status fw_registry_release(const fw_registry *registry, const char *hash, fw_error *error) FW_MUST;

/* The in-toto statement, canonical enough to be signed: compact JSON text, malloc'd. */
fw_status fw_release_statement(const char *line, const char *hash, const char *lineage, int64_t counter, char **text,
                               fw_error *error) FW_MUST;

#endif
