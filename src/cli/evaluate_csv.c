/* A line for each drive of each row: for whoever wants to look at them otherwise. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "cli/evaluate.h"

static const char *end_name(fw_sim_end end) {
    static const char *const names[] = {[FW_SIM_RUNS] = "cut",           [FW_SIM_COLLISION] = "collision",
                                        [FW_SIM_OFF_ROAD] = "off_road",  [FW_SIM_GOAL] = "goal",
                                        [FW_SIM_ROUTE_DONE] = "route_done", [FW_SIM_TIME_OUT] = "timeout"};
    return names[end];
}

static void write_drive(FILE *out, const fw_evaluation *e, fw_sim_traffic traffic, uint32_t driver, uint32_t i) {
    const fw_score_table *table = &e->score.traffic[traffic];
    const fw_score_case *one = &table->cases[i];
    const fw_scenario *scenario = e->set.items[one->scenario];
    const fw_scenario_track *track = &scenario->tracks[one->track];
    const fw_sim_drive *d = &table->drives[driver][i];
    fprintf(out, "%s,%s,%s,%s,%s,%u,%u,%s,%s,", fw_sim_traffic_name(traffic), e->drivers[driver].name,
            scenario->source.hex, scenario->tags.site, scenario->tags.group, track->id, one->tick, track->kind.name,
            fw_score_manoeuvre_name(one->manoeuvre));
    fprintf(out, "%s,%d,%d,%d,%d,%u,%u,%u,%u,%u,%u,%.3f,%.3f,%.4f,%.3f,%.3f\n", end_name(d->end), d->at_fault,
            d->light_seen, d->red_light, d->stuck, d->ticks, d->ttc_ticks, d->accel_ticks, d->jerk_ticks,
            d->lateral_ticks, d->hard_brakes, (double)d->distance_m, (double)d->goal_left_m, (double)d->progress,
            d->ticks > 0 ? d->deviation_sum_m / d->ticks : 0.0, (double)d->final_deviation_m);
}

static void write_all(FILE *out, const fw_evaluation *e) {
    fputs("traffic,driver,scenario,site,group,track,tick,vehicle,manoeuvre,end,at_fault,light_seen,red_light,stuck,"
          "ticks,ttc_ticks,accel_ticks,jerk_ticks,lateral_ticks,hard_brakes,distance_m,goal_left_m,progress,ade_m,"
          "fde_m\n",
          out);
    for (int t = 0; t < FW_SIM_TRAFFIC_COUNT; t++)
        for (uint32_t d = 0; d < e->driver_count && e->traffic[t]; d++)
            for (uint32_t i = 0; i < e->score.traffic[t].case_count; i++)
                write_drive(out, e, (fw_sim_traffic)t, d, i);
}

fw_status fw_evaluate_write_csv(const fw_evaluation *e, fw_error *error) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out) return fw_fail(error, FW_NO_MEMORY, "no memory for the drives");
    write_all(out, e);
    fw_status status = fclose(out) == 0 ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for the drives");
    if (status == FW_OK) status = fw_file_write_durable(fw_env_real(), e->csv, text, size, error);
    free(text);
    return status;
}
