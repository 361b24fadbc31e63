/* The promises of store/store.h about lists, for each backend. */
#include "store_world.h"

#include "common/log.h"

/* ---- a small world that most lists look at ----------------------------------------------------
 */

/* Events 1..8: customers c1 c2 c3 in turn, types purchase and view in turn, sources web and shop
 * by fours; matches of campaign "all" on every event, "odd" on odd ones. */
static void fill(struct world *w)
{
    static const char *const customers[] = {"c1", "c2", "c3"};
    struct store_match matches[] = {{SLICE("all"), 1, SLICE("[]")}, {SLICE("odd"), 2, SLICE("[]")}};

    for (int i = 1; i <= 8; i++) {
        struct store_outcome o = processed(i, arena_printf(&w->arena, "e%d", (i - 1) % 4 + 1));

        o.source = i <= 4 ? SLICE("web") : SLICE("shop");
        o.customer_id = slice_text(customers[i % 3]);
        o.event_type = i % 2 == 1 ? SLICE("purchase") : SLICE("view");
        o.matches = matches;
        o.match_count = i % 2 == 1 ? 2 : 1;
        settle_one(w, o);
    }
}

static void fill_failures(struct world *w)
{
    static const char *const reasons[] = {"invalid", "event_id_conflict", "exhausted"};

    for (int i = 1; i <= 6; i++) {
        struct store_outcome o =
            failed(10 + i, arena_printf(&w->arena, "f%d", (i + 1) / 2), reasons[i % 3]);

        o.customer_id = i <= 3 ? SLICE("c1") : SLICE("c2");
        o.event_type = i % 2 == 1 ? SLICE("purchase") : SLICE("view");
        o.source = i == 6 ? (struct slice){0} : SLICE("web");
        settle_one(w, o);
    }
}

/* ---- events ---------------------------------------------------------------------------------- */

static void an_empty_store_has_empty_lists(struct world *w)
{
    assert_list(w, "", .view = STORE_EVENTS);
    assert_list(w, "", .view = STORE_EVENTS, .event_id = SLICE("e1"));
    assert_list(w, "", .view = STORE_MATCHES);
    assert_list(w, "", .view = STORE_MATCHES, .campaign_id = SLICE("c"), .scan_max = 5);
    assert_list(w, "", .view = STORE_FAILURES);
    assert_list(w, "", .view = STORE_CAMPAIGNS);
    assert_list(w, "", .view = STORE_VERSIONS, .campaign_id = SLICE("c"));
}

static void events_come_newest_first(struct world *w)
{
    fill(w);
    assert_list(w, "8 7 6 5 4 3 2 1", .view = STORE_EVENTS);
    assert_list(w, "3", .view = STORE_EVENTS, .seq = 3);
    assert_list(w, "", .view = STORE_EVENTS, .seq = 9);
}

static void an_event_row_is_complete(struct world *w)
{
    g_autoptr(GArray) rows = NULL;
    const struct store_row *r;

    settle_matched(w, 4, "e4", "a b");
    rows = list_all(w, (struct store_query){.view = STORE_EVENTS, .event_id = SLICE("e4")});
    r = row_at(rows, 0);
    g_assert_cmpint(r->seq, ==, 4);
    assert_slice(r->event_id, "e4");
    assert_slice(r->source, "web");
    assert_slice(r->event_type, "purchase");
    assert_slice(r->customer_id, "c1");
    assert_slice(r->correlation_id, "corr");
    assert_slice(r->worker_id, "worker-1");
    g_assert_cmpint(r->at_us, ==, NOW + 4);
    g_assert_cmpint(r->received_at_us, ==, NOW + 1004);
    g_assert_cmpint(r->processed_at_us, ==, NOW + 2004);
    g_assert_cmpint(r->processing_us, ==, 77);
    g_assert_cmpint(r->attempt, ==, 1);
    g_assert_cmpint(r->match_count, ==, 2);
    g_assert_cmpint(r->duplicates, ==, 0);
}

