/* handle_explain: why a stored event does not match a campaign, or how it does; and the same for a
 * campaign and an event that nobody has stored.
 *
 * Two things are kept apart in every answer: "decided" is what was written down when the event was
 * processed, and does not change; "judged" is what the version that was asked for says now. The
 * store does not keep which version said no, so only a match names the version that was in force.
 * Deliberately missing: asking the worker's snapshot. The store's documents are judged by the
 * reference evaluator, which the worker must agree with. */
#include "api/handlers.h"

#include "api/event_find.h"
#include "api/listing.h"
#include "common/clock.h"
#include "core/campaign.h"
#include "core/event.h"
#include "core/explain.h"
#include "core/unknown_field.h"

/* How many campaigns are read at once, so that no reader of the store is held while they are
 * judged. */
#define CHUNK_ROWS 20
/* A page ends early after this: a few patterns that are hard on purpose can take long. */
#define PAGE_TIME_US (500 * 1000)

/* The event that is judged. */
struct subject {
    struct found_event event;
    struct flat flat;
    bool is_readable; /* flat holds it */
    char *trouble;    /* why not; else NULL. Owned */
};

/* What the store knows of a match. */
struct stored_match {
    int64_t version;
    int64_t at_us;
};

/* ---- the event ------------------------------------------------------------------------------- */

/* The bytes were accepted once, or failed for being no JSON: then nothing can be judged. */
static void read_subject(struct subject *s)
{
    struct slice body = s->event.body;
    g_autoptr(GError) error = NULL;
    size_t used = 0;

    if (!s->event.has_body)
        s->trouble = g_strdup("the bytes of the event are no longer kept");
    else if (!flat_parse(&s->flat, body, 0, &used, &error))
        s->trouble = g_strdup_printf("the event is not valid JSON: %s", error->message);
    else if (json_scan_space(body.data + used, body.data + body.size) != body.data + body.size)
        s->trouble = g_strdup("the event is not valid JSON: something follows the document");
    s->is_readable = s->trouble == NULL;
}

static void subject_done(struct subject *s)
{
    flat_done(&s->flat);
    g_free(s->trouble);
}

/* false: 404 or another problem has been answered. Owns: subject_done, in both cases. */
static bool find_subject(struct api *api, struct request *req, struct response *res,
                         struct subject *s)
{
    *s = (struct subject){.trouble = NULL};
    flat_init(&s->flat);
    if (!event_find_asked(api, req, res, &s->event))
        return false;
    read_subject(s);
    return true;
}

/* How far the event got. A failed one never came to the campaigns. */
static const char *status_of(const struct found_event *event)
{
    if (event->ended_at_us == 0)
        return "waiting";
    return event->is_processed ? "processed" : "failed";
}

/* What stands at the head of every answer about a stored event. */
static void write_subject(struct json_writer *w, const struct found_event *event)
{
    json_put_text(w, "event_id", event->event_id);
    json_put_text(w, "source", event->shown_source);
    json_put_string(w, "state", event->state);
    json_put_integer(w, "seq", event->seq);
    json_put_time(w, "received_at", event->received_at_us);
}

/* Why it failed, if it did. */
static void write_failure(struct json_writer *w, const struct found_event *event)
{
    if (event->reason.size == 0)
        return;
    json_put_text(w, "failure", event->reason);
    json_put_text(w, "error", event->error);
}

/* ---- the decision ---------------------------------------------------------------------------- */

/* Of one campaign, of which this version is judged; match NULL: there is none. */
static void write_decided(struct json_writer *w, const struct found_event *event,
                          const struct store_campaign *version, const struct stored_match *match)
{
    const char *status = status_of(event);
    bool is_later = event->ended_at_us != 0 && version->updated_at_us > event->ended_at_us;

    if (event->is_processed)
        status = match != NULL ? "matched" : "not_matched";
    json_key(w, "decided");
    json_open_object(w);
    json_put_string(w, "status", status);
    json_put_time(w, "at", match != NULL ? match->at_us : event->ended_at_us);
    if (match != NULL)
        json_put_integer(w, "campaign_version", match->version);
    write_failure(w, event);
    if (is_later)
        json_put_string(w, "note", "the version that is judged was stored after this");
    json_close_object(w);
}

/* For store_list: campaign id to its match. */
static void take_match(const struct store_row *row, void *user)
{
    struct stored_match *match = g_new(struct stored_match, 1);

    *match = (struct stored_match){.version = row->campaign_version, .at_us = row->matched_at_us};
    g_hash_table_insert(user, g_strndup(row->campaign_id.data, row->campaign_id.size), match);
}

