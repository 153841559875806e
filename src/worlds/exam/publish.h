/* publish.h - the examiner's read-only HTTP door: what the dashboard shows of the exams.
 *
 *     GET /exams.json    every result in the store
 *     GET /report.json   DIR/report.json, where the conductor left one
 *
 * The factory's page is another origin on the same machine: http/server.h lets pages of this
 * machine read, and no foreign one. Nothing can be written through this door.
 */
#ifndef FW_WORLDS_EXAM_PUBLISH_H
#define FW_WORLDS_EXAM_PUBLISH_H

#include "http/server.h"
#include "worlds/exam/store.h"

enum { FW_EXAM_REPORT_MAX = 8 << 20 };

typedef struct fw_exam_door {
    const char *folder;
} fw_exam_door;

/* Pure function of the store's folder; see fw_http_app. `self` is a fw_exam_door. */
void fw_exam_door_handle(void *self, const fw_http_request *request, fw_http_response *response);

#endif
