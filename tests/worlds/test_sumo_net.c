/* The net file's reader and the paths over it, on a tiny inline city. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "worlds/sumo/path.h"
#include "worlds/sumo/traci.h"

/* West to east on two lanes (A, then B), crossed by S to N; A's left lane is a left turn only,
 * which may wait inside the junction (:J_2 then :J_4). A bus lane beside B. */
static const char city[] =
    "<net>"
    "<edge id=':J_0' function='internal'><lane id=':J_0_0' index='0' speed='10' length='20' "
    "shape='100,0 120,0'/></edge>"
    "<edge id=':J_1' function='internal'><lane id=':J_1_0' index='0' speed='10' length='20' "
    "shape='110,-10 110,10'/></edge>"
    "<edge id=':J_2' function='internal'><lane id=':J_2_0' index='0' speed='5' length='8' "
    "shape='100,3.2 108,4'/></edge>"
    "<edge id=':J_4' function='internal'><lane id=':J_4_0' index='0' speed='5' length='8' "
    "shape='108,4 110,10'/></edge>"
    "<edge id='A'><lane id='A_0' index='0' speed='13.9' length='100' shape='0,0 100,0'/>"
    "<lane id='A_1' index='1' speed='13.9' length='100' shape='0,3.2 100,3.2'/></edge>"
    "<edge id='B'><lane id='B_0' index='0' speed='13.9' length='200' width='3' shape='120,0 "
    "320,0'/>"
    "<lane id='B_1' index='1' allow='bus' speed='13.9' length='200' shape='120,3.2 "
    "320,3.2'/></edge>"
    "<edge id='S'><lane id='S_0' index='0' speed='8' length='40' shape='110,-50 110,-10'/></edge>"
    "<edge id='N'><lane id='N_0' index='0' disallow='tram' speed='8' length='90' "
    "shape='110,10 110,100'/></edge>"
    "<junction id='J' type='traffic_light' x='110' y='0' intLanes=':J_0_0 :J_1_0 :J_4_0' "
    "shape='100,-10 120,-10 120,10 100,10'>"
    "<request index='0' response='000' foes='010' cont='0'/>"
    "<request index='1' response='001' foes='101' cont='0'/>"
    "<request index='2' response='010' foes='010' cont='1'/></junction>"
    "<junction id=':J_4_0' type='internal' x='108' y='4' incLanes=':J_2_0 S_0' "
    "intLanes=':J_0_0'/>"
    "<connection from='A' to='B' fromLane='0' toLane='0' via=':J_0_0' tl='T' linkIndex='3' dir='s' "
    "state='o'/>"
    "<connection from='S' to='N' fromLane='0' toLane='0' via=':J_1_0' dir='s' state='m'/>"
    "<connection from='A' to='N' fromLane='1' toLane='0' via=':J_2_0' dir='l' state='m'/>"
    "<connection from=':J_2' to='N' fromLane='0' toLane='0' via=':J_4_0' dir='l' state='m'/>"
    "<connection from=':J_4' to='N' fromLane='0' toLane='0' dir='l' state='M'/>"
    "</net>";

static fw_net *parse(void) {
    fw_net *net = NULL;
    fw_error error = {""};
    if (fw_net_parse(city, sizeof city - 1, "inline", &net, &error) != FW_OK)
        fail_msg("%s", error.text);
    return net;
}

static uint32_t lane(const fw_net *net, const char *id) {
    return fw_names_find(&net->lane_names, fw_text_of(id));
}

static uint32_t edge(const fw_net *net, const char *id) {
    return fw_names_find(&net->edge_names, fw_text_of(id));
}

static void lanes_and_links(void **state) {
    (void)state;
    fw_net *net = parse();
    assert_int_equal(net->lane_count, 10);
    assert_int_equal(net->link_count, 3); /* those of internal lanes are no links of their own */
    assert_false(net->lanes[lane(net, "B_1")].passenger);
    assert_true(net->lanes[lane(net, "N_0")].passenger);
    assert_true(fabs(net->lanes[lane(net, "B_0")].width_m - 3) < 1e-9);
    assert_true(fabs(net->lanes[lane(net, "A_0")].width_m - 3.2) < 1e-9);
    const fw_net_link *left = &net->links[2];
    assert_int_equal(left->via, lane(net, ":J_2_0"));
    assert_int_equal(left->via2, lane(net, ":J_4_0"));
    assert_int_equal(left->index, 2);
    assert_int_equal(net->lanes[left->via2].inside_link, 2);
    assert_int_equal(net->links[0].light_index, 3);
    assert_string_equal(net->light_ids[net->links[0].light], "T");
    assert_int_equal(net->links[1].light, FW_NET_NONE);
    fw_net_free(net);
}

