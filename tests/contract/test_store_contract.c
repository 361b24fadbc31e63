/* The promises of store/store.h about settling, ids, retries and campaigns, for each backend. */
#include "store_world.h"

#include "common/log.h"

/* ---- ids ------------------------------------------------------------------------------------- */

static void an_unknown_id_is_new(struct world *w)
{
    g_assert_cmpint(seen_seq(w, "e1"), ==, 0);
    settle_one(w, processed(1, "e1"));
    g_assert_cmpint(seen_seq(w, "e2"), ==, 0);
}

static void a_processed_id_is_seen_with_its_seq(struct world *w)
{
    struct store_outcome two[] = {processed(41, "e1"), processed(42, "e2")};

    settle(w, two, 2);
    g_assert_cmpint(seen_seq(w, "e1"), ==, 41);
    g_assert_cmpint(seen_seq(w, "e2"), ==, 42);
}

static void another_body_under_the_same_id_is_a_conflict(struct world *w)
{
    struct store_seen seen;

    settle_one(w, processed(5, "e1"));
    seen = see(w, SLICE("web"), SLICE("e1"), SLICE("another body"));
    g_assert_cmpint(seen.kind, ==, STORE_SEEN_CONFLICT);
    g_assert_cmpint(seen.seq, ==, 5);
}

static void the_source_is_part_of_the_id(struct world *w)
{
    struct store_outcome o = processed(1, "e1");

    o.source = (struct slice){0};
    settle_one(w, o);
    g_assert_cmpint(seen_seq(w, "e1"), ==, 0);
    g_assert_cmpint(see(w, (struct slice){0}, SLICE("e1"), SLICE("e1")).seq, ==, 1);
    settle_one(w, processed(2, "e1"));
    g_assert_cmpint(seen_seq(w, "e1"), ==, 2);
    /* The border between source and id counts. */
    g_assert_cmpint(see(w, SLICE("we"), SLICE("be1"), SLICE("e1")).seq, ==, 0);
}

static void ids_are_bytes(struct world *w)
{
    struct slice ids[] = {
        SLICE("a\0b"), SLICE("a\0c"), SLICE("a"), SLICE("h\xc3\xa9"), SLICE("\xf0\x9f\x92\xa5"),
        SLICE("A")};

    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        struct store_outcome o = processed((int64_t)i + 1, "x");

        o.event_id = ids[i];
        settle_one(w, o);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autoptr(GArray) rows = list_all(w, (struct store_query){.event_id = ids[i]});

        g_assert_cmpint(see(w, SLICE("web"), ids[i], SLICE("x")).seq, ==, i + 1);
        g_assert_cmpuint(rows->len, ==, 1);
        g_assert_true(slice_equal(row_at(rows, 0)->event_id, ids[i]));
    }
}

static void many_keys_are_answered_each(struct world *w)
{
    enum { COUNT = 500 };
    struct store_outcome *outcomes = ARENA_NEW(&w->arena, struct store_outcome, COUNT);
    struct store_key *keys = ARENA_NEW(&w->arena, struct store_key, COUNT);
    struct store_seen *seen = ARENA_NEW(&w->arena, struct store_seen, COUNT);

    for (int i = 0; i < COUNT; i++) {
        const char *id = arena_printf(&w->arena, "event-%d", i);

        outcomes[i] = processed(i + 1, id);
        keys[i] = (struct store_key){
            .source = SLICE("web"), .event_id = slice_text(id), .digest = hash128(slice_text(id))};
        if (i % 3 == 0)
            keys[i].source = SLICE("shop");
    }
    settle(w, outcomes, COUNT);
    g_assert_true(store_seen(w->s, keys, COUNT, seen, NULL));
    for (int i = 0; i < COUNT; i++)
        g_assert_cmpint(seen[i].seq, ==, i % 3 == 0 ? 0 : i + 1);
}

static void asking_for_nothing_is_fine(struct world *w)
{
    g_assert_true(store_seen(w->s, NULL, 0, NULL, NULL));
}

/* ---- settle ---------------------------------------------------------------------------------- */

static void settle_is_all_or_nothing(struct world *w)
{
    struct store_match match = {.campaign_id = SLICE("c"), .campaign_version = 1};
    struct store_outcome outcomes[] = {processed(1, "e1"), failed(2, "e2", "invalid"),
                                       retry(3, "e3", NOW), duplicate(4, "e4", 77)};

    outcomes[0].matches = &match;
    outcomes[0].match_count = 1;
    settle_refused(w, outcomes, 4, EF_ERROR_INPUT);
    g_assert_cmpint(seen_seq(w, "e1"), ==, 0);
    assert_list(w, "", .view = STORE_EVENTS);
    assert_list(w, "", .view = STORE_MATCHES);
    assert_list(w, "", .view = STORE_FAILURES);
    settle(w, outcomes, 3);
    g_assert_cmpint(seen_seq(w, "e1"), ==, 1);
}

