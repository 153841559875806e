/* models.h - `flywheel models`: one table of verbs (cmd_models.c), and where their models come from.
 *
 *   --data DIR   a factory's folder on this machine, whether it runs or not
 *   --url URL    a running factory; what is needed of it is fetched and checked by its hash
 *
 * To add a verb: 1. a function here, 2. a line in `verbs` of cmd_models.c, 3. its help, 4. docs/cli.md.
 */
#ifndef FW_CLI_MODELS_H
#define FW_CLI_MODELS_H

#include <jansson.h>

#include "base/hash.h"
#include "cli/ask.h"
#include "factory/catalogue/catalogue.h"
#include "factory/ingest/objects.h"
#include "factory/registry/lineage.h"
#include "trust/key.h"

enum { FW_MODELS_FILE_MAX = 64 << 20, FW_MODELS_TEXT_MAX = 8 << 20 };

typedef struct fw_models_options {
    fw_ask ask;
    const char *data, *key, *card, *out;
    bool champion, dot;
    uint64_t seed, threads;
} fw_models_options;

/* ---- where models come from (models_source.c) ---- */

typedef struct fw_models_source {
    const fw_models_options *options;
    fw_catalogue *catalogue; /* of --data; NULL: over HTTP */
    fw_objects objects;      /* of --data, or of `cache` */
    char cache[64];          /* a temporary folder for what is fetched; "" none */
} fw_models_source;

fw_status fw_models_open(const fw_models_options *options, fw_models_source *out, fw_error *error) FW_MUST;
void fw_models_close(fw_models_source *source);
/* Every card, an array; the caller owns it. */
fw_status fw_models_list(fw_models_source *source, json_t **rows, fw_error *error) FW_MUST;
/* The whole card of the model whose hash begins so (6 to 64 digits). FW_NOT_FOUND: none, or more than one. */
fw_status fw_models_card(fw_models_source *source, const char *prefix, json_t **card, fw_error *error) FW_MUST;
/* An object as a file here. FW_NOT_FOUND: it is not there (any more). FW_CORRUPT: it is not what its name says. */
fw_status fw_models_object(fw_models_source *source, const char *hash, char path[FW_PATH_MAX], fw_error *error) FW_MUST;
/* The lineage of a card, its text too (malloc'd, as it was signed). FW_NOT_FOUND: it has none. */
fw_status fw_models_lineage(const json_t *card, fw_lineage *out, char **text, fw_error *error) FW_MUST;
/* A data set's manifest; the caller owns it. */
fw_status fw_models_manifest(fw_models_source *source, const char *dataset, json_t **manifest, fw_error *error) FW_MUST;
/* The SHA-256 of a file that must have this one. FW_MISMATCH. */
fw_status fw_models_check_file(const char *path, const char *hash, fw_error *error) FW_MUST;
/* The public release key: --key FILE (JSON), else that of --data. FW_INVALID: neither is given. */
fw_status fw_models_key(const fw_models_options *options, fw_public_key **out, fw_error *error) FW_MUST;
/* Text of a card's field, "" without one. */
const char *fw_models_text(const json_t *card, const char *name);

/* ---- verbs: words are those after the verb ---- */

fw_status fw_models_show_lineage(const fw_models_options *options, const char *const *words, fw_error *error) FW_MUST;
fw_status fw_models_diff(const fw_models_options *options, const char *const *words, fw_error *error) FW_MUST;
fw_status fw_models_export(const fw_models_options *options, const char *const *words, fw_error *error) FW_MUST;
fw_status fw_models_verify(const fw_models_options *options, const char *const *words, fw_error *error) FW_MUST;
fw_status fw_models_rebuild(const fw_models_options *options, const char *const *words, fw_error *error) FW_MUST;

#endif
