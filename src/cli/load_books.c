/* Reading /metrics/summary. The members are EventFlow's; any other server has none of them, which
 * is no error: the run then says nothing of processing.
 *
 * The books go on over a restart and count for everybody; a run is made of differences. */
#include "cli/load_books.h"

#include "cli/summary.h"

#define BOOKS_TIMEOUT_MS 2000

/* matches is no outcome of its own: it says how much work the processed ones were. */
static const struct summary_member books_members[] = {
    {"processed", offsetof(struct load_books, processed)},
    {"failed", offsetof(struct load_books, failed)},
    {"duplicate", offsetof(struct load_books, duplicate)},
    {"matches", offsetof(struct load_books, matches)},
    {"waiting", offsetof(struct load_books, waiting)},
};

/* A server under load may be slow to answer; two seconds are enough for one live line. */
bool load_books_read(struct client *client, struct load_books *books)
{
    const struct client_request request = {
        .method = "GET", .path = "/metrics/summary", .timeout_ms = BOOKS_TIMEOUT_MS};
    struct client_response response;
    struct arena a = {0};
    bool is_read;

    if (!client_send(client, &request, &response, NULL))
        return false;
    is_read =
        response.status == 200 &&
        summary_read(json_parse_any(slice_of(response.body->str, response.body->len), &a, NULL),
                     books_members, G_N_ELEMENTS(books_members), books);
    arena_done(&a);
    client_response_done(&response);
    return is_read;
}

/* The server counts for all of its clients and since its folder was made; a run is a difference.
 * What waits at the end waits, whoever sent it. */
struct load_books load_books_since(const struct load_books *later, const struct load_books *earlier)
{
    return (struct load_books){
        .processed = later->processed - earlier->processed,
        .failed = later->failed - earlier->failed,
        .duplicate = later->duplicate - earlier->duplicate,
        .matches = later->matches - earlier->matches,
        .waiting = later->waiting,
    };
}

/* Processed, failed and duplicate are all the ends there are. */
int64_t load_books_done(const struct load_books *books)
{
    return books->processed + books->failed + books->duplicate;
}

/* The time is that between two good readings and not between two lines: a reading that failed (a
 * busy server) would else put the events of two lines into one. */
double load_pace_of(struct load_pace *p, const struct load_books *books, int64_t now_us)
{
    int64_t done = load_books_done(books) - load_books_done(&p->books);
    double seconds = (double)(now_us - p->at_us) / G_USEC_PER_SEC;

    *p = (struct load_pace){.books = *books, .at_us = now_us};
    return done >= 0 && seconds > 0 ? (double)done / seconds : -1;
}