static void a_processed_id_cannot_be_processed_again(struct world *w)
{
    struct store_outcome again[] = {processed(2, "e2"), processed(3, "e1")};

    settle_one(w, processed(1, "e1"));
    settle_refused(w, again, 2, EF_ERROR_CONFLICT);
    g_assert_cmpint(seen_seq(w, "e2"), ==, 0);
    again[1].source = SLICE("shop");
    settle(w, again, 2);
}

static void an_id_cannot_be_processed_twice_in_a_batch(struct world *w)
{
    struct store_outcome twice[] = {processed(1, "e1"), processed(2, "e2"), processed(3, "e1")};

    settle_refused(w, twice, 3, EF_ERROR_CONFLICT);
    assert_list(w, "", .view = STORE_EVENTS);
}

static void a_message_cannot_be_processed_twice(struct world *w)
{
    struct store_outcome other = processed(1, "e2");

    settle_one(w, processed(1, "e1"));
    settle_refused(w, &other, 1, EF_ERROR_INPUT);
    g_assert_cmpint(seen_seq(w, "e2"), ==, 0);
    g_assert_cmpint(seen_seq(w, "e1"), ==, 1);
}

static void a_campaign_matches_an_event_once(struct world *w)
{
    struct store_match matches[] = {{.campaign_id = SLICE("c"), .campaign_version = 1},
                                    {.campaign_id = SLICE("c"), .campaign_version = 2}};
    struct store_outcome o = processed(1, "e1");

    o.matches = matches;
    o.match_count = 2;
    settle_refused(w, &o, 1, EF_ERROR_INPUT);
    o.match_count = 1;
    settle_one(w, o);
}

static void duplicates_are_counted_on_the_first(struct world *w)
{
    struct store_outcome batch[] = {processed(1, "e1"), duplicate(2, "e1", 1)};
    g_autoptr(GArray) rows = NULL;

    settle(w, batch, 2);
    settle_one(w, duplicate(3, "e1", 1));
    rows = list_all(w, (struct store_query){.view = STORE_EVENTS});
    g_assert_cmpuint(rows->len, ==, 1);
    g_assert_cmpint(row_at(rows, 0)->duplicates, ==, 2);
    g_assert_cmpint(summary(w).duplicate, ==, 2);
    g_assert_cmpint(summary(w).processed, ==, 1);
}

static void a_duplicate_needs_its_first(struct world *w)
{
    struct store_outcome o = duplicate(2, "e1", 1);

    settle_refused(w, &o, 1, EF_ERROR_INPUT);
}

static void an_id_that_failed_can_be_processed_later(struct world *w)
{
    settle_one(w, failed(1, "e1", "invalid"));
    g_assert_cmpint(seen_seq(w, "e1"), ==, 0);
    settle_one(w, processed(2, "e1"));
    g_assert_cmpint(seen_seq(w, "e1"), ==, 2);
}

static void messages_may_end_out_of_order(struct world *w)
{
    settle_one(w, processed(9, "e9"));
    settle_one(w, processed(3, "e3"));
    settle_one(w, processed(6, "e6"));
    assert_list(w, "9 6 3", .view = STORE_EVENTS);
    g_assert_cmpint(seen_seq(w, "e3"), ==, 3);
}

static void failures_are_kept_whole(struct world *w)
{
    struct store_outcome o = failed(8, "e1", "invalid");
    const struct store_row *r;
    g_autoptr(GArray) rows = NULL;

    o.body = SLICE("{\"a\":\"\0 \xff\xfe\"}");
    settle_one(w, o);
    rows = list_all(w, (struct store_query){.view = STORE_FAILURES});
    r = row_at(rows, 0);
    g_assert_cmpint(r->seq, ==, 8);
    assert_slice(r->event_id, "e1");
    assert_slice(r->source, "web");
    assert_slice(r->event_type, "purchase");
    assert_slice(r->customer_id, "c1");
    assert_slice(r->correlation_id, "corr");
    assert_slice(r->reason, "invalid");
    assert_slice(r->error, "it does not fit");
    g_assert_true(slice_equal(r->body, o.body));
    g_assert_cmpint(r->attempt, ==, 3);
    g_assert_cmpint(r->received_at_us, ==, o.received_at_us);
    g_assert_cmpint(r->first_failed_at_us, ==, o.first_failed_at_us);
    g_assert_cmpint(r->last_failed_at_us, ==, o.finished_at_us);
    g_assert_cmpint(r->replayed_at_us, ==, 0);
}

static void a_failure_may_have_no_id(struct world *w)
{
    struct store_outcome two[] = {failed(1, "", "invalid"), failed(2, "", "invalid")};

    two[0].source = two[0].event_type = two[0].customer_id = (struct slice){0};
    settle(w, two, 2);
    assert_list(w, "2 1", .view = STORE_FAILURES);
}

