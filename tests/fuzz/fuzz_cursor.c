/* cursor: any bytes as the cursor of every list. A text is taken only if it is the one that a list
 * writes for the place that was read; and whatever place a list may end at, its cursor leads there.
 *
 * The first eight bytes are also a number, and all bytes a campaign id, to be written and read. */
#include <stdint.h>
#include <string.h>

#include <glib.h>

#include "api/listing.h"
#include "core/campaign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char LETTERS[] = "cefmv";

/* What a query looks like where no cursor was read. */
#define UNTOUCHED INT64_C(-77)

static struct store_query fresh_query(void)
{
    return (struct store_query){.before = UNTOUCHED, .after = SLICE("untouched")};
}

/* The page that ends at the place of the query. */
static void check_taken(struct slice text, char letter, const struct store_query *query)
{
    struct store_page page = {.next = query->before, .next_after = query->after, .has_more = true};
    g_autofree char *again = listing_cursor_format(letter, &page);

    if (letter == 'c')
        g_assert_cmpint(query->before, ==, UNTOUCHED);
    else
        g_assert_cmpint(query->before, >, 0);
    if (!slice_equal(slice_text(again), text))
        g_error("cursor '%.*s' is taken, but is written as '%s'", SLICE_ARG(text), again);
}

/* Only the list whose letter it bears takes it, and a refused one sets nothing. */
static void check_text(struct slice text)
{
    for (const char *letter = LETTERS; *letter != '\0'; letter++) {
        struct store_query query = fresh_query();

        if (listing_cursor_parse(text, *letter, &query)) {
            g_assert_cmpint(text.data[0], ==, *letter);
            check_taken(text, *letter, &query);
        } else {
            g_assert_cmpint(query.before, ==, UNTOUCHED);
            g_assert_true(slice_equal(query.after, SLICE("untouched")));
        }
    }
}

/* A page ends at the row with that number; rows are numbered from 1. */
static void check_number(int64_t number)
{
    struct store_page page = {.next = number, .has_more = true};

    for (const char *letter = LETTERS + 1; *letter != '\0'; letter++) {
        g_autofree char *text = listing_cursor_format(*letter, &page);
        struct store_query query = fresh_query();
        bool taken = listing_cursor_parse(slice_text(text), *letter, &query);

        if (taken != (number > 0) || (taken && query.before != number))
            g_error("cursor '%s' is%s taken, and leads to %" G_GINT64_FORMAT, text,
                    taken ? "" : " not", query.before);
    }
}

/* ^[a-z0-9][a-z0-9-]{0,62}$ */
static bool is_id(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\0' ||
            strchr("abcdefghijklmnopqrstuvwxyz0123456789-", text.data[i]) == NULL)
            return false;
    }
    return text.size > 0 && text.size <= CAMPAIGN_ID_MAX && text.data[0] != '-';
}

static void check_id(struct slice id)
{
    struct store_page page = {.next_after = id, .has_more = true};
    struct store_query query = fresh_query();
    g_autofree char *text = NULL;

    if (!is_id(id))
        return;
    text = listing_cursor_format('c', &page);
    g_assert_true(listing_cursor_parse(slice_text(text), 'c', &query));
    g_assert_true(slice_equal(query.after, id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(size > 0 ? (const void *)data : "", size);
    int64_t number = 0;

    memcpy(&number, text.data, MIN(size, sizeof(number)));
    check_text(text);
    check_number(number);
    check_id(text);
    return 0;
}
