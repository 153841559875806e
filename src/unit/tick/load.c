/* load.c - a model file made ready for its slot, its self-test passed (tick.h). */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lines/driving/act/flattened.h"
#include "lines/driving/act/self_test.h"
#include "unit/tick/tick.h"

/* A model without a self-test passes: a rule of the first day has none. */
static fw_status check_self_test(const fw_policy *policy, const char *custom, fw_error *error) {
    json_t *json = custom ? json_loads(custom, 0, NULL) : NULL;
    const json_t *test = json_object_get(json, "self_test");
    char *text = json_is_object(test) ? json_dumps(test, JSON_COMPACT) : NULL;
    bool wanted = test && !json_is_null(test);
    json_decref(json);
    if (!wanted) return FW_OK;
    if (!text) return fw_fail(error, FW_CORRUPT, "the model's self-test is no object");
    fw_status status = fw_drive_self_test_check(policy, text, strlen(text), error);
    free(text);
    return status;
}

fw_status fw_unit_tick_load(const void *file, size_t file_bytes, const char *custom, void *out,
                            size_t out_max_bytes, size_t *out_bytes, fw_error *error) {
    fw_policy policy;
    FW_TRY(fw_policy_load(file, file_bytes, &policy, error));
    fw_status status = check_self_test(&policy, custom, error);
    if (status == FW_OK) status = fw_policy_flatten(&policy, out, out_max_bytes, out_bytes, error);
    fw_policy_clear(&policy);
    return status;
}