static void events_are_filtered(struct world *w)
{
    fill(w);
    assert_list(w, "8 5 2", .view = STORE_EVENTS, .customer_id = SLICE("c3"));
    assert_list(w, "8 6 4 2", .view = STORE_EVENTS, .event_type = SLICE("view"));
    assert_list(w, "4 3 2 1", .view = STORE_EVENTS, .has_source = true, .source = SLICE("web"));
    assert_list(w, "", .view = STORE_EVENTS, .has_source = true);
    assert_list(w, "5 4 3", .view = STORE_EVENTS, .from_us = NOW + 3, .until_us = NOW + 6);
    assert_list(w, "5", .view = STORE_EVENTS, .customer_id = SLICE("c3"),
                .event_type = SLICE("purchase"));
    assert_list(w, "", .view = STORE_EVENTS, .customer_id = SLICE("c9"));
    assert_list(w, "2 1", .view = STORE_EVENTS, .before = 3);
}

static void events_are_found_by_id_in_every_source(struct world *w)
{
    fill(w);
    assert_list(w, "6 2", .view = STORE_EVENTS, .event_id = SLICE("e2"));
    assert_list(w, "6", .view = STORE_EVENTS, .event_id = SLICE("e2"), .has_source = true,
                .source = SLICE("shop"));
    assert_list(w, "", .view = STORE_EVENTS, .event_id = SLICE("e2"), .has_source = true);
    assert_list(w, "2", .view = STORE_EVENTS, .event_id = SLICE("e2"), .before = 6);
    assert_list(w, "", .view = STORE_EVENTS, .event_id = SLICE("e"));
    /* A look-up by id is not bounded by scan_max. */
    assert_list(w, "6 2", .view = STORE_EVENTS, .event_id = SLICE("e2"), .scan_max = 1);
}

static void a_full_page_says_where_to_go_on(struct world *w)
{
    g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(struct store_row));
    struct store_query q = {.view = STORE_EVENTS, .limit = 3};
    struct store_page page;

    fill(w);
    page = list_page(w, &q, rows);
    g_assert_true(page.has_more);
    g_assert_cmpint(page.next, ==, 6);
    q.before = page.next;
    page = list_page(w, &q, rows);
    g_assert_cmpint(page.next, ==, 3);
    q.before = page.next;
    page = list_page(w, &q, rows);
    g_assert_cmpuint(page.count, ==, 2);
    g_assert_false(page.has_more);
    q = (struct store_query){.view = STORE_EVENTS, .limit = 8};
    g_assert_false(list_page(w, &q, rows).has_more);
}

static void a_bounded_scan_says_where_to_go_on(struct world *w)
{
    g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(struct store_row));
    struct store_query q = {
        .view = STORE_EVENTS, .customer_id = SLICE("c3"), .limit = 10, .scan_max = 2};
    struct store_page page;

    fill(w);
    page = list_page(w, &q, rows); /* looks at 8 and 7 */
    g_assert_cmpuint(page.count, ==, 1);
    g_assert_true(page.has_more);
    g_assert_cmpint(page.next, ==, 7);
    q.before = 5;
    page = list_page(w, &q, rows); /* 4 and 3: nothing, but there is more */
    g_assert_cmpuint(page.count, ==, 0);
    g_assert_true(page.has_more);
    g_assert_cmpint(page.next, ==, 3);
    q.before = 3;
    page = list_page(w, &q, rows); /* 2 and 1: the end */
    g_assert_cmpuint(page.count, ==, 1);
    g_assert_false(page.has_more);
}

/* ---- matches --------------------------------------------------------------------------------- */

static void a_match_row_is_complete(struct world *w)
{
    g_autoptr(GArray) rows = NULL;
    const struct store_row *r;

    settle_matched(w, 4, "e4", "a");
    rows = list_all(w, (struct store_query){.view = STORE_MATCHES});
    r = row_at(rows, 0);
    g_assert_cmpint(r->seq, ==, 4);
    assert_slice(r->campaign_id, "a");
    g_assert_cmpint(r->campaign_version, ==, 7);
    assert_slice(r->outcome, "granted");
    assert_slice(r->rewards, "[{\"type\":\"points\"}]");
    g_assert_cmpint(r->matched_at_us, ==, NOW + 2004);
    assert_slice(r->event_id, "e4");
    assert_slice(r->source, "web");
    assert_slice(r->event_type, "purchase");
    assert_slice(r->customer_id, "c1");
    g_assert_cmpint(r->at_us, ==, NOW + 4);
}

