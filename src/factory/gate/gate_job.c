#include "factory/gate/gate_job.h"

#include "factory/gate/ledger.h"
#include "lines/driving/learn/score/gate.h"

static const char *text(const json_t *object, const char *name) { return json_string_value(json_object_get(object, name)); }

fw_status fw_gate_job_run(const fw_gate_job *job, json_t **out, fw_error *error) {
    fw_gate_turn turn;
    fw_driving_gate_result got;
    const json_t *given = json_object_get(job->input, "gate");
    FW_TRY(fw_gate_turn_read(given, &turn, error));
    const fw_driving_gate_config config = {.recordings = job->recordings,
                                           .recording_count = job->recording_count,
                                           .champion_path = text(job->input, "champion"),
                                           .candidate_path = text(job->input, "candidate"),
                                           .candidate_hash = text(job->input, "candidate_hash"),
                                           .plan = &turn.plan,
                                           .threads = job->threads,
                                           .replays_path = job->replays_path,
                                           .progress = job->progress};
    FW_TRY(fw_driving_gate(&config, &got, error));
    *out = json_pack("{s:s,s:i,s:f,s:f,s:f,s:f,s:f,s:b,s:s,s:O,s:O}", "candidate", config.candidate_hash, "scenarios",
                     (int)got.scenarios, "champion_clean", got.champion_clean, "candidate_clean", got.candidate_clean,
                     "difference", got.difference, "low", got.low, "high", got.high, "promote", (int)got.promote,
                     "reason", got.reason, "turn", given, "record", got.record);
    fw_driving_gate_clear(&got);
    return *out ? FW_OK : fw_fail(error, FW_CORRUPT, "the gate gave a figure that is no number");
}

json_t *fw_gate_job_summary(const json_t *result) {
    json_t *summary = json_deep_copy(result), *record = json_object_get(summary, "record");
    json_object_del(summary, "turn");
    json_object_del(record, "clusters");
    json_object_del(record, "log_wealth");
    return summary;
}
