/* handle_campaigns: create, read, change and delete campaigns; every change makes a new version.
 *
 * The version is the ETag. Changes name the version they were made from (If-Match), and the
 * store writes only if it is still the newest: so of two people who edit at the same time one is
 * told. Documents are checked whole before they are stored, whatever way they came.
 * Deliberately missing: telling the worker. It sees the store's new generation by itself
 * (campaigns.h). */
#include "api/handlers.h"

#include "api/listing.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/json.h"
#include "core/campaign.h"

/* Each loser means a winner, so eight lost races in a row are as good as never. */
#define PATCH_TRIES 8 /* a PATCH without If-Match starts over when somebody else was faster */

/* What If-Match (or PUT's If-None-Match: *) asks for. */
struct precondition {
    int64_t version;     /* 0: any */
    bool is_create_only; /* If-None-Match: *, the campaign must not exist yet */
    bool must_exist;     /* If-Match was given, so a missing one is 412 */
};

/* Strong tags only ("3"): we never send a weak one. After false *version is unchanged. */
static bool parse_etag(struct slice text, int64_t *version)
{
    g_autofree char *digits = NULL;
    guint64 value;

    if (text.size < 3 || text.data[0] != '"' || text.data[text.size - 1] != '"')
        return false;
    digits = g_strndup(text.data + 1, text.size - 2);
    if (!g_ascii_string_to_unsigned(digits, 10, 1, INT64_MAX, &value, NULL))
        return false;
    *version = (int64_t)value;
    return true;
}

/* Source: RFC 9110 section 13.1. false: the 400 has been answered. A list of tags is not taken,
 * since each campaign has one current version only. */
static bool read_precondition(const struct request *req, struct response *res,
                              struct precondition *out)
{
    struct slice match = request_header(req, "If-Match");
    struct slice none = request_header(req, "If-None-Match");

    *out = (struct precondition){0};
    out->is_create_only = slice_equal(none, SLICE("*"));
    if (match.data == NULL)
        return true;
    out->must_exist = true;
    if (slice_equal(match, SLICE("*")) || parse_etag(match, &out->version))
        return true;
    response_problem(res, req, 400, "invalid-header", NULL,
                     "If-Match must be the ETag of an earlier answer, such as \"3\" with its "
                     "quotes, or *");
    return false;
}

/* Always the version of what is in the body. */
static void put_etag(struct request *req, struct response *res, int64_t version)
{
    response_header(res, "ETag",
                    slice_text(arena_printf(&req->arena, "\"%" G_GINT64_FORMAT "\"", version)));
}

/* The document with the server-made fields behind its own. The members keep the text and order of
 * the stored document, which the client may have laid out. */
static void write_campaign(struct json_writer *w, const struct store_campaign *c)
{
    struct arena scratch;
    const struct json_value *document;

    arena_init(&scratch);
    document = json_parse(c->document, &scratch, NULL);
    json_open_object(w);
    for (const struct json_value *m = document != NULL ? document->first : NULL; m != NULL;
         m = m->next) {
        json_key_slice(w, m->key);
        json_add_raw(w, m->source);
    }
    json_put_integer(w, "version", c->version);
    json_put_time(w, "created_at", c->created_at_us);
    json_put_time(w, "updated_at", c->updated_at_us);
    if (c->is_deleted)
        json_put_bool(w, "deleted", true);
    json_close_object(w);
    arena_done(&scratch);
}

/* For listing_answer. */
static void write_campaign_row(struct json_writer *w, const struct store_row *row)
{
    write_campaign(w, &row->campaign);
}

/* Location only for a new one: RFC 9110 section 10.2.2. */
static void answer_campaign(struct request *req, struct response *res, int status,
                            const struct store_campaign *c)
{
    struct json_writer w;

    json_writer_init(&w, res->body);
    write_campaign(&w, c);
    put_etag(req, res, c->version);
    res->status = status;
    if (status == 201)
        response_header(res, "Location",
                        slice_text(arena_printf(&req->arena, "/campaigns/%.*s", SLICE_ARG(c->id))));
}

/* Parses the document; on failure the 400 or 422 has been answered. Parsed twice: once for JSON at
 * all (400), once for the language (422). limits: of the rules. default_id: of the path, empty when
 * the document must name it. Owned by caller (campaign_free). */
static struct campaign *read_document(struct request *req, struct response *res,
                                      struct slice document, struct slice default_id,
                                      const struct pattern_limits *limits)
{
    struct problems problems;
    struct campaign *campaign;
    g_autoptr(GError) error = NULL;

    if (json_parse(document, &req->arena, &error) == NULL) {
        response_problem(res, req, 400, "invalid-json", NULL, "%s", error->message);
        return NULL;
    }
    problems_init(&problems);
    campaign = campaign_check(document, default_id, limits, &problems);
    if (campaign == NULL)
        response_problem(res, req, 422, "invalid-campaign", &problems,
                         "the campaign was not saved: %zu problem%s", problems.total,
                         problems.total == 1 ? "" : "s");
    problems_done(&problems);
    return campaign;
}