static void matches_come_newest_first(struct world *w)
{
    fill(w);
    assert_list(w, "7:odd 5:odd 3:odd 1:odd", .view = STORE_MATCHES, .campaign_id = SLICE("odd"));
    assert_list(w, "8:all 7:odd 7:all 6:all 5:odd 5:all 4:all 3:odd 3:all 2:all 1:odd 1:all",
                .view = STORE_MATCHES);
    assert_list(w, "", .view = STORE_MATCHES, .campaign_id = SLICE("none"));
}

static void matches_are_filtered(struct world *w)
{
    fill(w);
    assert_list(w, "7:odd 7:all", .view = STORE_MATCHES, .seq = 7);
    assert_list(w, "7:all", .view = STORE_MATCHES, .seq = 7, .campaign_id = SLICE("all"));
    assert_list(w, "7:odd 7:all 3:odd 3:all", .view = STORE_MATCHES, .event_id = SLICE("e3"));
    assert_list(w, "3:odd 3:all", .view = STORE_MATCHES, .event_id = SLICE("e3"),
                .has_source = true, .source = SLICE("web"));
    assert_list(w, "5:odd", .view = STORE_MATCHES, .campaign_id = SLICE("odd"),
                .customer_id = SLICE("c3"));
    assert_list(w, "8:all 6:all", .view = STORE_MATCHES, .event_type = SLICE("view"),
                .from_us = NOW + 5);
    assert_list(w, "3:odd 1:odd", .view = STORE_MATCHES, .campaign_id = SLICE("odd"),
                .until_us = NOW + 5);
    assert_list(w, "1:odd", .view = STORE_MATCHES, .campaign_id = SLICE("odd"), .before = 3);
}

static void the_matches_of_one_event_are_not_parted(struct world *w)
{
    g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(struct store_row));
    struct store_query q = {.view = STORE_MATCHES, .limit = 2};
    struct store_page page;

    settle_matched(w, 1, "e1", "a");
    settle_matched(w, 2, "e2", "a b c d e");
    settle_matched(w, 3, "e3", "a");
    page = list_page(w, &q, rows);
    g_assert_cmpuint(page.count, ==, 6);
    g_assert_cmpint(page.next, ==, 2);
    g_assert_true(page.has_more);
    assert_list(w, "3:a 2:e 2:d 2:c 2:b 2:a 1:a", .view = STORE_MATCHES, .limit = 3);
    assert_list(w, "3:a 2:a 1:a", .view = STORE_MATCHES, .limit = 1, .campaign_id = SLICE("a"));
    assert_list(w, "2:e 2:d 2:c 2:b 2:a", .view = STORE_MATCHES, .limit = 1, .scan_max = 2,
                .event_id = SLICE("e2"));
}

/* The floor falls into the middle of an event's matches: the page has them all, and promises more
 * only when there is another event. */
static void a_bounded_scan_of_matches_ends_with_the_last_event(struct world *w)
{
    g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(struct store_row));
    struct store_query q = {
        .view = STORE_MATCHES, .customer_id = SLICE("c1"), .limit = 10, .scan_max = 1};
    struct store_page page;

    settle_matched(w, 1, "e1", "a b c");
    settle_matched(w, 2, "e2", "a b");
    page = list_page(w, &q, rows);
    g_assert_cmpuint(page.count, ==, 2);
    g_assert_true(page.has_more);
    g_assert_cmpint(page.next, ==, 2);
    q.before = page.next;
    page = list_page(w, &q, rows);
    g_assert_cmpuint(page.count, ==, 3);
    g_assert_false(page.has_more);
    g_assert_cmpint(page.next, ==, 0);
}

/* ---- failures -------------------------------------------------------------------------------- */

static void failures_are_filtered(struct world *w)
{
    fill_failures(w);
    assert_list(w, "6 5 4 3 2 1", .view = STORE_FAILURES);
    assert_list(w, "4", .view = STORE_FAILURES, .seq = 4);
    assert_list(w, "4 3", .view = STORE_FAILURES, .event_id = SLICE("f2"));
    assert_list(w, "6 3", .view = STORE_FAILURES, .reason = SLICE("invalid"));
    assert_list(w, "3 2 1", .view = STORE_FAILURES, .customer_id = SLICE("c1"));
    assert_list(w, "5 3 1", .view = STORE_FAILURES, .event_type = SLICE("purchase"));
    assert_list(w, "6", .view = STORE_FAILURES, .has_source = true);
    assert_list(w, "4 3", .view = STORE_FAILURES, .from_us = NOW + 2013, .until_us = NOW + 2015);
    assert_list(w, "3", .view = STORE_FAILURES, .reason = SLICE("invalid"), .before = 6);
    assert_list(w, "6 5 4 3 2 1", .view = STORE_FAILURES, .status = SLICE("open"));
    assert_list(w, "", .view = STORE_FAILURES, .status = SLICE("replayed"));
    assert_list(w, "", .view = STORE_FAILURES, .reason = SLICE("none"));
}