static void the_position_never_goes_back(struct world *w)
{
    struct store_outcome o = processed(5, "e5");

    settle_one(w, processed(7, "e7"));
    g_assert_cmpint(summary(w).position, ==, 7);
    settle_one(w, o = processed(6, "e6"));
    g_assert_cmpint(summary(w).position, ==, 7);
    o = processed(9, "e9");
    g_assert_true(try_settle(w, &o, 1, 0, NULL)); /* 0: stays */
    g_assert_cmpint(summary(w).position, ==, 7);
    g_assert_true(try_settle(w, NULL, 0, 20, NULL)); /* nothing but the position */
    g_assert_cmpint(summary(w).position, ==, 20);
}

/* ---- replay ---------------------------------------------------------------------------------- */

static const struct store_row *only_failure(struct world *w, int64_t id, GArray **rows)
{
    *rows = list_all(w, (struct store_query){.view = STORE_FAILURES, .seq = id});
    return row_at(*rows, 0);
}

static void assert_replayed(struct world *w, int64_t id, int64_t by)
{
    g_autoptr(GArray) rows = NULL;
    const struct store_row *r = only_failure(w, id, &rows);

    g_assert_cmpint(r->replay_seq, ==, by);
    g_assert_cmpint(r->replayed_at_us != 0, ==, by != 0);
}

static void a_replay_marks_its_failure(struct world *w)
{
    struct store_outcome ends[] = {processed(11, "e1"), duplicate(12, "e1", 11),
                                   failed(13, "e3", "invalid")};

    for (int64_t i = 1; i <= 3; i++) {
        settle_one(w, failed(i, "e", "invalid"));
        ends[i - 1].replay_of = i;
    }
    settle(w, ends, 3);
    for (int64_t i = 1; i <= 3; i++)
        assert_replayed(w, i, 10 + i);
    g_assert_cmpint(summary(w).replayed, ==, 3);
    g_assert_cmpint(summary(w).failures_open, ==, 1);
    assert_list(w, "4", .view = STORE_FAILURES, .status = SLICE("open"));
    assert_list(w, "3 2 1", .view = STORE_FAILURES, .status = SLICE("replayed"));
}

static void a_refused_settlement_marks_no_failure(struct world *w)
{
    struct store_outcome two[] = {processed(2, "e1"), processed(3, "e1")};

    settle_one(w, failed(1, "e1", "invalid"));
    two[0].replay_of = 1;
    settle_refused(w, two, 2, EF_ERROR_CONFLICT);
    assert_replayed(w, 1, 0);
}

static void a_replay_that_is_retried_marks_nothing_yet(struct world *w)
{
    struct store_outcome o = retry(2, "e1", NOW);

    settle_one(w, failed(1, "e1", "invalid"));
    o.replay_of = 1;
    settle_one(w, o);
    assert_replayed(w, 1, 0);
}

static void a_failure_is_replayed_once(struct world *w)
{
    struct store_outcome first = processed(2, "e1"), second = duplicate(3, "e1", 2);

    settle_one(w, failed(1, "e1", "invalid"));
    first.replay_of = second.replay_of = 1;
    settle_one(w, first);
    settle_one(w, second);
    assert_replayed(w, 1, 2);
    g_assert_cmpint(summary(w).replayed, ==, 1);
}

/* ---- retries --------------------------------------------------------------------------------- */

/* The seqs of the retries due, "3 1". Owned by caller. */
static char *due(struct world *w, int64_t until_us, size_t max)
{
    GString *text = g_string_new(NULL);
    struct store_retry *rows;
    size_t count;

    g_assert_true(store_retries(w->s, until_us, max, &w->arena, &rows, &count, NULL));
    for (size_t i = 0; i < count; i++)
        g_string_append_printf(text, "%s%d", i > 0 ? " " : "", (int)rows[i].seq);
    return g_string_free(text, FALSE);
}

static void assert_due(struct world *w, int64_t until_us, size_t max, const char *expected)
{
    g_autofree char *seqs = due(w, until_us, max);

    g_assert_cmpstr(seqs, ==, expected);
}

static void retries_come_when_due_oldest_first(struct world *w)
{
    struct store_outcome three[] = {retry(1, "e1", NOW + 30), retry(2, "e2", NOW + 10),
                                    retry(3, "e3", NOW + 20)};

    assert_due(w, NOW + 100, 10, "");
    settle(w, three, 3);
    assert_due(w, NOW + 9, 10, "");
    assert_due(w, NOW + 20, 10, "2 3");
    assert_due(w, NOW + 100, 10, "2 3 1");
    assert_due(w, NOW + 100, 2, "2 3");
    g_assert_cmpint(summary(w).retrying, ==, 3);
}

