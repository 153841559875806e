/* tamper.h - somebody on the way between a unit and the factory, for what is signed: metadata, models, hints.
 *
 * Bytes are changed, cut, or replaced by what the same address gave earlier; a report's answer hints at a model that
 * nobody released. (Other answers are left alone: without TLS nothing protects them, and TLS is not simulated.)
 */
#ifndef FW_SIM_TAMPER_H
#define FW_SIM_TAMPER_H

#include "base/random.h"
#include "http/client.h"

typedef struct fw_sim_tamper {
    char path[160]; /* of the answer that is kept for later */
    char *old;      /* (old_bytes), owned */
    size_t old_bytes;
} fw_sim_tamper;

/* May change the reply to GET or POST of path; what it did, or NULL. never: the hash of a model that nobody
 * released, "" for none. */
const char *fw_sim_tamper_with(fw_sim_tamper *tamper, fw_random *random, const char *path, const char *never,
                               fw_http_reply *reply);
void fw_sim_tamper_free(fw_sim_tamper *tamper);

#endif
