/* listing: what all list answers share: limit, cursor, time filters, and the page's end.
 *
 * The rows are written while the store hands them out, so a page is never held as rows and as
 * text. Paging goes by position, not by number of rows: what is added meanwhile shifts no page.
 * Deliberately missing: totals. Counting all rows would cost more than the page itself. */
#include "api/listing.h"

#include "common/rfc3339.h"
#include "core/campaign.h"

/* Decimal digits only, at most max. 19 digits always fit. After false *out is unchanged. */
static bool parse_number(struct slice text, int64_t max, int64_t *out)
{
    uint64_t value = 0;

    if (text.size == 0 || text.size > 19)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (value > (uint64_t)max)
        return false;
    *out = (int64_t)value;
    return true;
}

/* Campaigns are listed by id, everything else by a number that falls from page to page. */
bool listing_cursor_parse(struct slice text, char letter, struct store_query *query)
{
    struct slice rest;

    if (text.size < 2 || text.data[0] != letter)
        return false;
    rest = slice_of(text.data + 1, text.size - 1);
    if (letter != 'c') /* positions count from 1, and are written without zeros in front */
        return rest.data[0] != '0' && parse_number(rest, INT64_MAX, &query->before);
    if (!campaign_id_is_valid(rest))
        return false;
    query->after = rest;
    return true;
}

/* An absent parameter leaves *at_us alone. false: a 400 has been answered. */
static bool read_time(const struct request *req, struct response *res, const char *name,
                      int64_t *at_us)
{
    struct slice text;

    if (!request_query(req, name, &text))
        return true;
    if (rfc3339_parse(text, at_us))
        return true;
    response_problem(res, req, 400, "invalid-query", NULL,
                     "%s must be an RFC 3339 time such as 2026-11-21T10:00:00Z, not '%.*s' "
                     "(a '+' in the offset is written %%2B)",
                     name, SLICE_ARG(text));
    return false;
}

/* letter: of this list's cursors. Parameters that a list does not know were refused before. */
bool listing_read(const struct request *req, struct response *res, char letter,
                  struct store_query *query)
{
    struct slice text;
    int64_t limit = LISTING_LIMIT_DEFAULT;

    if (request_query(req, "limit", &text) &&
        (!parse_number(text, LISTING_LIMIT_MAX, &limit) || limit == 0)) {
        response_problem(res, req, 400, "invalid-query", NULL,
                         "limit must be a number from 1 to %d, not '%.*s'", LISTING_LIMIT_MAX,
                         SLICE_ARG(text));
        return false;
    }
    /* The store stops after LISTING_SCAN_MAX rows; the page is then short and its cursor goes on
     * from there. */
    query->limit = (size_t)limit;
    query->scan_max = LISTING_SCAN_MAX;
    if (request_query(req, "cursor", &text) && !listing_cursor_parse(text, letter, query)) {
        response_problem(res, req, 400, "invalid-query", NULL,
                         "cursor '%.*s' is not one of this list: take next_cursor of an answer as "
                         "it is",
                         SLICE_ARG(text));
        return false;
    }
    return read_time(req, res, "from", &query->from_us) &&
           read_time(req, res, "until", &query->until_us);
}

/* The slice lives in the request's arena. */
void listing_text(const struct request *req, const char *name, struct slice *out)
{
    struct slice text;

    if (request_query(req, name, &text))
        *out = text;
}

/* Where the rows of the running query go. */
struct listing_sink {
    struct json_writer *w;
    void (*write_row)(struct json_writer *w, const struct store_row *row);
};

/* The row is borrowed for the call. */
static void listing_take(const struct store_row *row, void *user)
{
    struct listing_sink *sink = user;

    sink->write_row(sink->w, row);
}

char *listing_cursor_format(char letter, const struct store_page *page)
{
    if (letter == 'c')
        return g_strdup_printf("c%.*s", SLICE_ARG(page->next_after));
    return g_strdup_printf("%c%" G_GINT64_FORMAT, letter, page->next);
}

/* "next_cursor": null ends the list, so a client need not compare counts with its limit. */
static void write_cursor(struct json_writer *w, enum store_view view, const struct store_page *page)
{
    static const char letters[] = {
        [STORE_EVENTS] = 'e',    [STORE_MATCHES] = 'm',  [STORE_FAILURES] = 'f',
        [STORE_CAMPAIGNS] = 'c', [STORE_VERSIONS] = 'v',
    };
    g_autofree char *text = NULL;

    if (page->has_more)
        text = listing_cursor_format(letters[view], page);
    json_put_string(w, "next_cursor", text);
}

/* When the query fails half-way, response_error drops what was written so far. */
void listing_answer(struct api *api, struct request *req, struct response *res, const char *name,
                    const struct store_query *query,
                    void (*write_row)(struct json_writer *w, const struct store_row *row))
{
    struct json_writer w;
    struct listing_sink sink = {.w = &w, .write_row = write_row};
    struct store_page page;
    g_autoptr(GError) error = NULL;

    json_writer_init(&w, res->body);
    json_open_object(&w);
    json_key(&w, name);
    json_open_array(&w);
    if (!store_list(api->store, query, &req->arena, listing_take, &sink, &page, &error)) {
        response_error(res, req, error);
        return;
    }
    json_close_array(&w);
    write_cursor(&w, query->view, &page);
    json_close_object(&w);
}