static void a_retry_remembers_what_happened(struct world *w)
{
    struct store_retry *rows;
    size_t count;

    settle_one(w, retry(4, "e4", NOW + 5));
    g_assert_true(store_retries(w->s, NOW + 5, 10, &w->arena, &rows, &count, NULL));
    g_assert_cmpuint(count, ==, 1);
    g_assert_cmpint(rows[0].seq, ==, 4);
    g_assert_cmpint(rows[0].attempt, ==, 1);
    g_assert_cmpint(rows[0].due_us, ==, NOW + 5);
    g_assert_cmpint(rows[0].first_failed_at_us, ==, NOW + 1504);
    assert_slice(rows[0].error, "it does not fit");
}

static void a_later_retry_replaces_the_earlier(struct world *w)
{
    settle_one(w, retry(1, "e1", NOW + 10));
    settle_one(w, retry(1, "e1", NOW + 50));
    assert_due(w, NOW + 49, 10, "");
    assert_due(w, NOW + 50, 10, "1");
}

static void a_finished_message_is_not_tried_again(struct world *w)
{
    struct store_outcome ends[] = {processed(1, "e1"), duplicate(2, "e1", 1),
                                   failed(3, "e3", "exhausted")};

    for (int64_t i = 1; i <= 4; i++)
        settle_one(w, retry(i, "e", NOW));
    settle(w, ends, 3);
    assert_due(w, NOW, 10, "4");
    g_assert_cmpint(summary(w).retrying, ==, 1);
}

static int begin(struct world *w, int64_t seq, int64_t at_us)
{
    g_autoptr(GError) error = NULL;
    int attempt = 0;

    g_assert_true(store_begin_attempt(w->s, seq, at_us, &attempt, &error));
    g_assert_no_error(error);
    return attempt;
}

static void attempts_count_from_one(struct world *w)
{
    g_assert_cmpint(begin(w, 7, NOW), ==, 1);
    g_assert_cmpint(begin(w, 7, NOW), ==, 2);
    g_assert_cmpint(begin(w, 8, NOW), ==, 1);
    g_assert_cmpint(begin(w, 7, NOW), ==, 3);
    settle_one(w, processed(7, "e7"));
    g_assert_cmpint(begin(w, 8, NOW), ==, 2);
    assert_due(w, NOW, 10, "8");
}

static void an_attempt_continues_a_retry(struct world *w)
{
    struct store_outcome o = retry(7, "e7", NOW + 50);

    o.attempt = 2;
    settle_one(w, o);
    g_assert_cmpint(begin(w, 7, NOW + 40), ==, 3);
    assert_due(w, NOW + 40, 10, "7");
}

/* ---- campaigns ------------------------------------------------------------------------------- */

static void a_new_campaign_has_version_one(struct world *w)
{
    struct store_campaign c = must_change(w, STORE_CAMPAIGN_CREATE, "big");

    assert_slice(c.id, "big");
    assert_slice(c.name, "A name");
    assert_slice(c.status, "active");
    assert_slice(c.document, "{\"rules\":{}}");
    g_assert_cmpint(c.version, ==, 1);
    g_assert_cmpint(c.created_at_us, ==, NOW);
    g_assert_cmpint(c.updated_at_us, ==, NOW);
    g_assert_false(c.is_deleted);
    g_assert_cmpint(summary(w).campaigns_active, ==, 1);
}

static void an_id_is_taken_once(struct world *w)
{
    must_change(w, STORE_CAMPAIGN_CREATE, "big");
    change_refused(w, STORE_CAMPAIGN_CREATE, "big", 0, EF_ERROR_CONFLICT);
    must_change(w, STORE_CAMPAIGN_CREATE, "Big");
}

static void an_update_makes_the_next_version(struct world *w)
{
    struct store_campaign_write write = {.change = STORE_CAMPAIGN_UPDATE,
                                         .id = SLICE("big"),
                                         .name = SLICE("Gr\xc3\xb6\xc3\x9f"
                                                       "e"),
                                         .status = SLICE("paused"),
                                         .document = SLICE("{\"b\":\"\0\"}"),
                                         .at_us = NOW + 5};
    struct store_campaign c;

    must_change(w, STORE_CAMPAIGN_CREATE, "big");
    g_assert_true(store_write_campaign(w->s, &write, &w->arena, &c, NULL));
    g_assert_cmpint(c.version, ==, 2);
    g_assert_cmpint(c.created_at_us, ==, NOW);
    g_assert_cmpint(c.updated_at_us, ==, NOW + 5);
    g_assert_true(slice_equal(c.name, write.name));
    g_assert_true(slice_equal(c.document, write.document));
    g_assert_cmpint(summary(w).campaigns_active, ==, 0);
}

