/* Reading /metrics/summary. The members are EventFlow's; any other server has none of them, which
 * is no error: the run then says nothing of processing. */
#include "cli/load_books.h"

#include "common/json.h"

#define BOOKS_TIMEOUT_MS 2000

/* All or nothing: half of the books do not add up. */
static bool books_take(const struct json_value *summary, struct load_books *books)
{
    const struct {
        const char *name;
        int64_t *value;
    } members[] = {
        {"processed", &books->processed}, {"failed", &books->failed},
        {"duplicate", &books->duplicate}, {"matches", &books->matches},
        {"waiting", &books->waiting},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(members); i++) {
        const struct json_value *value = json_get(summary, slice_text(members[i].name));

        if (!json_integer(value, 0, INT64_MAX, members[i].value))
            return false;
    }
    return true;
}

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
    is_read = response.status == 200 &&
              books_take(json_parse_any(slice_of(response.body->str, response.body->len), &a, NULL),
                         books);
    arena_done(&a);
    client_response_done(&response);
    return is_read;
}

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
