/* suite_folder.h - a folder like the NGSIM one of docs/data.md, made by arithmetic, for tests of the commands that
 * drive scenes.
 *
 *   FOLDER/raw/index.csv, USA_US101-<k>_1_T-1.xml   eight groups: one car through a bend, 6 s and more
 *                         USA_Lanker-<k>_1_T-1.xml  four groups: a street of three cars
 *                         USA_US101-50_1_T-1.xml    group 1 again, under another name
 *                         USA_US101-60_1_T-1.xml    over after 1.2 s: nothing to drive
 *
 * In the bend a driver at constant speed leaves the road and IDM does not.
 */
#ifndef FW_TESTS_SUITE_FOLDER_H
#define FW_TESTS_SUITE_FOLDER_H

#include "program.h"

#include <expat.h>
#include <jansson.h>

#include "../lines/synthetic_xml.h"
#include "base/file.h"

static char folder[] = "/tmp/flywheel-scenes-XXXXXX"; /* the test's own */

enum { SUITE_BENDS = 8, SUITE_STREETS = 4, SUITE_SCENES = SUITE_BENDS + SUITE_STREETS + 2 };

static inline void suite_scene(FILE *index, const char *site, unsigned number, unsigned group,
                               fw_scene *scene) {
    char path[200];
    snprintf(path, sizeof path, "%s/raw/USA_%s-%u_1_T-1.xml", folder, site, number);
    synthetic_xml(path, scene);
    fprintf(index, "USA_%s-%u_1_T-1,0,%u\n", site, number, group);
}

static inline void suite_raw(void) {
    char path[200];
    snprintf(path, sizeof path, "%s/raw", folder);
    assert_int_equal(fw_folder_make(path, 0755, NULL), FW_OK);
    snprintf(path, sizeof path, "%s/raw/index.csv", folder);
    FILE *index = fopen(path, "w");
    assert_non_null(index);
    fprintf(index, "scene,split_test,overlap_group\n");
    for (unsigned k = 1; k <= SUITE_BENDS; k++)
        suite_scene(index, "US101", k, k, synthetic_curve(60 + k));
    for (unsigned k = 1; k <= SUITE_STREETS; k++)
        suite_scene(index, "Lanker", k, k, synthetic_street(60 + k));
    suite_scene(index, "US101", 50, 1, synthetic_curve(61));
    suite_scene(index, "US101", 60, 9, synthetic_curve(12));
    assert_int_equal(fclose(index), 0);
}

/* flywheel WORDS, run in the folder; what it prints on both streams into output, or with `talk` false on stdout alone. */
static inline int suite_run(const char *words, bool talk, char *output, size_t size) {
    char command[1200];
    snprintf(command, sizeof command, "cd %s && " PROGRAM " %s %s", folder, words, talk ? "2>&1" : "2>/dev/null");
    return run_command(command, output, size);
}

static inline void suite_expect(const char *words, int status, const char *text) {
    char output[16000];
    expect_outcome(words, suite_run(words, true, output, sizeof output), status, text, output);
}

/* Its stdout is JSON and its status 0. The caller frees it. */
static inline json_t *suite_json(const char *words) {
    enum { OUTPUT_MAX = 8 << 20 };
    char *output = malloc(OUTPUT_MAX);
    json_error_t why;
    assert_non_null(output);
    int status = suite_run(words, false, output, OUTPUT_MAX);
    json_t *json = status == 0 ? json_loads(output, 0, &why) : NULL;
    if (!json) fail_msg("flywheel %s: status %d, or no JSON: %.300s", words, status, output);
    free(output);
    return json;
}

static inline char *suite_read(const char *name, size_t *size) {
    char path[300], *text = NULL;
    fw_path_join(path, sizeof path, folder, name);
    if (fw_file_read(path, 64 << 20, &text, size, NULL) != FW_OK) fail_msg("no %s", path);
    return text;
}

static inline int suite_open(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : 1;
}

static inline int suite_close(void **state) {
    (void)state;
    return fw_folder_remove(folder, NULL) != FW_OK;
}

/* The folder with raw/, and ngsim/ made of it. */
static inline int suite_open_made(void **state) {
    if (suite_open(state) != 0) return 1;
    suite_raw();
    suite_expect("suite ngsim raw --out ngsim", 0, "heldout.json");
    return 0;
}

/* The file is well-formed XML with an <svg> at its root; returns how many elements it has. */
typedef struct suite_xml {
    unsigned elements;
    bool svg;
} suite_xml;

static inline void XMLCALL suite_element(void *self, const char *name, const char **attributes) {
    suite_xml *xml = self;
    (void)attributes;
    if (xml->elements++ == 0) xml->svg = strcmp(name, "svg") == 0;
}

static inline unsigned suite_svg(const char *name) {
    size_t size;
    suite_xml xml = {0, false};
    char *text = suite_read(name, &size);
    XML_Parser parser = XML_ParserCreate(NULL);
    assert_non_null(parser);
    XML_SetUserData(parser, &xml);
    XML_SetStartElementHandler(parser, suite_element);
    if (XML_Parse(parser, text, (int)size, 1) != XML_STATUS_OK)
        fail_msg("%s, line %lu: %s", name, (unsigned long)XML_GetCurrentLineNumber(parser),
                 XML_ErrorString(XML_GetErrorCode(parser)));
    assert_true(xml.svg);
    XML_ParserFree(parser);
    free(text);
    return xml.elements;
}

#endif