static void a_lost_update_is_refused(struct world *w)
{
    struct store_campaign c;

    must_change(w, STORE_CAMPAIGN_CREATE, "big");
    g_assert_true(change(w, STORE_CAMPAIGN_UPDATE, "big", 1, &c, NULL));
    g_assert_cmpint(c.version, ==, 2);
    change_refused(w, STORE_CAMPAIGN_UPDATE, "big", 1, EF_ERROR_CONFLICT);
    change_refused(w, STORE_CAMPAIGN_DELETE, "big", 1, EF_ERROR_CONFLICT);
    g_assert_true(change(w, STORE_CAMPAIGN_DELETE, "big", 2, NULL, NULL));
}

static void what_is_not_there_cannot_change(struct world *w)
{
    change_refused(w, STORE_CAMPAIGN_UPDATE, "big", 0, EF_ERROR_MISSING);
    change_refused(w, STORE_CAMPAIGN_DELETE, "big", 0, EF_ERROR_MISSING);
    must_change(w, STORE_CAMPAIGN_CREATE, "big");
    must_change(w, STORE_CAMPAIGN_DELETE, "big");
    change_refused(w, STORE_CAMPAIGN_UPDATE, "big", 0, EF_ERROR_MISSING);
    change_refused(w, STORE_CAMPAIGN_DELETE, "big", 0, EF_ERROR_MISSING);
}

static void a_deleted_campaign_keeps_its_versions(struct world *w)
{
    struct store_campaign c;

    must_change(w, STORE_CAMPAIGN_CREATE, "big");
    must_change(w, STORE_CAMPAIGN_UPDATE, "big");
    c = must_change(w, STORE_CAMPAIGN_DELETE, "big");
    g_assert_true(c.is_deleted);
    g_assert_cmpint(c.version, ==, 2);
    assert_list(w, "big@2 big@1", .view = STORE_VERSIONS, .campaign_id = SLICE("big"));
    g_assert_cmpint(summary(w).campaigns_active, ==, 0);
}

static void a_campaign_made_again_continues_its_versions(struct world *w)
{
    struct store_campaign c;

    must_change(w, STORE_CAMPAIGN_CREATE, "big");
    must_change(w, STORE_CAMPAIGN_DELETE, "big");
    c = must_change(w, STORE_CAMPAIGN_CREATE, "big");
    g_assert_cmpint(c.version, ==, 2);
    g_assert_false(c.is_deleted);
    assert_list(w, "big@2", .view = STORE_CAMPAIGNS);
}

static struct store_campaign_page load(struct world *w, int64_t since, const char *after,
                                       size_t max)
{
    struct store_campaign_range range = {since, slice_text(after), max};
    struct store_campaign_page page = {.count = 12345};
    g_autoptr(GError) error = NULL;

    g_assert_true(store_load_campaigns(w->s, &range, &w->arena, &page, &error));
    g_assert_no_error(error);
    return page;
}

/* "a@1 b@2- +": ids and versions in the order of the page, '-' deleted, '+' there are more. */
static void assert_page(const struct store_campaign_page *page, const char *expected)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (size_t i = 0; i < page->count; i++)
        g_string_append_printf(text, "%s%.*s@%" G_GINT64_FORMAT "%s", i > 0 ? " " : "",
                               SLICE_ARG(page->campaigns[i].id), page->campaigns[i].version,
                               page->campaigns[i].is_deleted ? "-" : "");
    g_string_append(text, page->has_more ? " +" : "");
    g_assert_cmpstr(text->str, ==, expected);
}

static void load_gives_the_newest_of_every_live_campaign(struct world *w)
{
    struct store_campaign_page page = load(w, STORE_CAMPAIGNS_ALL, NULL, 100);

    assert_page(&page, "");
    must_change(w, STORE_CAMPAIGN_CREATE, "b");
    must_change(w, STORE_CAMPAIGN_CREATE, "a");
    must_change(w, STORE_CAMPAIGN_CREATE, "c");
    must_change(w, STORE_CAMPAIGN_UPDATE, "b");
    must_change(w, STORE_CAMPAIGN_DELETE, "c");
    page = load(w, STORE_CAMPAIGNS_ALL, NULL, 100);
    assert_page(&page, "a@1 b@2");
    assert_slice(page.campaigns[1].document, "{\"rules\":{}}");
    assert_slice(page.campaigns[1].status, "active");
    g_assert_cmpint(page.generation, ==, summary(w).campaign_generation);
}

static void campaigns_are_loaded_page_by_page(struct world *w)
{
    struct store_campaign_page page;

    must_change(w, STORE_CAMPAIGN_CREATE, "d");
    must_change(w, STORE_CAMPAIGN_CREATE, "b");
    must_change(w, STORE_CAMPAIGN_CREATE, "a");
    must_change(w, STORE_CAMPAIGN_CREATE, "c");
    must_change(w, STORE_CAMPAIGN_DELETE, "b");
    page = load(w, STORE_CAMPAIGNS_ALL, NULL, 2);
    assert_page(&page, "a@1 c@1 +");
    g_assert_cmpint(page.generation, ==, 5);
    page = load(w, STORE_CAMPAIGNS_ALL, "c", 1);
    assert_page(&page, "d@1");
    page = load(w, STORE_CAMPAIGNS_ALL, "d", 1);
    assert_page(&page, "");
}

