/* policy.h - what drives: a model file becomes a policy, an observation becomes an action.
 *
 * Every policy, rule or network, is a model file (safetensors) named by its hash, so that the
 * fleet, the gate and the exam treat them alike. Its metadata "policy" says which kind:
 *
 *     constant   constant speed + pure pursuit: generation 0
 *     idm        IDM + pure pursuit with signals and yielding: the strong rule-based bar
 *     network    the learned policy: features -> network.h -> action on top of pure pursuit steering
 *
 *     message --scene.h--> scene --features.h--> features --nn/run--> scores --> acceleration, curvature
 *
 * Training draws one of the choices; driving takes the mean around the best one (fw_drive_blend), so that a
 * car between two choices goes in between instead of jumping. Acceleration changes gently in both, but for
 * firm braking (features.h).
 *
 * Recipe const, run mutable: fw_policy is never written after load and shared by any number of
 * sessions; fw_policy_session holds what changes, one per car or thread. Both allocate when they are
 * opened; fw_policy_act allocates nothing.
 */
#ifndef FW_LINES_DRIVING_POLICY_H
#define FW_LINES_DRIVING_POLICY_H

#include "base/hash.h"
#include "lines/driving/act/network.h"

typedef enum fw_policy_kind { FW_POLICY_CONSTANT, FW_POLICY_IDM, FW_POLICY_NETWORK } fw_policy_kind;

/* A rule's may be made by hand: all zero but for kind. */
typedef struct fw_policy {
    fw_policy_kind kind;
    fw_hash hash; /* of the file's bytes */
    fw_nn_model model; /* network: graph and parameters; owned */
    fw_nn_plan *plan;  /* of one row; owned */
    void *packed;      /* parameters as the plan's kernels like them; owned */
    fw_drive_ends ends;
    float uncertainty_threshold; /* of the file (network.h's card): more is unusual; 0: it names none */
} fw_policy;

typedef struct fw_policy_session {
    fw_nn_session *network; /* of the policy's plan; NULL for a rule; owned */
    float uncertainty;      /* of the last decision: standard deviation of the value heads, in the unit of the
                               reward; 0 for a rule and for a network without `value` */
} fw_policy_session;

/* What a model may ask for; an answer is due within the tick. */
enum {
    FW_POLICY_FILE_MAX = 4 << 20,
    FW_POLICY_NODES_MAX = 512,
    FW_POLICY_FLAT_MAX = 1 << 20,   /* bytes in a unit's slot (flattened.h) */
    FW_POLICY_ARENA_MAX = 16 << 20, /* bytes of a session */
    FW_POLICY_FLOPS_MAX = 50000000, /* of a decision */
};

/* Reads a model file's bytes. FW_CORRUPT / FW_UNSUPPORTED / FW_TOO_BIG with a reason; *out untouched
 * then. The caller ends it with fw_policy_clear. */
fw_status fw_policy_load(const void *bytes, size_t size_bytes, fw_policy *out,
                         fw_error *error) FW_MUST;
fw_status fw_policy_load_file(const char *path, fw_policy *out, fw_error *error) FW_MUST;
/* Leaves it all zero; its sessions are closed before. */
void fw_policy_clear(fw_policy *policy);

/* The policy outlives the session, but may be moved. */
fw_status fw_policy_session_open(const fw_policy *policy, fw_policy_session *out,
                                 fw_error *error) FW_MUST;
void fw_policy_session_close(fw_policy_session *session);
/* Decides. No allocation, no lock, no clock. */
void fw_policy_act(const fw_policy *policy, fw_policy_session *session, const fw_drive_obs *obs,
                   fw_drive_action *action);
/* The same on a scene that has been looked at: fw_policy_act is this one behind fw_drive_scene_of. */
void fw_policy_act_scene(const fw_policy *policy, fw_policy_session *session, const fw_drive_scene *scene,
                         const fw_drive_view *view, fw_drive_action *action);

/* The bytes of a model file of a rule ("constant", "idm"); malloc'd, the caller frees. */
fw_status fw_policy_rule_file(fw_policy_kind kind, char **bytes, size_t *size_bytes,
                              fw_error *error) FW_MUST;

/* ---- for flattened.c ---- */

/* Plans a network's model, and takes it; on failure the caller still has it. */
fw_status fw_policy_of_model(const fw_nn_model *model, fw_policy *out, fw_error *error) FW_MUST;

#endif
