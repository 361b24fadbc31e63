/* doctor_books: whether every accepted event has exactly one end, or waits.
 *
 *   accepted (queue.db) = processed + failed + duplicate + waiting (eventflow.db)
 */
#ifndef CLI_DOCTOR_BOOKS_H
#define CLI_DOCTOR_BOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "store/store.h"

struct doctor_books {
    struct store_summary summary;
    int64_t accepted; /* newest message of the log; later than the summary */
    int64_t waiting;  /* messages without an end */
    bool add_up;      /* also false when the results are ahead of the log */
};

/* Reads both databases, the results first: what a running program settles meanwhile is then counted
 * as waiting, never missed. store: open on the folder's results. Errors: those of both. */
bool doctor_books_read(struct doctor_books *b, const char *folder, struct store *store,
                       GError **error);

/* "accepted 5 = processed 3 + …". Owned by caller. */
char *doctor_books_text(const struct doctor_books *b);

#endif
