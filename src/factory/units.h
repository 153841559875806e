/* units.h - what the fleet says of itself: each unit's last report.
 *
 * Reports come about once a second from each unit, so they live in memory and reach the catalogue
 * only when a unit's models changed, or every 30 s: after a restart the fleet is known again, and
 * nothing here is worth a flush of the disk per report.
 *
 * Beside it stand its newest records of the streams "health" and "versions" (records.h), which are
 * durable there; here and in the catalogue's unit_notes lies a copy of each unit's last one.
 */
#ifndef FW_FACTORY_UNITS_H
#define FW_FACTORY_UNITS_H

#include <pthread.h>

#include "base/env.h"
#include "base/hash.h"
#include "factory/catalogue/catalogue.h"
#include "factory/names.h"
#include "factory/rollout/health.h"

enum { FW_UNITS_MAX = 16384, FW_UNIT_NAME_MAX = 32, FW_UNIT_RECENT_S = 60 };

/* Streams of records whose newest is shown with the unit. */
#define FW_UNIT_NOTES(X) X(HEALTH, "health") X(VERSIONS, "versions")
typedef enum fw_unit_note_kind {
#define X(name, stream) FW_UNIT_NOTE_##name,
    FW_UNIT_NOTES(X)
#undef X
        FW_UNIT_NOTE_COUNT
} fw_unit_note_kind;
enum { FW_UNIT_NOTE_MAX = 4096 }; /* a larger one is not shown */

typedef struct fw_unit_note {
    int64_t time_ns; /* server's */
    char *record;    /* JSON object, owned; NULL: none */
} fw_unit_note;

typedef struct fw_unit {
    char name[FW_UNIT_NAME_MAX];
    fw_hash active, staged; /* empty: none */
    fw_hash refused;        /* the model it cannot drive, empty: none; not kept over a restart */
    fw_hash shadow;         /* what it runs beside the active one, empty: none; not kept either */
    fw_health health;       /* of the active model, as it last said; not kept either (rollout.h keeps its own) */
    int64_t tick, recordings, spool_bytes, lost_bytes;
    int64_t reported_ns, persisted_ns; /* reported_ns 0: never yet, only its notes are known */
    fw_unit_note notes[FW_UNIT_NOTE_COUNT];
} fw_unit;

typedef struct fw_units {
    const fw_env *env;
    fw_catalogue *catalogue;
    pthread_mutex_t lock; /* guards the rest */
    fw_unit *items;       /* (count), in order of first report */
    uint32_t count;
    fw_names places;      /* of items, by name */
} fw_units;

/* How far a model has got in the fleet. */
typedef struct fw_units_share {
    uint32_t known, recent, active, staged; /* active, staged: of the recent ones */
    uint32_t refused;                       /* of the recent ones: will not drive it */
} fw_units_share;

fw_status fw_units_open(fw_units *units, const fw_env *env, fw_catalogue *catalogue,
                        fw_error *error) FW_MUST;
void fw_units_close(fw_units *units);
/* Takes a report's JSON text. FW_INVALID with the reason; FW_TOO_BIG: too many units. *versions (may be NULL): its
 * signed version report, malloc'd, or NULL; nobody has checked it. */
fw_status fw_units_report(fw_units *units, const char *name, const char *body, size_t body_bytes,
                          char **versions, fw_error *error) FW_MUST;
enum { FW_UNIT_VERSIONS_MAX = 8192 };
/* A durable record of one of the streams above; others are passed over. */
void fw_units_note(fw_units *units, const char *name, const char *stream, const char *record,
                   size_t size_bytes, int64_t time_ns);
/* Within a transaction: writes the notes down. */
fw_status fw_units_save_notes(fw_units *units, sqlite3 *db, fw_error *error) FW_MUST;
/* As if it had never been heard of (erase.h); its rows are the caller's. */
void fw_units_forget(fw_units *units, const char *name);
/* Each unit that ever reported, with the lock held: no call back to here. */
void fw_units_each(fw_units *units, void (*visit)(void *self, const fw_unit *unit), void *self);
/* JSON array, malloc'd. */
char *fw_units_json(fw_units *units);
/* Counts units; recent: reported in the last FW_UNIT_RECENT_S. model may be "". */
fw_units_share fw_units_share_of(fw_units *units, const char *model);

#endif