/* A lost update is 412 when the client asked for the check, else 409. With If-Match a missing
 * campaign is a failed precondition as well, not a 404. */
static void answer_write_error(struct request *req, struct response *res,
                               const struct precondition *pre, const GError *error)
{
    bool is_conflict = g_error_matches(error, EF_ERROR, EF_ERROR_CONFLICT);
    bool is_missing = g_error_matches(error, EF_ERROR, EF_ERROR_MISSING);

    if (pre->must_exist && (is_conflict || is_missing))
        response_problem(res, req, 412, "precondition-failed", NULL,
                         "%s; read it again and repeat the change", error->message);
    else if (pre->is_create_only && is_conflict)
        response_problem(res, req, 412, "precondition-failed", NULL, "%s", error->message);
    else
        response_error(res, req, error);
}

/* Fills the columns from the checked document, so that the two can never differ. saved lives in the
 * request's arena. */
static bool save(struct api *api, struct request *req, const struct campaign *campaign,
                 struct store_campaign_write write, struct store_campaign *saved, GError **error)
{
    write.id = campaign_id(campaign);
    write.name = campaign_name(campaign);
    write.status = slice_text(campaign_status_name(campaign_status(campaign)));
    write.document = campaign_document(campaign);
    write.at_us = clock_now_us();
    return store_write_campaign(api->store, &write, &req->arena, saved, error);
}

/* The id is the document's; none is made up. */
void handle_campaign_create(struct api *api, struct request *req, struct response *res)
{
    struct campaign *campaign =
        read_document(req, res, req->body, (struct slice){0}, &api->pattern_limits);
    struct precondition none = {0};
    struct store_campaign saved;
    g_autoptr(GError) error = NULL;

    if (campaign == NULL)
        return;
    if (save(api, req, campaign, (struct store_campaign_write){.change = STORE_CAMPAIGN_CREATE},
             &saved, &error))
        answer_campaign(req, res, 201, &saved);
    else
        answer_write_error(req, res, &none, error);
    campaign_free(campaign);
}

/* A misspelt status is refused: it would answer with an empty list. */
void handle_campaign_list(struct api *api, struct request *req, struct response *res)
{
    struct store_query query = {.view = STORE_CAMPAIGNS};
    enum campaign_status status;

    if (!listing_read(req, res, 'c', &query))
        return;
    listing_text(req, "status", &query.status);
    if (query.status.size > 0 && !campaign_status_parse(query.status, &status)) {
        response_problem(res, req, 400, "invalid-query", NULL,
                         "status must be draft, active, paused or ended, not '%.*s'",
                         SLICE_ARG(query.status));
        return;
    }
    listing_answer(api, req, res, "campaigns", &query, write_campaign_row);
}

/* ---- one campaign ---------------------------------------------------------------------------- */

/* Where take_campaign puts the row. */
struct found_campaign {
    struct store_campaign campaign; /* slices in the arena */
    bool is_found;
    struct arena *arena;
};

/* The row's slices are borrowed for the call, so the two that are used later are copied. */
static void take_campaign(const struct store_row *row, void *user)
{
    struct found_campaign *found = user;

    found->campaign = row->campaign;
    found->campaign.id = arena_copy(found->arena, row->campaign.id);
    found->campaign.document = arena_copy(found->arena, row->campaign.document);
    found->is_found = true;
}

/* The campaign of the path; false: 404 or another problem has been answered. with_deleted: a
 * deleted one is found as well. *out lives in the request's arena. */
static bool load_campaign(struct api *api, struct request *req, struct response *res,
                          bool with_deleted, struct store_campaign *out)
{
    struct found_campaign found = {.arena = &req->arena};
    struct store_query query = {.view = STORE_CAMPAIGNS, .campaign_id = req->params[0], .limit = 1};
    struct store_page page;
    g_autoptr(GError) error = NULL;

    if (!store_list(api->store, &query, &req->arena, take_campaign, &found, &page, &error)) {
        response_error(res, req, error);
        return false;
    }
    if (!found.is_found || (found.campaign.is_deleted && !with_deleted)) {
        response_problem(res, req, 404, "not-found", NULL, "no campaign with the id '%.*s'",
                         SLICE_ARG(req->params[0]));
        return false;
    }
    *out = found.campaign;
    return true;
}

void handle_campaign_show(struct api *api, struct request *req, struct response *res)
{
    struct store_campaign campaign;

    if (load_campaign(api, req, res, false, &campaign))
        answer_campaign(req, res, 200, &campaign);
}

/* Update; where the campaign does not exist and may be made, create. *status: 200 or 201. Update
 * first, since most PUTs change something. Between the two tries somebody may create the campaign:
 * then the create answers CONFLICT. */
