/* publish.c - see publish.h */
#include "worlds/exam/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void send_exams(const fw_exam_door *door, fw_http_response *response) {
    json_t *list = NULL;
    fw_error why;
    if (fw_exam_store_list(door->folder, &list, &why) != FW_OK) {
        fw_http_respond_error(response, 500, "%s", why.text);
        return;
    }
    char *text = json_dumps(list, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(list);
    FW_ASSERT(text != NULL);
    fw_http_respond_json(response, 200, text);
}

static void send_report(const fw_exam_door *door, fw_http_response *response) {
    char path[FW_PATH_MAX];
    char *bytes = NULL;
    size_t size = 0;
    fw_error why;
    fw_path_join(path, sizeof path, door->folder, "report.json");
    if (fw_file_read(path, FW_EXAM_REPORT_MAX, &bytes, &size, &why) != FW_OK) {
        fw_http_respond_error(response, 404, "no report yet");
        return;
    }
    fw_http_respond_json(response, 200, bytes);
}

void fw_exam_door_handle(void *self, const fw_http_request *request, fw_http_response *response) {
    const fw_exam_door *door = self;
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (!reads) fw_http_respond_error(response, 405, "this door is for reading");
    else if (strcmp(request->path, "/exams.json") == 0) send_exams(door, response);
    else if (strcmp(request->path, "/report.json") == 0) send_report(door, response);
    else fw_http_respond_error(response, 404, "only /exams.json and /report.json are here");
    fw_http_add_header(response, "Cache-Control", "no-store");
}