static void changes_since_a_generation_come_once_in_their_order(struct world *w)
{
    struct store_campaign_page page;

    must_change(w, STORE_CAMPAIGN_CREATE, "a"); /* 1 */
    must_change(w, STORE_CAMPAIGN_CREATE, "b");
    must_change(w, STORE_CAMPAIGN_CREATE, "c");
    must_change(w, STORE_CAMPAIGN_UPDATE, "a");
    must_change(w, STORE_CAMPAIGN_UPDATE, "a");
    must_change(w, STORE_CAMPAIGN_DELETE, "b"); /* 6 */
    change_refused(w, STORE_CAMPAIGN_DELETE, "b", 0, EF_ERROR_MISSING);
    page = load(w, 0, NULL, 100);
    assert_page(&page, "c@1 a@3 b@1-");
    page = load(w, 3, NULL, 100);
    assert_page(&page, "a@3 b@1-");
    g_assert_cmpint(page.generation, ==, 6);
    page = load(w, 3, NULL, 1);
    assert_page(&page, "a@3 +");
    g_assert_cmpint(page.generation, ==, 5);
    page = load(w, 5, NULL, 1);
    assert_page(&page, "b@1-");
    g_assert_cmpint(page.generation, ==, 6);
    page = load(w, 6, NULL, 1);
    assert_page(&page, "");
    g_assert_cmpint(page.generation, ==, 6);
    must_change(w, STORE_CAMPAIGN_CREATE, "b");
    page = load(w, 6, NULL, 1);
    assert_page(&page, "b@2");
}

/* Whatever changed: who follows the changes page by page ends with what a full load gives. */
static void changes_lead_to_what_a_full_load_gives(struct world *w)
{
    g_autoptr(GTree) followed = g_tree_new((GCompareFunc)(void (*)(void))g_strcmp0);
    struct store_campaign_page page = {0};

    for (int i = 0; i < 300; i++) {
        const char *id = arena_printf(&w->arena, "c%d", g_test_rand_int_range(0, 20));
        enum store_campaign_change kind = (enum store_campaign_change)g_test_rand_int_range(0, 3);

        change(w, kind, id, 0, NULL, NULL); /* may be refused */
        if (g_test_rand_int_range(0, 4) != 0)
            continue;
        do {
            page = load(w, page.generation, NULL, (size_t)g_test_rand_int_range(1, 5));
            for (size_t k = 0; k < page.count; k++) {
                char *key = arena_printf(&w->arena, "%.*s", SLICE_ARG(page.campaigns[k].id));

                if (page.campaigns[k].is_deleted)
                    g_tree_remove(followed, key);
                else
                    g_tree_replace(followed, key, GINT_TO_POINTER(page.campaigns[k].version));
            }
        } while (page.has_more);
        page = load(w, STORE_CAMPAIGNS_ALL, NULL, 100);
        g_assert_cmpint(g_tree_nnodes(followed), ==, page.count);
        for (size_t k = 0; k < page.count; k++) {
            char *key = arena_printf(&w->arena, "%.*s", SLICE_ARG(page.campaigns[k].id));

            g_assert_cmpint(GPOINTER_TO_INT(g_tree_lookup(followed, key)), ==,
                            page.campaigns[k].version);
        }
    }
}

static void the_active_ones_are_counted(struct world *w)
{
    struct store_campaign_write write = {.change = STORE_CAMPAIGN_UPDATE,
                                         .id = SLICE("a"),
                                         .status = SLICE("paused"),
                                         .document = SLICE("{}")};

    must_change(w, STORE_CAMPAIGN_CREATE, "a");
    must_change(w, STORE_CAMPAIGN_CREATE, "b");
    must_change(w, STORE_CAMPAIGN_UPDATE, "b");
    g_assert_cmpint(summary(w).campaigns_active, ==, 2);
    g_assert_true(store_write_campaign(w->s, &write, NULL, NULL, NULL));
    g_assert_true(store_write_campaign(w->s, &write, NULL, NULL, NULL));
    g_assert_cmpint(summary(w).campaigns_active, ==, 1);
    must_change(w, STORE_CAMPAIGN_DELETE, "a");
    g_assert_cmpint(summary(w).campaigns_active, ==, 1);
    must_change(w, STORE_CAMPAIGN_DELETE, "b");
    g_assert_cmpint(summary(w).campaigns_active, ==, 0);
    must_change(w, STORE_CAMPAIGN_CREATE, "a");
    g_assert_cmpint(summary(w).campaigns_active, ==, 1);
}