static bool replace(struct api *api, struct request *req, const struct campaign *campaign,
                    const struct precondition *pre, struct store_campaign *saved, int *status,
                    GError **error)
{
    struct store_campaign_write update = {.change = STORE_CAMPAIGN_UPDATE,
                                          .expected_version = pre->version};
    struct store_campaign_write create = {.change = STORE_CAMPAIGN_CREATE};

    *status = 200;
    if (!pre->is_create_only) {
        if (save(api, req, campaign, update, saved, error))
            return true;
        /* With If-Match the client wants to change something, not to make it. */
        if (pre->must_exist || !g_error_matches(*error, EF_ERROR, EF_ERROR_MISSING))
            return false;
        g_clear_error(error);
    }
    *status = 201;
    return save(api, req, campaign, create, saved, error);
}

/* The id of the path stands for one that the document does not name. */
void handle_campaign_replace(struct api *api, struct request *req, struct response *res)
{
    struct precondition pre;
    struct campaign *campaign;
    struct store_campaign saved;
    int status;
    g_autoptr(GError) error = NULL;

    if (!read_precondition(req, res, &pre))
        return;
    campaign = read_document(req, res, req->body, req->params[0], &api->pattern_limits);
    if (campaign == NULL)
        return;
    if (replace(api, req, campaign, &pre, &saved, &status, &error))
        answer_campaign(req, res, status, &saved);
    else
        answer_write_error(req, res, &pre, error);
    campaign_free(campaign);
}

/* Rules that a patch leaves as they are passed the limits when they were saved. Without this a
 * campaign could not even be paused once a limit was lowered. */
static const struct pattern_limits *patch_limits(const struct api *api,
                                                 const struct json_value *patch)
{
    return json_get(patch, SLICE("rules")) != NULL ? &api->pattern_limits : &CAMPAIGN_LIMITS_STORED;
}

/* One try: read, merge, check, write if nobody was faster. false: somebody was, start over. The
 * merged document is checked like any other: a patch cannot bring a campaign into a state that a
 * PUT would refuse. */
static bool patch_once(struct api *api, struct request *req, struct response *res,
                       const struct json_value *patch, const struct precondition *pre)
{
    struct store_campaign current;
    struct store_campaign saved;
    struct store_campaign_write write = {.change = STORE_CAMPAIGN_UPDATE};
    struct json_writer w;
    struct campaign *campaign;
    g_autoptr(GString) merged = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    bool is_done = true;

    if (!load_campaign(api, req, res, false, &current))
        return true;
    /* Also without If-Match: what was merged is only good for the version that was read. */
    write.expected_version = pre->version != 0 ? pre->version : current.version;
    json_writer_init(&w, merged);
    json_add_value(
        &w, json_merge_patch(json_parse(current.document, &req->arena, NULL), patch, &req->arena));
    /* A refused patch is the client's fault even if the document was changed meanwhile: no other
     * try. */
    campaign = read_document(req, res, slice_of(merged->str, merged->len), req->params[0],
                             patch_limits(api, patch));
    if (campaign == NULL)
        return true;
    if (save(api, req, campaign, write, &saved, &error))
        answer_campaign(req, res, 200, &saved);
    else if (pre->version == 0 && g_error_matches(error, EF_ERROR, EF_ERROR_CONFLICT))
        is_done = false;
    else
        answer_write_error(req, res, pre, error);
    campaign_free(campaign);
    return is_done;
}

/* Without If-Match a race is nobody's fault and is run again from the newest version. */
void handle_campaign_patch(struct api *api, struct request *req, struct response *res)
{
    struct precondition pre;
    const struct json_value *patch;
    g_autoptr(GError) error = NULL;

    if (!read_precondition(req, res, &pre))
        return;
    patch = json_parse(req->body, &req->arena, &error);
    if (patch == NULL) {
        response_problem(res, req, 400, "invalid-json", NULL, "%s", error->message);
        return;
    }
    if (patch->type != JSON_OBJECT) {
        response_problem(res, req, 422, "invalid-campaign", NULL,
                         "a merge patch for a campaign is an object (RFC 7396), not %s",
                         json_type_name(patch->type));
        return;
    }
    for (int i = 0; i < PATCH_TRIES; i++)
        if (patch_once(api, req, res, patch, &pre))
            return;
    response_problem(res, req, 409, "conflict", NULL,
                     "the campaign kept changing meanwhile; try again");
}

/* Deleting is a version, too: the history stays. */
void handle_campaign_delete(struct api *api, struct request *req, struct response *res)
{
    struct precondition pre;
    struct store_campaign_write write = {.change = STORE_CAMPAIGN_DELETE, .id = req->params[0]};
    g_autoptr(GError) error = NULL;

    if (!read_precondition(req, res, &pre))
        return;
    write.expected_version = pre.version;
    write.at_us = clock_now_us();
    if (store_write_campaign(api->store, &write, &req->arena, NULL, &error))
        res->status = 204;
    else
        answer_write_error(req, res, &pre, error);
}

/* load_campaign only answers the 404; the rows come from the list. */
void handle_campaign_versions(struct api *api, struct request *req, struct response *res)
{
    struct store_query query = {.view = STORE_VERSIONS, .campaign_id = req->params[0]};
    struct store_campaign newest;

    if (!listing_read(req, res, 'v', &query) || !load_campaign(api, req, res, true, &newest))
        return;
    listing_answer(api, req, res, "versions", &query, write_campaign_row);
}
