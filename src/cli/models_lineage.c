/* flywheel models lineage: a model, its data and its parents, back to the first one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/models.h"

enum { CHAIN_MAX = 1000, SHOWN_MAX = 6 };

/* [{"card fields..","lineage","recordings":[..]}, parent, its parent ..]; the caller owns it. */
static fw_status follow(fw_models_source *s, const char *hash, json_t *chain, fw_error *error) {
    char next[FW_HASH_HEX + 1];
    snprintf(next, sizeof next, "%s", hash);
    while (*next && json_array_size(chain) < CHAIN_MAX) {
        json_t *card, *manifest = NULL;
        fw_error why = {""};
        fw_status status = fw_models_card(s, next, &card, error);
        if (status == FW_NOT_FOUND && json_array_size(chain) > 0) return FW_OK; /* the parent is not this factory's */
        FW_TRY(status);
        snprintf(next, sizeof next, "%s", fw_models_text(card, "parent"));
        const char *dataset = fw_models_text(card, "dataset");
        if (*dataset && fw_models_manifest(s, dataset, &manifest, &why) != FW_OK)
            json_object_set_new(card, "missing", json_string(why.text));
        if (manifest) json_object_set(card, "recordings", json_object_get(manifest, "recordings"));
        json_decref(manifest);
        json_object_del(card, "statement");
        json_object_del(card, "self_test");
        json_array_append_new(chain, card);
    }
    return FW_OK;
}

/* ---- as a tree ---- */

static void print_recordings(FILE *to, const json_t *recordings) {
    size_t at;
    json_t *row;
    json_array_foreach(recordings, at, row) {
        if (at == SHOWN_MAX) break;
        fprintf(to, "|     +- recording %.12s of %s, %s\n", fw_models_text(row, "sha256"),
               fw_models_text(row, "unit"),
               strcmp(fw_models_text(row, "role"), "train") == 0 ? "to train on" : "held out");
    }
    size_t count = json_array_size(recordings);
    if (count > SHOWN_MAX) fprintf(to, "|     +- and %zu more (--json names all)\n", count - SHOWN_MAX);
}

static void print_training(FILE *to, const json_t *lineage) {
    const json_t *recipe = json_object_get(lineage, "recipe"), *code = json_object_get(lineage, "code"),
                 *machine = json_object_get(lineage, "machine"), *cost = json_object_get(lineage, "cost");
    if (!json_is_object(recipe)) {
        fprintf(to, "|  +- %s\n", lineage ? "brought by somebody: nothing tells how it was made" : "no lineage");
        return;
    }
    fprintf(to, "|  +- recipe %s, %" JSON_INTEGER_FORMAT " agent-steps, seed %s\n",
           fw_models_text(recipe, "trainer"), json_integer_value(json_object_get(recipe, "agent_steps")),
           fw_models_text(recipe, "seed"));
    fprintf(to, "|  +- program %s %s, build %.12s\n", fw_models_text(code, "version"),
           fw_models_text(code, "commit"), fw_models_text(code, "build_id"));
    fprintf(to, "|  +- machine %s, %s; %.1f core-seconds\n", fw_models_text(machine, "training_class"),
           fw_models_text(machine, "libc"), json_number_value(json_object_get(cost, "core_s")));
}

static void print_tree(FILE *to, const json_t *chain) {
    size_t at;
    json_t *card;
    json_array_foreach(chain, at, card) {
        const json_t *gate = json_object_get(json_object_get(card, "lineage"), "gate");
        const json_t *recordings = json_object_get(card, "recordings");
        const char *decision = fw_models_text(card, "decision");
        fprintf(to, "model %.12s, %s%s%s%s\n", fw_models_text(card, "hash"), fw_models_text(card, "kind"),
               *decision ? ", " : "", decision, json_is_true(json_object_get(card, "champion")) ? ", champion" : "");
        if (gate && !json_is_null(gate))
            fprintf(to, "|  +- gate %.12s: %s\n", fw_models_text(gate, "sha256"), fw_models_text(gate, "reason"));
        print_training(to, json_object_get(card, "lineage"));
        if (*fw_models_text(card, "dataset"))
            fprintf(to, "|  +- data set %.12s%s%s, %zu recordings\n", fw_models_text(card, "dataset"),
                   *fw_models_text(card, "missing") ? ": " : "", fw_models_text(card, "missing"),
                   json_array_size(recordings));
        print_recordings(to, recordings);
        if (*fw_models_text(card, "parent")) fprintf(to, "|\n");
    }
}

/* ---- as a graph for Graphviz ---- */

static void print_dot(FILE *to, const json_t *chain) {
    size_t at, i;
    json_t *card, *row;
    fprintf(to, "digraph lineage {\n  rankdir=LR;\n  node [shape=box];\n");
    json_array_foreach(chain, at, card) {
        const char *hash = fw_models_text(card, "hash"), *dataset = fw_models_text(card, "dataset");
        fprintf(to, "  \"m%.12s\" [label=\"model %.12s\\n%s\"];\n", hash, hash, fw_models_text(card, "decision"));
        if (*fw_models_text(card, "parent"))
            fprintf(to, "  \"m%.12s\" -> \"m%.12s\";\n", fw_models_text(card, "parent"), hash);
        if (!*dataset) continue;
        fprintf(to, "  \"d%.12s\" [label=\"data set %.12s\" shape=folder];\n  \"d%.12s\" -> \"m%.12s\";\n", dataset, dataset,
               dataset, hash);
        json_array_foreach(json_object_get(card, "recordings"), i, row) {
            const char *name = fw_models_text(row, "sha256");
            fprintf(to, "  \"r%.12s\" [shape=note]; \"r%.12s\" -> \"d%.12s\";\n", name, name, dataset);
        }
    }
    fprintf(to, "}\n");
}

/* A factory's text must not steer the terminal. */
static fw_status print_plain(const json_t *chain, void (*print)(FILE *to, const json_t *chain), fw_error *error) {
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (!to) return fw_fail_errno(error, "no memory for a picture");
    print(to, chain);
    bool whole = fclose(to) == 0;
    for (size_t i = 0; whole && i < size; i++)
        putchar(((unsigned char)text[i] < 0x20 && text[i] != '\n') || text[i] == 0x7f ? ' ' : text[i]);
    free(text);
    return whole ? FW_OK : fw_fail(error, FW_NO_MEMORY, "no memory for a picture");
}

fw_status fw_models_show_lineage(const fw_models_options *o, const char *const *words, fw_error *error) {
    fw_models_source s;
    json_t *chain = json_array();
    fw_status status = fw_models_open(o, &s, error);
    if (status == FW_OK) {
        status = follow(&s, words[0], chain, error);
        fw_models_close(&s);
    }
    if (status == FW_OK && o->ask.json)
        json_dumpf(chain, stdout, JSON_COMPACT), putchar('\n');
    else if (status == FW_OK)
        status = print_plain(chain, o->dot ? print_dot : print_tree, error);
    json_decref(chain);
    return status;
}