/* ---- campaigns ------------------------------------------------------------------------------- */

static void campaigns_come_by_id(struct world *w)
{
    must_change(w, STORE_CAMPAIGN_CREATE, "b");
    must_change(w, STORE_CAMPAIGN_CREATE, "a-b");
    must_change(w, STORE_CAMPAIGN_CREATE, "a");
    must_change(w, STORE_CAMPAIGN_CREATE, "c");
    must_change(w, STORE_CAMPAIGN_UPDATE, "c");
    must_change(w, STORE_CAMPAIGN_DELETE, "b");
    assert_list(w, "a@1 a-b@1 c@2", .view = STORE_CAMPAIGNS);
    assert_list(w, "a@1 a-b@1 c@2", .view = STORE_CAMPAIGNS, .limit = 1);
    assert_list(w, "c@2", .view = STORE_CAMPAIGNS, .after = SLICE("a-b"));
}

static void a_campaign_is_found_even_when_deleted(struct world *w)
{
    g_autoptr(GArray) rows = NULL;

    must_change(w, STORE_CAMPAIGN_CREATE, "b");
    must_change(w, STORE_CAMPAIGN_UPDATE, "b");
    must_change(w, STORE_CAMPAIGN_DELETE, "b");
    rows = list_all(w, (struct store_query){.view = STORE_CAMPAIGNS, .campaign_id = SLICE("b")});
    g_assert_true(row_at(rows, 0)->campaign.is_deleted);
    g_assert_cmpint(row_at(rows, 0)->campaign.version, ==, 2);
    assert_list(w, "", .view = STORE_CAMPAIGNS, .campaign_id = SLICE("c"));
}

static void campaigns_are_filtered_by_status(struct world *w)
{
    struct store_campaign_write write = {.change = STORE_CAMPAIGN_CREATE,
                                         .id = SLICE("sleeping"),
                                         .name = SLICE("n"),
                                         .status = SLICE("paused"),
                                         .document = SLICE("{}"),
                                         .at_us = NOW};

    must_change(w, STORE_CAMPAIGN_CREATE, "awake");
    g_assert_true(store_write_campaign(w->s, &write, NULL, NULL, NULL));
    assert_list(w, "sleeping@1", .view = STORE_CAMPAIGNS, .status = SLICE("paused"));
    assert_list(w, "awake@1", .view = STORE_CAMPAIGNS, .status = SLICE("active"));
    assert_list(w, "", .view = STORE_CAMPAIGNS, .status = SLICE("draft"));
}

static void versions_come_newest_first(struct world *w)
{
    must_change(w, STORE_CAMPAIGN_CREATE, "a");
    must_change(w, STORE_CAMPAIGN_CREATE, "b");
    for (int i = 0; i < 4; i++)
        must_change(w, STORE_CAMPAIGN_UPDATE, "a");
    assert_list(w, "a@5 a@4 a@3 a@2 a@1", .view = STORE_VERSIONS, .campaign_id = SLICE("a"));
    assert_list(w, "a@5 a@4 a@3 a@2 a@1", .view = STORE_VERSIONS, .campaign_id = SLICE("a"),
                .limit = 2);
    assert_list(w, "a@2 a@1", .view = STORE_VERSIONS, .campaign_id = SLICE("a"), .before = 3);
    assert_list(w, "", .view = STORE_VERSIONS, .campaign_id = SLICE("z"));
}

/* ---- nothing is left out, nothing comes twice -------------------------------------------------
 */