static void nobody_has_to_want_the_result(struct world *w)
{
    struct store_campaign_write write = {.change = STORE_CAMPAIGN_CREATE, .id = SLICE("big")};

    g_assert_true(store_write_campaign(w->s, &write, NULL, NULL, NULL));
    assert_list(w, "big@1", .view = STORE_CAMPAIGNS);
}

/* ---- summary, check, threads ----------------------------------------------------------------- */

static void the_summary_adds_up(struct world *w)
{
    GPtrArray *problems = g_ptr_array_new_with_free_func(g_free);
    struct store_summary sum;

    settle_matched(w, 1, "e1", "a b c");
    settle_matched(w, 2, "e2", "a");
    settle_one(w, duplicate(3, "e2", 2));
    settle_one(w, failed(4, "e4", "invalid"));
    settle_one(w, retry(5, "e5", NOW));
    settle_one(w, processed(6, "e6"));
    sum = summary(w);
    g_assert_cmpint(sum.processed, ==, 3);
    g_assert_cmpint(sum.matches, ==, 4);
    g_assert_cmpint(sum.duplicate, ==, 1);
    g_assert_cmpint(sum.failed, ==, 1);
    g_assert_cmpint(sum.retrying, ==, 1);
    g_assert_cmpint(sum.processed + sum.failed + sum.duplicate + sum.retrying, ==, sum.position);
    for (int level = STORE_CHECK_PING; level <= STORE_CHECK_FULL; level++)
        g_assert_true(store_check(w->s, (enum store_check)level, problems, NULL));
    g_assert_cmpuint(problems->len, ==, 0);
    g_ptr_array_unref(problems);
}

struct reader {
    struct world *w;
    int stop;
    int rounds;
};

static void count_row(const struct store_row *row, void *user)
{
    (void)row;
    ++*(int *)user;
}

/* Reads until told to stop; what it sees is always a whole number of settlements of ten. */
static void *read_all_the_time(void *data)
{
    struct reader *r = data;

    while (!g_atomic_int_get(&r->stop)) {
        struct store_query q = {.view = STORE_EVENTS, .limit = 10000};
        struct store_page page;
        struct arena a = {0};
        int rows = 0;

        g_assert_true(store_list(r->w->s, &q, &a, count_row, &rows, &page, NULL));
        g_assert_cmpint(rows % 10, ==, 0);
        arena_done(&a);
        g_atomic_int_inc(&r->rounds);
    }
    return NULL;
}

static void settle_ten(struct world *w, int64_t first_seq)
{
    struct store_outcome ten[10];

    for (int i = 0; i < 10; i++)
        ten[i] = processed(first_seq + i, arena_printf(&w->arena, "e%d", (int)(first_seq + i)));
    settle(w, ten, 10);
}

static void lists_see_whole_settlements(struct world *w)
{
    struct reader readers[2] = {{.w = w}, {.w = w}};
    GThread *threads[2];
    int64_t seq = 1;

    for (int i = 0; i < 2; i++)
        threads[i] = g_thread_new("reader", read_all_the_time, &readers[i]);
    while (seq < 300 || g_atomic_int_get(&readers[0].rounds) < 20 ||
           g_atomic_int_get(&readers[1].rounds) < 20) {
        settle_ten(w, seq);
        seq += 10;
        change(w, seq % 20 == 1 ? STORE_CAMPAIGN_CREATE : STORE_CAMPAIGN_DELETE, "c", 0, NULL,
               NULL);
    }
    for (int i = 0; i < 2; i++) {
        g_atomic_int_set(&readers[i].stop, 1);
        g_thread_join(threads[i]);
    }
    g_assert_cmpint(summary(w).processed, ==, seq - 1);
}

/* ---- after a restart ------------------------------------------------------------------------- */

static void ids_are_seen_after_reopen(struct world *w)
{
    struct store_outcome o = processed(3, "e1");

    settle_ten(w, 1);
    o.seq = 11;
    o.source = (struct slice){0};
    settle_one(w, o);
    world_reopen(w);
    for (int i = 1; i <= 10; i++)
        g_assert_cmpint(seen_seq(w, arena_printf(&w->arena, "e%d", i)), ==, i);
    g_assert_cmpint(see(w, (struct slice){0}, SLICE("e1"), SLICE("e1")).seq, ==, 11);
    o = processed(12, "e5");
    settle_refused(w, &o, 1, EF_ERROR_CONFLICT);
    assert_list(w, "11 1", .event_id = SLICE("e1"));
}

static void retries_and_attempts_survive(struct world *w)
{
    settle_one(w, retry(3, "e3", NOW + 10));
    g_assert_cmpint(begin(w, 5, NOW), ==, 1);
    world_reopen(w);
    assert_due(w, NOW + 10, 10, "5 3");
    g_assert_cmpint(begin(w, 5, NOW), ==, 2);
}