static void right_of_way_reads_bits_from_the_right(void **state) {
    (void)state;
    fw_net *net = parse();
    assert_true(fw_net_link_yields(net, 1, 0));
    assert_false(fw_net_link_yields(net, 0, 1));
    assert_true(fw_net_links_meet(net, 1, 2) && fw_net_links_meet(net, 2, 1));
    assert_false(fw_net_links_meet(net, 0, 2));
    assert_true(fw_net_link_yields(net, 2, 1));
    assert_false(fw_net_link_yields(net, 1, 2));
    fw_net_free(net);
}

/* Who turns left waits inside the junction, for the ways that its internal junction names and that it meets. */
static void a_waiting_place_has_a_right_of_way_of_its_own(void **state) {
    (void)state;
    fw_net *net = parse();
    assert_true(fw_net_link_waits(net, 2, 1));   /* by an incoming lane */
    assert_false(fw_net_link_waits(net, 2, 0));  /* named, but they do not meet */
    assert_false(fw_net_link_waits(net, 1, 2));
    assert_true(fabs(fw_net_link_wait_m(net, 2) - 8) < 1e-9);
    assert_true(fw_net_link_wait_m(net, 1) == 0);
    fw_net_free(net);
}

static fw_path *build(const fw_net *net, const uint32_t *route, uint32_t count, const char *from) {
    fw_path *path = malloc(sizeof *path);
    fw_error error = {""};
    const fw_path_start start = {.edges = route,
                                 .edge_count = count,
                                 .lane = lane(net, from),
                                 .position_m = 20,
                                 .front_m = 4};
    if (fw_path_build(net, &start, path, &error) != FW_OK) fail_msg("%s", error.text);
    return path;
}

static void path_is_a_grid_over_the_lanes(void **state) {
    (void)state;
    fw_net *net = parse();
    const uint32_t route[] = {edge(net, "A"), edge(net, "B")};
    fw_path *p = build(net, route, 2, "A_0");
    assert_true(fabsf(p->points[0].x_m - 6) < 0.01f); /* 10 m behind the rear axle at 16 */
    for (uint32_t i = 1; i < p->point_count; i++) {
        assert_true(fabsf(hypotf(p->points[i].x_m - p->points[i - 1].x_m,
                                 p->points[i].y_m - p->points[i - 1].y_m) -
                          2) < 1e-2f);
        assert_true(p->u_m[i] > p->u_m[i - 1]);
        assert_true(fabs(p->u_m[i] - (double)p->points[i].x_m) < 0.05);
    }
    assert_int_equal(p->link_count, 1);
    assert_true(fabsf(p->links[0].s0_m - 94) < 0.1f); /* stop line at x = 100 */
    assert_int_equal(p->zone_count, 1);               /* S to N crosses; the left turn does not */
    assert_int_equal(p->zones[0].foe_link, 1);
    assert_false(p->zones[0].merge);
    assert_true(fabsf(p->zones[0].enter_s_m - (110 - 2.2f - 6)) < 0.6f);
    assert_true(fabsf(p->zones[0].foe_enter_m - (10 - 2.2f)) < 0.6f);
    assert_true(fabsf(fw_path_s_at(p, fw_path_u_at(p, 51.3)) - 51.3f) < 1e-3f);
    float lateral;
    assert_true(fabsf(fw_path_project(p, 31, 0.5f, 20, &lateral) - 25) < 1e-2f);
    assert_true(fabsf(lateral - 0.5f) < 1e-2f); /* left is positive */
    free(p);
    fw_net_free(net);
}

static void path_changes_lanes_where_the_route_asks_for_it(void **state) {
    (void)state;
    fw_net *net = parse();
    const uint32_t route[] = {edge(net, "A"), edge(net, "N")};
    fw_path *p = build(net, route, 2, "A_0");
    assert_int_equal(p->change_count, 1);
    const fw_path_change *c = &p->changes[0];
    assert_int_equal(c->from_lane, lane(net, "A_0"));
    assert_int_equal(c->to_lane, lane(net, "A_1"));
    assert_true(c->u0_m >= 20 && c->u1_m <= 98 && c->u1_m - c->u0_m > 25);
    assert_true(c->u_enter_m > c->u0_m && c->u_enter_m < c->u1_m);
    assert_int_equal(fw_path_lane_at(p, 0, c->u0_m), lane(net, "A_0"));
    assert_int_equal(fw_path_lane_at(p, 0, c->u1_m), lane(net, "A_1"));
    const uint32_t last = p->point_count - 1;
    assert_true(fabsf(p->points[last].x_m - 110) < 0.2f);
    for (uint32_t i = 1; i < last; i++) { /* no corner that a car cannot drive */
        const float turn = remainderf(fw_path_yaw_at(p, 2 * (float)i + 0.5f) -
                                          fw_path_yaw_at(p, 2 * (float)i - 0.5f),
                                      6.2831853f);
        assert_true(fabsf(turn) < 0.5f);
    }
    free(p);
    fw_net_free(net);
}

