#include "factory/generations/curve.h"

#include <math.h>

/* ---- what the job says ---- */

static double figure(const json_t *point, const char *name) {
    const json_t *value = json_object_get(point, name);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

void fw_curve_start(fw_curve *curve, int64_t generation) {
    curve->generation = generation;
    curve->count = 0;
}

void fw_curve_note(fw_curve *curve, const json_t *point, int64_t agent_steps_wanted) {
    int64_t steps = json_integer_value(json_object_get(point, "agent_steps"));
    if (steps < 1 || agent_steps_wanted < 1) return;
    bool over = steps >= agent_steps_wanted; /* the last update may end past the budget */
    fw_curve_point p = {.part = over ? FW_CURVE_PARTS : steps * FW_CURVE_PARTS / agent_steps_wanted,
                        .agent_steps = steps,
                        .loss = figure(point, "loss"),
                        .value_loss = figure(point, "value_loss"),
                        .entropy = figure(point, "entropy"),
                        .gradient_norm = figure(point, "gradient_norm"),
                        .clean_share = figure(point, "clean_share")};
    while (curve->count > 0 && curve->points[curve->count - 1].part >= p.part) curve->count--;
    FW_ASSERT(curve->count <= FW_CURVE_PARTS);
    curve->points[curve->count++] = p;
}

/* ---- the catalogue ---- */

static fw_status write_points(const fw_curve *curve, sqlite3 *db, fw_error *error) {
    FW_TRY(fw_db_run(db, error, "DELETE FROM curves WHERE generation=? AND part>=?", "ii",
                     curve->generation, curve->points[0].part));
    for (int i = 0; i < curve->count; i++) {
        const fw_curve_point *p = &curve->points[i];
        FW_TRY(fw_db_run(db, error,
                         "INSERT INTO curves(generation,part,agent_steps,loss,value_loss,entropy,"
                         "gradient_norm,clean_share) VALUES(?,?,?,?,?,?,?,?)",
                         "iiiddddd", curve->generation, p->part, p->agent_steps, p->loss,
                         p->value_loss, p->entropy, p->gradient_norm, p->clean_share));
    }
    return FW_OK;
}

fw_status fw_curve_flush(fw_curve *curve, fw_catalogue *catalogue, fw_error *error) {
    if (curve->count == 0) return FW_OK;
    sqlite3 *db = fw_catalogue_begin(catalogue, error);
    if (!db) return FW_IO;
    fw_status status = write_points(curve, db, error);
    FW_TRY(fw_catalogue_end(catalogue, status, error));
    curve->count = 0;
    return FW_OK;
}

fw_status fw_curve_thin(sqlite3 *db, int64_t generation, fw_error *error) {
    return fw_db_run(db, error, "DELETE FROM curves WHERE generation=? AND part%?<>0", "ii",
                     generation - FW_CURVE_FINE, (int64_t)FW_CURVE_COARSE);
}

fw_status fw_curve_json(fw_catalogue *catalogue, int64_t generation, char **json, fw_error *error) {
    sqlite3 *db = fw_catalogue_read(catalogue);
    fw_status status = fw_db_text(
        db, error, json,
        "SELECT json_object('generation',n,'agent_steps_wanted',agent_steps_wanted,'thinning',"
        "json_object('keeps','the last update of each part','parts',parts,'part_agent_steps',"
        "1.0*agent_steps_wanted/parts),'points',(SELECT coalesce(json_group_array(json(j)),'[]') "
        "FROM (SELECT json_object('agent_steps',agent_steps,'loss',loss,'value_loss',value_loss,"
        "'entropy',entropy,'gradient_norm',gradient_norm,'clean_share',clean_share) j FROM curves "
        "WHERE generation=?1 ORDER BY part))) FROM (SELECT n,agent_steps_wanted,CASE WHEN "
        "n>(SELECT "
        "coalesce(max(n),0) FROM generations WHERE train_ns IS NOT NULL)-?2 THEN ?3 ELSE ?4 END "
        "parts FROM "
        "generations WHERE n=?1)",
        "iiii", generation, (int64_t)FW_CURVE_FINE, (int64_t)FW_CURVE_PARTS,
        (int64_t)FW_CURVE_COARSE_PARTS);
    fw_catalogue_read_end(catalogue);
    if (status == FW_NOT_FOUND)
        return fw_fail(error, status, "no generation %lld", (long long)generation);
    return status;
}
