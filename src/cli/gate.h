/* gate.h - private to `flywheel gate`: its verbs, a file each.
 *
 *   list, show   what the factory decided            gate_book.c, through the API
 *   decide       champion and candidate on files     gate_decide.c
 *   trials       null trials and the power curve     gate_trials.c
 *   drills       candidates that must be refused     gate_drills.c
 */
#ifndef FW_CLI_GATE_H
#define FW_CLI_GATE_H

#include <stdio.h>

#include "base/pace.h"
#include "lines/driving/learn/score/gate.h"

/* argv without the verb's name. */
int fw_gate_list_verb(int argc, char **argv);
int fw_gate_show_verb(int argc, char **argv);
int fw_gate_decide_verb(int argc, char **argv);
int fw_gate_trials_verb(int argc, char **argv);
int fw_gate_drills_verb(int argc, char **argv);

/* A line of progress on a terminal's stderr; false after Ctrl-C. */
typedef struct fw_gate_talk {
    fw_pace pace;
    const char *what, *unit;
    bool begun;
} fw_gate_talk;
bool fw_gate_say(fw_gate_talk *talk, double done, double total);
void fw_gate_hush(fw_gate_talk *talk);
/* For fw_driving_progress: self is a fw_gate_talk. */
bool fw_gate_report(void *self, const char *phase, uint64_t done, uint64_t total, double reward);

/* Prints a record for people: primary, slices, limits. */
void fw_gate_print(const json_t *record, FILE *out);

#endif
