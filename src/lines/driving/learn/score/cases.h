/* cases.h - private to score/: what there is to drive, before anybody drives it. */
#ifndef FW_LINES_DRIVING_SCORE_CASES_H
#define FW_LINES_DRIVING_SCORE_CASES_H

#include "lines/driving/learn/score/score.h"

/* The cluster of each scenario (scenario_count), numbered by the names of sites and their groups in order; the caller frees. */
fw_status fw_score_clusters(const fw_score_config *config, uint32_t **out, uint32_t *count, fw_error *error) FW_MUST;
/* All cases of a kind of traffic, in order; at most per_group of a cluster. The caller frees. */
fw_status fw_score_cases(const fw_score_config *config, fw_sim_traffic traffic, const uint32_t *clusters,
                         uint32_t cluster_count, fw_score_case **out, uint32_t *count, fw_error *error) FW_MUST;

#endif
