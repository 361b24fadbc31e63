/* listing: what all list answers share: limit, cursor, time filters, and the page's end.
 *
 * A cursor is opaque to clients: one letter for the list it belongs to, then the place to go on
 * (a position, or a campaign id). A cursor of another list is refused, not misread.
 */
#ifndef API_LISTING_H
#define API_LISTING_H

#include <stdbool.h>

#include "api/api.h"
#include "api/request.h"
#include "common/json.h"
#include "store/store.h"

/* Rows of a page when the client does not say. */
#define LISTING_LIMIT_DEFAULT 50
#define LISTING_LIMIT_MAX     1000
#define LISTING_SCAN_MAX      200000 /* rows looked at for one page of an unindexed filter */

/* Reads limit, cursor, from and until into the query. false: a 400 has been answered. */
bool listing_read(const struct request *req, struct response *res, char letter,
                  struct store_query *query);

/* Reads a text filter; absent leaves it empty. */
void listing_text(const struct request *req, const char *name, struct slice *out);

/* Runs the query: {"<name>":[rows…],"next_cursor":…}. write_row writes one JSON object. */
void listing_answer(struct api *api, struct request *req, struct response *res, const char *name,
                    const struct store_query *query,
                    void (*write_row)(struct json_writer *w, const struct store_row *row));

/* Fuzzed: reads a cursor as listing_cursor_format writes it, and no other text; the fields of query
 * are set only then. letter 'c' fills after (borrowed from text), the others before. Pure. */
bool listing_cursor_parse(struct slice text, char letter, struct store_query *query);

/* The cursor to go on behind the page, which has more. Owned by caller. Pure. */
char *listing_cursor_format(char letter, const struct store_page *page);

#endif