/* 150 messages with random members, some failed, some with many matches, seqs with holes. */
static void fill_randomly(struct world *w)
{
    static const char *const values[] = {"x", "y", "z", ""};
    static const char *const campaigns[] = {"a", "a b", "b", "a b c d", "d", "b c"};
    int64_t seq = 0;

    for (int i = 0; i < 150; i++) {
        const char *id = arena_printf(&w->arena, "e%d", i);

        seq += g_test_rand_int_range(1, 4);
        if (g_test_rand_int_range(0, 3) == 0) {
            struct store_outcome o = failed(seq, id, values[g_test_rand_int_range(0, 3)]);

            o.customer_id = slice_text(values[g_test_rand_int_range(0, 4)]);
            settle_one(w, o);
        } else if (g_test_rand_int_range(0, 2) == 0) {
            struct store_outcome o = processed(seq, id);

            o.customer_id = slice_text(values[g_test_rand_int_range(0, 4)]);
            settle_one(w, o);
        } else {
            settle_matched(w, seq, id, campaigns[g_test_rand_int_range(0, 6)]);
        }
    }
}

static struct store_query random_query(void)
{
    static const char *const customers[] = {"x", "y", "c1", "", ""};
    static const char *const reasons[] = {"x", "", ""};
    static const char *const campaigns[] = {"a", "d", "", ""};

    return (struct store_query){
        .view = (enum store_view)g_test_rand_int_range(STORE_EVENTS, STORE_CAMPAIGNS),
        .customer_id = slice_text(customers[g_test_rand_int_range(0, 5)]),
        .reason = slice_text(reasons[g_test_rand_int_range(0, 3)]),
        .campaign_id = slice_text(campaigns[g_test_rand_int_range(0, 4)]),
        .from_us = g_test_rand_int_range(0, 2) == 0 ? NOW + 50 : 0,
    };
}

static bool fits(const struct store_query *q, const struct store_row *r)
{
    int64_t at_us = q->view == STORE_FAILURES ? r->last_failed_at_us : r->at_us;

    return (q->customer_id.size == 0 || slice_equal(q->customer_id, r->customer_id)) &&
           (q->view != STORE_FAILURES || q->reason.size == 0 ||
            slice_equal(q->reason, r->reason)) &&
           (q->view != STORE_MATCHES || q->campaign_id.size == 0 ||
            slice_equal(q->campaign_id, r->campaign_id)) &&
           (q->from_us == 0 || at_us >= q->from_us);
}

/* Every page size and scan bound gives the same rows, and they are those that fit. */
static void paging_leaves_nothing_out_and_repeats_nothing(struct world *w)
{
    fill_randomly(w);
    for (int round = 0; round < 60; round++) {
        struct store_query q = random_query(), paged = q;
        g_autoptr(GArray) all = list_all(w, (struct store_query){.view = q.view});
        g_autofree char *whole = list_keys(w, q);
        g_autofree char *pages = NULL;
        guint fitting = 0;

        for (guint i = 0; i < all->len; i++)
            fitting += fits(&q, row_at(all, i));
        g_array_unref(g_steal_pointer(&all));
        all = list_all(w, q);
        g_assert_cmpuint(all->len, ==, fitting);
        paged.limit = (size_t)g_test_rand_int_range(1, 30);
        paged.scan_max = (size_t)g_test_rand_int_range(0, 40);
        pages = list_keys(w, paged);
        g_assert_cmpstr(pages, ==, whole);
    }
}

static const struct promise promises[] = {
    PROMISE(an_empty_store_has_empty_lists),
    PROMISE(events_come_newest_first),
    PROMISE(an_event_row_is_complete),
    PROMISE(events_are_filtered),
    PROMISE(events_are_found_by_id_in_every_source),
    PROMISE(a_full_page_says_where_to_go_on),
    PROMISE(a_bounded_scan_says_where_to_go_on),
    PROMISE(a_match_row_is_complete),
    PROMISE(matches_come_newest_first),
    PROMISE(matches_are_filtered),
    PROMISE(the_matches_of_one_event_are_not_parted),
    PROMISE(a_bounded_scan_of_matches_ends_with_the_last_event),
    PROMISE(failures_are_filtered),
    PROMISE(campaigns_come_by_id),
    PROMISE(a_campaign_is_found_even_when_deleted),
    PROMISE(campaigns_are_filtered_by_status),
    PROMISE(versions_come_newest_first),
    PROMISE(paging_leaves_nothing_out_and_repeats_nothing),
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    add_cases(promises, G_N_ELEMENTS(promises), G_N_ELEMENTS(backends));
    return g_test_run();
}