static void campaigns_survive(struct world *w)
{
    struct store_campaign_page page;

    must_change(w, STORE_CAMPAIGN_CREATE, "a");
    must_change(w, STORE_CAMPAIGN_CREATE, "b");
    must_change(w, STORE_CAMPAIGN_DELETE, "b");
    world_reopen(w);
    page = load(w, STORE_CAMPAIGNS_ALL, NULL, 100);
    assert_page(&page, "a@1");
    g_assert_cmpint(page.generation, ==, 3);
    page = load(w, 1, NULL, 100);
    assert_page(&page, "b@1-");
    g_assert_cmpint(must_change(w, STORE_CAMPAIGN_CREATE, "b").version, ==, 2);
}

static void the_summary_survives(struct world *w)
{
    struct store_summary before, after;

    settle_matched(w, 1, "e1", "a b");
    settle_one(w, failed(2, "e2", "invalid"));
    before = summary(w);
    world_reopen(w);
    after = summary(w);
    g_assert_cmpmem(&before, offsetof(struct store_summary, dedupe_on_disk), &after,
                    offsetof(struct store_summary, dedupe_on_disk));
}

static void failure_ids_are_never_used_again(struct world *w)
{
    settle_one(w, failed(1, "e1", "invalid"));
    world_reopen(w);
    settle_one(w, failed(2, "e2", "invalid"));
    assert_list(w, "2 1", .view = STORE_FAILURES);
}

static const struct promise promises[] = {
    PROMISE(an_unknown_id_is_new),
    PROMISE(a_processed_id_is_seen_with_its_seq),
    PROMISE(another_body_under_the_same_id_is_a_conflict),
    PROMISE(the_source_is_part_of_the_id),
    PROMISE(ids_are_bytes),
    PROMISE(many_keys_are_answered_each),
    PROMISE(asking_for_nothing_is_fine),
    PROMISE(settle_is_all_or_nothing),
    PROMISE(a_processed_id_cannot_be_processed_again),
    PROMISE(an_id_cannot_be_processed_twice_in_a_batch),
    PROMISE(a_message_cannot_be_processed_twice),
    PROMISE(a_campaign_matches_an_event_once),
    PROMISE(duplicates_are_counted_on_the_first),
    PROMISE(a_duplicate_needs_its_first),
    PROMISE(an_id_that_failed_can_be_processed_later),
    PROMISE(messages_may_end_out_of_order),
    PROMISE(failures_are_kept_whole),
    PROMISE(a_failure_may_have_no_id),
    PROMISE(the_position_never_goes_back),
    PROMISE(a_replay_marks_its_failure),
    PROMISE(a_refused_settlement_marks_no_failure),
    PROMISE(a_replay_that_is_retried_marks_nothing_yet),
    PROMISE(a_failure_is_replayed_once),
    PROMISE(retries_come_when_due_oldest_first),
    PROMISE(a_retry_remembers_what_happened),
    PROMISE(a_later_retry_replaces_the_earlier),
    PROMISE(a_finished_message_is_not_tried_again),
    PROMISE(attempts_count_from_one),
    PROMISE(an_attempt_continues_a_retry),
    PROMISE(a_new_campaign_has_version_one),
    PROMISE(an_id_is_taken_once),
    PROMISE(an_update_makes_the_next_version),
    PROMISE(a_lost_update_is_refused),
    PROMISE(what_is_not_there_cannot_change),
    PROMISE(a_deleted_campaign_keeps_its_versions),
    PROMISE(a_campaign_made_again_continues_its_versions),
    PROMISE(load_gives_the_newest_of_every_live_campaign),
    PROMISE(campaigns_are_loaded_page_by_page),
    PROMISE(changes_since_a_generation_come_once_in_their_order),
    PROMISE(changes_lead_to_what_a_full_load_gives),
    PROMISE(the_active_ones_are_counted),
    PROMISE(nobody_has_to_want_the_result),
    PROMISE(the_summary_adds_up),
    PROMISE(lists_see_whole_settlements),
    PROMISE_REOPEN(ids_are_seen_after_reopen),
    PROMISE_REOPEN(retries_and_attempts_survive),
    PROMISE_REOPEN(campaigns_survive),
    PROMISE_REOPEN(the_summary_survives),
    PROMISE_REOPEN(failure_ids_are_never_used_again),
};

static void backends_are_found_by_name(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++)
        g_assert_cmpstr(store_find_backend(backends[i].name)->name, ==, backends[i].name);
    g_assert_null(store_find_backend("mongodb"));
    g_assert_null(store_find_backend(""));
    store_close(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    g_test_add_func("/store/backends_are_found_by_name", backends_are_found_by_name);
    add_cases(promises, G_N_ELEMENTS(promises), G_N_ELEMENTS(backends));
    return g_test_run();
}
