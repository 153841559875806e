/* policy.h - what drives: a model file becomes a policy, an observation becomes an action.
 *
 * Every policy, rule or network, is a model file (safetensors) named by its hash, so that the
 * fleet, the gate and the exam treat them alike. Its metadata "policy" says which kind:
 *
 *     constant   constant speed + pure pursuit: generation 0
 *     idm        IDM + pure pursuit with signals and yielding: the strong rule-based bar
 *     network    the learned policy: features -> MLP -> action on top of pure pursuit steering
 *
 *     observation --features.h--> 1 x F floats --nn/run--> logits --> acceleration, curvature
 *
 * Recipe const, run mutable: fw_policy is never written after load; fw_policy_session holds what
 * changes, one per car. Neither allocates.
 */
#ifndef FW_LINES_DRIVING_POLICY_H
#define FW_LINES_DRIVING_POLICY_H

#include "base/hash.h"
#include "lines/driving/act/drive.h"
#include "nn/run/mlp.h"

typedef enum fw_policy_kind { FW_POLICY_CONSTANT, FW_POLICY_IDM, FW_POLICY_NETWORK } fw_policy_kind;

typedef struct fw_policy {
    fw_policy_kind kind;
    fw_hash hash; /* of the file's bytes */
    fw_mlp network;
} fw_policy;

typedef struct fw_policy_session {
    uint32_t drive;         /* the drive the fields below belong to */
    float set_speed_mps;    /* constant: the speed it keeps */
    fw_mlp_session network;
} fw_policy_session;

enum { FW_POLICY_FILE_MAX = 4 << 20 };

/* Reads a model file's bytes. FW_CORRUPT / FW_UNSUPPORTED with a reason; *out untouched then. */
fw_status fw_policy_load(const void *bytes, size_t size_bytes, fw_policy *out,
                         fw_error *error) FW_MUST;
fw_status fw_policy_load_file(const char *path, fw_policy *out, fw_error *error) FW_MUST;
/* Decides. The session may be all zero at the start. No allocation, no lock, no clock. */
void fw_policy_act(const fw_policy *policy, fw_policy_session *session, const fw_drive_obs *obs,
                   fw_drive_action *action);
/* The bytes of a model file of a rule ("constant", "idm"); malloc'd, the caller frees. */
fw_status fw_policy_rule_file(fw_policy_kind kind, char **bytes, size_t *size_bytes,
                              fw_error *error) FW_MUST;

#endif
