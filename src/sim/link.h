/* link.h - the network between a unit and the factory: an fw_http_client whose other end is a function.
 *
 *   unit --perform--> fate --> [request] --> fw_http_app (open_sink, sink_write.., handle) --> [answer] --> unit
 *                      |           |                                                             |
 *                      |       lost: nothing happened               lost, or cut: it happened, and nobody knows
 *                      '-- down for a while (partition), slow (may time out), or well
 *
 * A body that is cut reaches the factory in part: its sink is closed as when a client vanished. All
 * faults come from the link's own random stream. When the factory's power goes inside a call, the answer is
 * lost with it. Somebody on the way changes what is signed (tamper.h).
 */
#ifndef FW_SIM_LINK_H
#define FW_SIM_LINK_H

#include "base/random.h"
#include "http/client.h"
#include "http/server.h"
#include "sim/tamper.h"

struct fw_sim_world;

typedef struct fw_sim_link {
    struct fw_sim_world *world;
    const char *who;    /* of the machine at its unit's end */
    int64_t *spent_ns;  /* of that machine: what the call takes is added */
    fw_random random;
    bool faults;        /* false: every call arrives */
    int64_t down_until_ns;
    fw_sim_tamper tamper;
} fw_sim_link;

fw_http_client fw_sim_link_client(fw_sim_link *link);

/* A request straight to the factory's handlers, without faults; false when the factory is not there (any more).
 * headers: "Name: value", NULL-terminated. cut: the body ends after this many bytes and nobody waits for an
 * answer; SIZE_MAX: whole. The caller frees response->body. */
typedef struct fw_sim_request {
    const char *method, *target; /* path, with query */
    const char *const *headers;
    const void *body;
    size_t body_bytes, cut;
} fw_sim_request;
bool fw_sim_ask(struct fw_sim_world *world, const fw_sim_request *request, fw_http_response *response);
const char *fw_sim_answer_header(const fw_http_response *response, const char *name);

#endif