static void a_route_that_no_lane_leads_is_refused(void **state) {
    (void)state;
    fw_net *net = parse();
    const uint32_t route[] = {edge(net, "S"), edge(net, "B")};
    fw_path *p = malloc(sizeof *p);
    fw_error error;
    fw_path_start start = {
        .edges = route, .edge_count = 2, .lane = lane(net, "S_0"), .position_m = 10, .front_m = 4};
    assert_int_equal(fw_path_build(net, &start, p, &error), FW_NOT_FOUND);
    const uint32_t late[] = {edge(net, "A"), edge(net, "N")}; /* no room for the change */
    start = (fw_path_start){late, 2, lane(net, "A_0"), 95, 4};
    assert_int_equal(fw_path_build(net, &start, p, &error), FW_NOT_FOUND);
    free(p);
    fw_net_free(net);
}

static void bad_files_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "<net>",
        "<net><lane id='x'/></net>",
        "<net><edge/></net>",
        "<net><edge id='a'><lane id='a_0' shape='1,1'/></edge></net>",
        "<net><edge id='a'><lane id='a_0' shape='nan,nan 1,1'/></edge></net>",
        "<net><edge id='a'><lane id='a_0' shape='0,0 1,1'/></edge>"
        "<connection from='a' to='b' fromLane='0' toLane='0'/></net>",
        "<net><edge id='a'><lane id='a_0' shape='0,0 1,1'/></edge>"
        "<connection from='a' to='a' fromLane='7' toLane='0'/></net>",
        "<net><connection from='a'/></net>",
        "<net><junction id='j' type='priority'><request index='5' response='0' "
        "foes='0'/></junction>"
        "</net>",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fw_net *net = NULL;
        fw_error error = {""};
        assert_int_equal(fw_net_parse(bad[i], strlen(bad[i]), "bad", &net, &error), FW_CORRUPT);
        assert_null(net);
        assert_true(strncmp(error.text, "bad", 3) == 0);
    }
    char *cut = malloc(sizeof city);
    for (size_t size = 0; size + 7 < sizeof city; size += 13) { /* truncated anywhere */
        fw_net *net = NULL;
        memcpy(cut, city, size);
        assert_int_equal(fw_net_parse(cut, size, "cut", &net, NULL), FW_CORRUPT);
    }
    free(cut);
}

/* Any three bytes of the file changed: refused or read, and what was read can be built upon. */
static void damaged_files_break_nothing(void **state) {
    (void)state;
    fw_random r = fw_random_named(9, "test/net");
    char *bytes = malloc(sizeof city);
    fw_path *path = malloc(sizeof *path);
    uint32_t read = 0;
    for (int i = 0; i < 4000; i++) {
        memcpy(bytes, city, sizeof city);
        for (int j = 0; j < 3; j++)
            bytes[fw_random_below(&r, sizeof city - 1)] = (char)('!' + fw_random_below(&r, 90));
        fw_net *net = NULL;
        fw_error error;
        if (fw_net_parse(bytes, sizeof city - 1, "damaged", &net, &error) != FW_OK) continue;
        read++;
        const uint32_t route[] = {edge(net, "A"), edge(net, "N")}, from = lane(net, "A_0");
        if (route[0] != FW_NET_NONE && route[1] != FW_NET_NONE && from != FW_NET_NONE &&
            net->lanes[from].edge == route[0]) {
            const fw_path_start start = {route, 2, from, 20, 4};
            const fw_status status = fw_path_build(net, &start, path, &error);
            assert_true(status == FW_OK || status == FW_NOT_FOUND);
            for (uint32_t k = 0; status == FW_OK && k < path->point_count; k++)
                assert_true(isfinite(path->points[k].x_m) && isfinite(path->u_m[k]));
        }
        fw_net_free(net);
    }
    assert_true(read > 100); /* the test looks at both */
    free(path);
    free(bytes);
}

static void names_survive_growth_and_removal(void **state) {
    (void)state;
    fw_names names = {0};
    char text[32];
    for (uint32_t i = 0; i < 5000; i++) {
        (void)snprintf(text, sizeof text, "veh_%u", i);
        fw_names_put(&names, fw_text_of(text), i);
        if (i < 100) continue;
        (void)snprintf(text, sizeof text, "veh_%u", i - 100);
        fw_names_remove(&names, fw_text_of(text));
        assert_int_equal(fw_names_find(&names, fw_text_of(text)), FW_NAME_NONE);
    }
    assert_int_equal(names.live, 100);
    assert_true(names.capacity <= 2048); /* removed ones do not pile up */
    assert_int_equal(fw_names_find(&names, fw_text_of("veh_4999")), 4999);
    fw_names_free(&names);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_and_links),
        cmocka_unit_test(right_of_way_reads_bits_from_the_right),
        cmocka_unit_test(a_waiting_place_has_a_right_of_way_of_its_own),
        cmocka_unit_test(path_is_a_grid_over_the_lanes),
        cmocka_unit_test(path_changes_lanes_where_the_route_asks_for_it),
        cmocka_unit_test(a_route_that_no_lane_leads_is_refused),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(damaged_files_break_nothing),
        cmocka_unit_test(names_survive_growth_and_removal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
