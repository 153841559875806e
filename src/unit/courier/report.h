/* report.h - what a unit says of itself twice a second, and what it hears back.
 *
 *   POST /v1/units/{id}/report   {"active","staged","refused","refused_why","safe","health":{..},"versions","shadow",...}
 *        --> {"target": hint,"nonce","campaigns","shadow"}
 *
 * The answer's target is a hint: it makes the unit look at signed metadata (updater.h), and nothing else.
 * Every field: docs/formats/http.md.
 */
#ifndef FW_UNIT_REPORT_H
#define FW_UNIT_REPORT_H

#include "unit/courier/courier_state.h"

/* A report if one is due, or if something changed that the factory should know at once. */
void fw_unit_report(fw_unit_courier *courier);
/* {"ring":0,"evicted":0,...} */
json_t *fw_unit_losses_json(fw_unit_shared *shared);

#endif
