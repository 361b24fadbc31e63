/* load_books: what the server has made of the events meanwhile, from its /metrics/summary.
 */
#ifndef CLI_LOAD_BOOKS_H
#define CLI_LOAD_BOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/client.h"

/* Since the server's data folder was made, or differences of two such readings. Events. */
struct load_books {
    int64_t processed;
    int64_t failed;
    int64_t duplicate;
    int64_t matches;
    int64_t waiting; /* have no outcome yet; never a difference */
};

/* Asks once, for two seconds at most. false: no answer, or one that is not EventFlow's. */
bool load_books_read(struct client *client, struct load_books *books);

/* later - earlier, with waiting of later. */
struct load_books load_books_since(const struct load_books *later,
                                   const struct load_books *earlier);

/* Events with an outcome. */
int64_t load_books_done(const struct load_books *books);

/* The last good reading, and when it was made. */
struct load_pace {
    struct load_books books;
    int64_t at_us; /* monotonic */
};

/* Events a second that got an outcome since the last good reading, which this one replaces.
 * Negative: not known (the server's books began anew, or no time has passed). */
double load_pace_of(struct load_pace *p, const struct load_books *books, int64_t now_us);

#endif