/* All matches of the event, or those of one campaign. One page has them all: the matches of an
 * event are never parted. */
static bool load_matches(struct api *api, const struct found_event *event, struct slice campaign_id,
                         GHashTable *matches, GError **error)
{
    struct store_query query = {
        .view = STORE_MATCHES, .seq = event->seq, .campaign_id = campaign_id, .limit = 1};
    struct store_page page;

    if (event->row.match_count == 0)
        return true;
    return store_list(api->store, &query, event->arena, take_match, matches, &page, error);
}

static GHashTable *new_matches(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

static const struct stored_match *find_match(GHashTable *matches, struct slice id)
{
    g_autofree char *key = g_strndup(id.data, id.size);

    return g_hash_table_lookup(matches, key);
}

/* ---- the judgement --------------------------------------------------------------------------- */

/* Nobody can say: matches is null, and the text says why. */
static void write_unjudged(struct json_writer *w, const char *text)
{
    json_key(w, "matches");
    json_add_null(w);
    json_put_string(w, "text", text);
    json_key(w, "reason");
    json_add_null(w);
}

/* The members of an explanation. A stored document that cannot be read is the worker's to log; here
 * it has no answer. */
static void write_judgement(struct json_writer *w, const struct subject *s,
                            const struct store_campaign *stored)
{
    struct problems problems;
    struct campaign *campaign;
    struct explanation e;
    struct arena scratch;

    if (!s->is_readable) {
        write_unjudged(w, s->trouble);
        return;
    }
    problems_init(&problems);
    arena_init(&scratch);
    campaign = campaign_parse(stored->document, stored->id, &problems);
    if (campaign != NULL) {
        explain_pattern(campaign_rules(campaign), &s->flat, &scratch, &e);
        explain_write(w, &e);
    } else {
        g_autofree char *all = problems_text(&problems);
        g_autofree char *text = g_strdup_printf("the stored campaign cannot be read: %s", all);

        write_unjudged(w, text);
    }
    campaign_free(campaign);
    arena_done(&scratch);
    problems_done(&problems);
}

/* ---- one campaign ---------------------------------------------------------------------------- */

/* Where take_campaign puts the row. */
struct found_campaign {
    struct store_campaign campaign; /* slices in the arena */
    bool is_found;
    struct arena *arena;
};

static struct store_campaign keep_campaign(const struct store_campaign *c, struct arena *a)
{
    struct store_campaign kept = *c;

    kept.id = arena_copy(a, c->id);
    kept.name = arena_copy(a, c->name);
    kept.status = arena_copy(a, c->status);
    kept.document = arena_copy(a, c->document);
    return kept;
}

/* For store_list. */
static void take_campaign(const struct store_row *row, void *user)
{
    struct found_campaign *found = user;

    found->campaign = keep_campaign(&row->campaign, found->arena);
    found->is_found = true;
}

/* The first campaign of a query; false: an error has been answered. */
static bool load_first(struct api *api, struct request *req, struct response *res,
                       const struct store_query *query, struct found_campaign *found)
{
    struct store_page page;
    g_autoptr(GError) error = NULL;

    *found = (struct found_campaign){.arena = &req->arena};
    if (store_list(api->store, query, &req->arena, take_campaign, found, &page, &error))
        return true;
    response_error(res, req, error);
    return false;
}

/* The version that was asked for, and the newest (also of a deleted campaign, of which the list has
 * the time of the deletion, so that its version is read apart). version 0: the newest. false: 404
 * or another problem has been answered. */
static bool load_version(struct api *api, struct request *req, struct response *res,
                         struct slice id, int64_t version, struct store_campaign *newest,
                         struct store_campaign *out)
{
    struct store_query head = {.view = STORE_CAMPAIGNS, .campaign_id = id, .limit = 1};
    struct store_query one = {.view = STORE_VERSIONS, .campaign_id = id, .limit = 1};
    struct found_campaign found;

    if (!load_first(api, req, res, &head, &found))
        return false;
    if (!found.is_found) {
        response_problem(res, req, 404, "not-found", NULL, "no campaign with the id '%.*s'",
                         SLICE_ARG(id));
        return false;
    }
    *newest = *out = found.campaign;
    if (!newest->is_deleted && (version == 0 || version == newest->version))
        return true;
    version = version == 0 ? newest->version : version;
    one.before =
        version < INT64_MAX ? version + 1 : INT64_MAX; /* versions below it, newest first */
    if (!load_first(api, req, res, &one, &found))
        return false;
    if (!found.is_found || found.campaign.version != version) {
        response_problem(res, req, 404, "not-found", NULL,
                         "the campaign '%.*s' has no version %" G_GINT64_FORMAT, SLICE_ARG(id),
                         version);
        return false;
    }
    *out = found.campaign;
    return true;
}

/* Which version it is, and whether it is what counts now. */
static void write_campaign(struct json_writer *w, const struct store_campaign *version,
                           const struct store_campaign *newest)
{
    json_key(w, "campaign");
    json_open_object(w);
    json_put_text(w, "id", version->id);
    json_put_text(w, "name", version->name);
    json_put_integer(w, "version", version->version);
    json_put_integer(w, "newest_version", newest->version);
    json_put_text(w, "status", version->status);
    json_put_time(w, "updated_at", version->updated_at_us);
    json_put_bool(w, "deleted", newest->is_deleted);
    json_close_object(w);
}

static void answer_one(struct response *res, const struct subject *s,
                       const struct store_campaign *version, const struct store_campaign *newest,
                       const struct stored_match *match)
{
    struct json_writer w;

    json_writer_init(&w, res->body);
    json_open_object(&w);
    write_subject(&w, &s->event);
    write_campaign(&w, version, newest);
    write_decided(&w, &s->event, version, match);
    json_key(&w, "judged");
    json_open_object(&w);
    json_put_time(&w, "at", clock_now_us());
    json_put_integer(&w, "campaign_version", version->version);
    write_judgement(&w, s, version);
    json_close_object(&w);
    json_close_object(&w);
}

/* One campaign, of any status and any version. */
static void explain_one(struct api *api, struct request *req, struct response *res,
                        const struct subject *s, struct slice id, int64_t version)
{
    struct store_campaign newest, chosen;
    g_autoptr(GHashTable) matches = new_matches();
    g_autoptr(GError) error = NULL;

    if (!load_version(api, req, res, id, version, &newest, &chosen))
        return;
    if (!load_matches(api, &s->event, id, matches, &error)) {
        response_error(res, req, error);
        return;
    }
    answer_one(res, s, &chosen, &newest, find_match(matches, id));
}

/* ---- all active ones ------------------------------------------------------------------------- */

/* One chunk of the list. The campaigns live in the arena. */
struct chunk {
    struct store_campaign campaigns[CHUNK_ROWS];
    size_t count;
    struct arena *arena;
};

/* For store_list. */
static void take_chunk(const struct store_row *row, void *user)
{
    struct chunk *chunk = user;

    chunk->campaigns[chunk->count++] = keep_campaign(&row->campaign, chunk->arena);
}

static void write_row(struct json_writer *w, const struct subject *s,
                      const struct store_campaign *c, GHashTable *matches)
{
    json_open_object(w);
    json_put_text(w, "campaign_id", c->id);
    json_put_text(w, "campaign_name", c->name);
    json_put_integer(w, "campaign_version", c->version);
    write_decided(w, &s->event, c, find_match(matches, c->id));
    write_judgement(w, s, c);
    json_close_object(w);
}

/* Writes rows until the page is full, or has taken long enough, or there are no more. page says
 * how it ended; next_after lives in the request's arena. */
static bool write_rows(struct api *api, struct request *req, struct json_writer *w,
                       const struct subject *s, GHashTable *matches, struct store_query query,
                       struct store_page *page, GError **error)
{
    int64_t end_us = clock_monotonic_us() + PAGE_TIME_US;
    size_t left = query.limit;
    struct arena scratch;
    bool is_ok = true;

    arena_init(&scratch);
    do {
        struct chunk chunk = {.arena = &scratch};

        arena_reset(&scratch);
        query.limit = MIN(left, CHUNK_ROWS);
        is_ok = store_list(api->store, &query, &req->arena, take_chunk, &chunk, page, error);
        for (size_t i = 0; is_ok && i < chunk.count; i++)
            write_row(w, s, &chunk.campaigns[i], matches);
        left -= chunk.count;
        query.after = page->next_after;
    } while (is_ok && page->has_more && left > 0 && clock_monotonic_us() < end_us);
    arena_done(&scratch);
    return is_ok;
}

static void explain_all(struct api *api, struct request *req, struct response *res,
                        const struct subject *s, const struct store_query *query)
{
    g_autoptr(GHashTable) matches = new_matches();
    g_autoptr(GError) error = NULL;
    g_autofree char *cursor = NULL;
    struct store_page page = {0};
    struct json_writer w;

    if (!load_matches(api, &s->event, (struct slice){0}, matches, &error)) {
        response_error(res, req, error);
        return;
    }
    json_writer_init(&w, res->body);
    json_open_object(&w);
    write_subject(&w, &s->event);
    json_key(&w, "decided");
    json_open_object(&w);
    json_put_string(&w, "status", status_of(&s->event));
    json_put_time(&w, "at", s->event.ended_at_us);
    json_put_integer(&w, "match_count", s->event.row.match_count);
    write_failure(&w, &s->event);
    json_close_object(&w);
    json_put_time(&w, "judged_at", clock_now_us());
    json_key(&w, "campaigns");
    json_open_array(&w);
    if (!write_rows(api, req, &w, s, matches, *query, &page, &error)) {
        response_error(res, req, error);
        return;
    }
    json_close_array(&w);
    if (page.has_more)
        cursor = listing_cursor_format('c', &page);
    json_put_string(&w, "next_cursor", cursor);
    json_close_object(&w);
}

/* ---- the question ---------------------------------------------------------------------------- */

/* What the query asks for. */
struct question {
    struct slice campaign_id; /* empty: all active ones */
    int64_t version;          /* 0: the newest */
    struct store_query list;  /* the page of all */
};

/* "1" and up. false: the 400 has been answered. */
static bool read_version(const struct request *req, struct response *res, int64_t *version)
{
    struct slice text;
    g_autofree char *digits = NULL;
    guint64 value;

    if (!request_query(req, "version", &text))
        return true;
    digits = g_strndup(text.data != NULL ? text.data : "", text.size);
    if (g_ascii_string_to_unsigned(digits, 10, 1, INT64_MAX, &value, NULL)) {
        *version = (int64_t)value;
        return true;
    }
    response_problem(res, req, 400, "invalid-query", NULL,
                     "version must be a number from 1, not '%s'", digits);
    return false;
}

/* Parameters that would have no effect are refused. false: the 400 has been answered. */
static bool read_question(const struct request *req, struct response *res, struct question *q)
{
    struct slice unused;
    bool is_one = request_query(req, "campaign", &q->campaign_id);

    q->list = (struct store_query){.view = STORE_CAMPAIGNS, .status = SLICE("active")};
    if (!read_version(req, res, &q->version) || !listing_read(req, res, 'c', &q->list))
        return false;
    if (is_one && q->campaign_id.size == 0) {
        response_problem(res, req, 400, "invalid-query", NULL, "campaign must be the id of one");
        return false;
    }
    if (is_one && (request_query(req, "limit", &unused) || request_query(req, "cursor", &unused))) {
        response_problem(res, req, 400, "invalid-query", NULL,
                         "limit and cursor are for the list of all campaigns; leave them or "
                         "campaign out");
        return false;
    }
    if (!is_one && q->version != 0) {
        response_problem(res, req, 400, "invalid-query", NULL,
                         "version needs the campaign it belongs to: campaign=ID");
        return false;
    }
    return true;
}

void handle_event_explain(struct api *api, struct request *req, struct response *res)
{
    struct question q = {.version = 0};
    struct subject s;

    if (!read_question(req, res, &q))
        return;
    if (find_subject(api, req, res, &s)) {
        if (q.campaign_id.size > 0)
            explain_one(api, req, res, &s, q.campaign_id, q.version);
        else
            explain_all(api, req, res, &s, &q.list);
    }
    subject_done(&s);
}

/* ---- a campaign and an event that are not stored --------------------------------------------- */

/* The two members of the request. source.data NULL: missing. */
struct test_parts {
    struct slice campaign; /* source text */
    struct slice event;
};

/* Splits the request; what is wrong is added. */
static void read_parts(const struct flat *request, struct test_parts *parts,
                       struct problems *problems)
{
    static const char *const names[] = {"campaign", "event"};
    struct slice *out[] = {&parts->campaign, &parts->event};

    for (size_t i = 0; i < request->member_count; i++) {
        const struct flat_member *m = &request->members[i];
        size_t k = 0;

        while (k < G_N_ELEMENTS(names) && !slice_equal(m->key, slice_text(names[k])))
            k++;
        if (k == G_N_ELEMENTS(names))
            unknown_field_add(problems, "#", m->key, names, G_N_ELEMENTS(names));
        else if (out[k]->data != NULL)
            problems_add(problems, k == 0 ? "#/campaign" : "#/event",
                         "stands here more than once; keep one");
        else
            *out[k] = m->source;
    }
    for (size_t k = 0; k < G_N_ELEMENTS(names); k++)
        if (out[k]->data == NULL)
            problems_add(problems, k == 0 ? "#/campaign" : "#/event", "is required");
}

/* Adds the problems of a document to those of the document around it. left_out: a pointer whose
 * problem is none here, or NULL. */
static void add_below(struct problems *to, const char *parent, const struct problems *from,
                      const char *left_out)
{
    for (size_t i = 0; i < from->count; i++) {
        g_autofree char *pointer = g_strconcat(parent, from->items[i].pointer + 1, NULL);

        if (left_out == NULL || !g_str_equal(pointer, left_out))
            problems_add(to, pointer, "%s", from->items[i].detail);
    }
    to->total += from->total - from->count;
}

/* NULL with problems below #/campaign. The limits are those of a campaign that is saved. */
static struct campaign *read_campaign(struct api *api, struct slice source,
                                      struct problems *problems)
{
    struct problems own;
    struct campaign *campaign;

    problems_init(&own);
    campaign = campaign_check(source, (struct slice){0}, &api->pattern_limits, &own);
    add_below(problems, "#/campaign", &own, NULL);
    problems_done(&own);
    return campaign;
}

static bool has_member(const struct flat *flat, struct slice name)
{
    for (size_t i = 0; i < flat->member_count; i++)
        if (slice_equal(flat->members[i].key, name))
            return true;
    return false;
}

/* The field rules of POST /events; only the id may be missing, as it decides nothing. Problems
 * stand below #/event. */
static void read_event(struct flat *flat, struct slice source, int64_t arrived_us,
                       struct problems *problems)
{
    struct problems own;
    struct event event;
    size_t used;
    bool needs_no_id;
    g_autoptr(GError) error = NULL;

    if (!flat_parse(flat, source, 0, &used, &error)) {
        problems_add(problems, "#/event", "%s", error->message);
        return;
    }
    problems_init(&own);
    event_decode(flat, source, arrived_us, "#", &event, &own);
    needs_no_id = flat->type == JSON_OBJECT && !has_member(flat, SLICE("event_id"));
    add_below(problems, "#/event", &own, needs_no_id ? "#/event/event_id" : NULL);
    problems_done(&own);
}

/* One document and nothing behind it; false: the 400 has been answered. */
static bool read_request(const struct request *req, struct response *res, struct flat *flat)
{
    const char *end = req->body.data + req->body.size;
    g_autoptr(GError) error = NULL;
    size_t used;

    if (!flat_parse(flat, req->body, 0, &used, &error))
        response_problem(res, req, 400, "invalid-json", NULL, "%s", error->message);
    else if (json_scan_space(req->body.data + used, end) != end)
        response_problem(res, req, 400, "invalid-json", NULL, "something follows the document");
    else
        return true;
    return false;
}

static void answer_test(struct response *res, const struct campaign *campaign,
                        const struct flat *event)
{
    struct explanation e;
    struct json_writer w;
    struct arena scratch;

    arena_init(&scratch);
    explain_pattern(campaign_rules(campaign), event, &scratch, &e);
    json_writer_init(&w, res->body);
    json_open_object(&w);
    explain_write(&w, &e);
    json_put_text(&w, "campaign_id", campaign_id(campaign));
    json_put_string(&w, "status", campaign_status_name(campaign_status(campaign)));
    json_put_raw(&w, "then", e.matches ? campaign_then(campaign) : SLICE("[]"));
    json_close_object(&w);
    arena_done(&scratch);
}

/* The status of the campaign plays no part: a draft is tested before it becomes active. */
void handle_campaign_test(struct api *api, struct request *req, struct response *res)
{
    struct test_parts parts = {.campaign = {0}};
    struct campaign *campaign = NULL;
    struct problems problems;
    struct flat request, event;

    problems_init(&problems);
    flat_init(&request);
    flat_init(&event);
    if (!read_request(req, res, &request))
        goto out;
    if (request.type != JSON_OBJECT)
        problems_add(&problems, "#", "must be an object with \"campaign\" and \"event\", not %s",
                     json_type_name(request.type));
    else
        read_parts(&request, &parts, &problems);
    if (parts.campaign.data != NULL)
        campaign = read_campaign(api, parts.campaign, &problems);
    if (parts.event.data != NULL)
        read_event(&event, parts.event, req->arrived_us, &problems);
    if (problems.total == 0)
        answer_test(res, campaign, &event);
    else
        response_problem(res, req, 422, "invalid-document", &problems,
                         "the test was not made: %zu problem%s", problems.total,
                         problems.total == 1 ? "" : "s");
out:
    campaign_free(campaign);
    flat_done(&event);
    flat_done(&request);
    problems_done(&problems);
}
