/* Posting lines in batches until each has an answer.
 *
 * A batch is one request body, with the place of every line in it. When the server cannot take it
 * now, the same bytes are sent again: events have ids, so what was accepted before the answer got
 * lost is recognised. When it refuses the request as a whole without naming lines, the batch is
 * halved, down to the one line that is to blame.
 *
 * sent = accepted + rejected for every answered request; what was given up is in none of them.
 */
#include "cli/sender.h"

#include <stdio.h>

#include "cli/exit_code.h"
#include "cli/remote.h"
#include "cli/send_line.h"
#include "cli/table.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/json.h"

#define SENDER_REPORTS_MAX   20                         /* rejected lines that are printed */
#define SENDER_ERRORS_MAX    3                          /* errors that are printed of one line */
#define SENDER_BACKOFF_MS    100                        /* doubled after each try */
#define SENDER_BACKOFF_MAX   5000                       /* milliseconds */
#define SENDER_SEEN_MAX      ((size_t)96 * 1024 * 1024) /* bytes: some 3 million lines */
#define SENDER_IDENTICAL_MAX 8 /* digests with one fingerprint that are compared */

/* One line of the batch. It ends where the next one begins. */
struct sender_item {
    uint64_t number; /* of the line in the file */
    size_t offset;   /* of its bytes in the body */
};

/* client_new comes last, so that sender_done finds all other members made, also after false. */
bool sender_init(struct sender *s, const struct sender_options *options, GError **error)
{
    *s = (struct sender){.options = *options,
                         .line = g_string_new(NULL),
                         .body = g_string_new(NULL),
                         .items = g_array_new(FALSE, FALSE, sizeof(struct sender_item)),
                         .seen = fp_index_new(SENDER_SEEN_MAX)};
    flat_init(&s->flat);
    s->client = client_new(options->url, error);
    return s->client != NULL;
}

/* What waits in the batch is dropped: sender_flush is the way to send it. */
void sender_done(struct sender *s)
{
    client_free(s->client);
    flat_done(&s->flat);
    fp_index_free(s->seen);
    g_array_free(s->items, TRUE);
    g_string_free(s->body, TRUE);
    g_string_free(s->line, TRUE);
}

/* Back to the first column and clear to the end of the line, so a message never stands behind half
 * a progress line. */
void sender_clear_progress(struct sender *s)
{
    if (s->has_progress)
        fputs("\r\033[K", stderr);
    s->has_progress = false;
}

/* A file of the wrong kind rejects every line: a screenful says enough, and the count is complete.
 */
void sender_reject(struct sender *s, uint64_t number, const char *why)
{
    s->rejected++;
    if (s->rejected > SENDER_REPORTS_MAX)
        return;
    sender_clear_progress(s);
    fprintf(stderr, "line %" G_GUINT64_FORMAT ": %s\n", number, why);
    if (s->rejected == SENDER_REPORTS_MAX)
        fprintf(stderr, "(further rejected lines are only counted)\n");
}

/* ---- answers --------------------------------------------------------------------------------- */

/* "customer_id: must be …; …" of a list of {pointer, detail}: the first few errors, as one line has
 * to say it. Never empty. Owned by caller. */
static char *sender_errors_text(const struct json_value *errors)
{
    GString *text = g_string_new(NULL);
    const struct json_value *error =
        errors != NULL && errors->type == JSON_ARRAY ? errors->first : NULL;

    for (int i = 0; error != NULL && i < SENDER_ERRORS_MAX; i++, error = error->next) {
        g_autofree char *pointer = table_safe_text(json_get_text(error, "pointer"));
        g_autofree char *detail = table_safe_text(json_get_text(error, "detail"));

        g_string_append_printf(text, "%s%s: %s", i > 0 ? "; " : "", pointer, detail);
    }
    if (text->len == 0)
        g_string_append(text, "rejected by the server, which does not say why");
    return g_string_free(text, FALSE);
}

/* The number in the file of item i of the batch. */
static uint64_t sender_line_number(const struct sender *s, size_t i)
{
    return g_array_index(s->items, struct sender_item, i).number;
}

/* Counts and reports the rejected lines of a range that begins with item first; the answer's
 * indexes count from there. Entries without a valid index are passed over, and a line is counted
 * once, however often it is named. Returns how many were taken: at most count. */
static size_t sender_take_rejected(struct sender *s, const struct json_value *list, size_t first,
                                   size_t count)
{
    const struct json_value *entry = list->type == JSON_ARRAY ? list->first : NULL;
    g_autofree bool *is_taken = g_new0(bool, count); /* by index */
    size_t rejected = 0;

    for (; entry != NULL; entry = entry->next) {
        g_autofree char *why = sender_errors_text(json_get(entry, SLICE("errors")));
        int64_t index;

        /* An index out of range would blame a line that is not in this request. */
        if (!json_integer(json_get(entry, SLICE("index")), 0, (int64_t)count - 1, &index) ||
            is_taken[index])
            continue;
        is_taken[index] = true;
        sender_reject(s, sender_line_number(s, first + (size_t)index), why);
        rejected++;
    }
    return rejected;
}

/* A single line that the server refused as a whole request: the problem's own detail is the reason,
 * else its errors. */
static void sender_reject_alone(struct sender *s, const struct json_value *problem, size_t item)
{
    g_autofree char *detail = table_safe_text(json_get_text(problem, "detail"));
    g_autofree char *errors = sender_errors_text(json_get(problem, SLICE("errors")));

    sender_reject(s, sender_line_number(s, item), detail[0] != '\0' ? detail : errors);
}

/* Says whether the answer named every line's fate; if so, it has been counted. It did when it is a
 * success, when it lists the rejected lines, or when there was only one line to speak of. false:
 * nothing has been counted, halve and send again. */
static bool sender_take_answer(struct sender *s, const struct client_response *response,
                               size_t first, size_t count)
{
    struct arena a = {0};
    struct slice text = slice_of(response->body->str, response->body->len);
    const struct json_value *answer = json_parse(text, &a, NULL);
    const struct json_value *list = json_get(answer, SLICE("rejected"));
    bool is_success = remote_exit_code(response->status) == EXIT_CODE_OK;
    bool is_final = is_success || list != NULL || count == 1;

    /* Not before: a range that is halved would be counted again with its halves. */
    if (is_final)
        s->sent += count;
    if (list != NULL)
        count -= sender_take_rejected(s, list, first, count);
    else if (is_final && !is_success)
        sender_reject_alone(s, answer, first);
    /* What is left of count are the lines that no entry has named. */
    if (is_success)
        s->accepted += count;
    arena_done(&a);
    return is_final;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Whether waiting may help: the server is there and too busy, or a proxy cannot reach it. */
static bool sender_may_pass(int status)
{
    return remote_exit_code(status) == EXIT_CODE_UNAVAILABLE;
}

/* Waits before the next try; false when the time for trying is over. tries: how many there were.
 * What the server asks for (Retry-After, -1 = nothing) comes before our own doubling pause, and
 * neither goes beyond the time that is left: the last try is made at its end. */
static bool sender_wait(const struct sender *s, int tries, int64_t since_us, int64_t retry_after_ms)
{
    int64_t left_ms = s->options.retry_for_ms - (clock_monotonic_us() - since_us) / 1000;
    int64_t wait_ms = MIN((int64_t)SENDER_BACKOFF_MS << MIN(tries, 10), SENDER_BACKOFF_MAX);

    if (left_ms <= 0)
        return false;
    /* Half of it by chance, so that several senders do not come back in the same moment. */
    wait_ms = wait_ms / 2 + g_random_int_range(0, (gint32)(wait_ms / 2) + 1);
    if (retry_after_ms >= 0)
        wait_ms = retry_after_ms;
    g_usleep((gulong)MIN(wait_ms, left_ms) * 1000);
    return true;
}

/* Said once when trouble begins and once when it wins, not for every try in between. */
static void sender_print_retry(struct sender *s, const char *why, bool is_last)
{
    sender_clear_progress(s);
    if (is_last)
        fprintf(stderr,
                "eventflow: %s; giving up. Send the same input again later: what was accepted is "
                "recognised\n",
                why);
    else
        fprintf(stderr, "eventflow: %s; trying again for up to %" G_GINT64_FORMAT " s\n", why,
                s->options.retry_for_ms / 1000);
}

/* One try. EXIT_CODE_OK: answered, *response is the caller's. EXIT_CODE_UNAVAILABLE: *why (owned by
 * caller) tells what may pass. Other codes: *why tells what will not. */
static int sender_try(struct sender *s, const struct client_request *request,
                      struct client_response *response, char **why, int64_t *retry_after_ms)
{
    g_autoptr(GError) error = NULL;

    *retry_after_ms = -1;
    if (!client_send(s->client, request, response, &error)) {
        *why = g_strdup(error->message);
        return exit_code_of(error);
    }
    if (!sender_may_pass(response->status))
        return EXIT_CODE_OK;
    *why = g_strdup_printf("the server is too busy (status %d)", response->status);
    *retry_after_ms = response->retry_after_ms;
    client_response_done(response);
    return EXIT_CODE_UNAVAILABLE;
}

/* Tries until the server answers or the time is over; the time begins anew with each request, so a
 * long file survives many short breaks. *response is filled only with EXIT_CODE_OK. Trouble is
 * printed. */
static int sender_exchange(struct sender *s, struct slice body, struct client_response *response)
{
    const struct client_request request = {
        .method = "POST", .path = "/events", .content_type = "application/x-ndjson", .body = body};
    int64_t since_us = clock_monotonic_us();

    for (int tries = 0;; tries++) {
        g_autofree char *why = NULL;
        int64_t retry_after_ms;
        int code = sender_try(s, &request, response, &why, &retry_after_ms);

        if (code == EXIT_CODE_OK)
            return code;
        /* A server that restarts is quickly back: one line about it is enough. */
        if (tries == 0 && code == EXIT_CODE_UNAVAILABLE && s->options.retry_for_ms > 0)
            sender_print_retry(s, why, false);
        if (code != EXIT_CODE_UNAVAILABLE || !sender_wait(s, tries, since_us, retry_after_ms)) {
            sender_print_retry(s, why, true);
            return code;
        }
    }
}

/* The bytes of some lines of the batch, each with its newline; borrowed from the body. */
static struct slice sender_range(const struct sender *s, size_t first, size_t count)
{
    size_t start = g_array_index(s->items, struct sender_item, first).offset;
    size_t end = first + count < s->items->len
                     ? g_array_index(s->items, struct sender_item, first + count).offset
                     : s->body->len;

    return slice_of(s->body->str + start, end - start);
}

/* Posts the lines of a range. Halving keeps their order, and the lines of the first half are
 * settled before the second half is sent. The recursion is as deep as the batch can be halved: ten
 * times. */
static int sender_post(struct sender *s, size_t first, size_t count)
{
    struct client_response response;
    int code = sender_exchange(s, sender_range(s, first, count), &response);

    if (code != EXIT_CODE_OK)
        return code;
    /* DATA (400, 413, 422 …) is an answer about the lines; anything else, e.g. 404, about the
     * request. */
    code = remote_exit_code(response.status);
    if (code != EXIT_CODE_OK && code != EXIT_CODE_DATA) {
        sender_clear_progress(s);
        remote_print_problem("/events", &response);
    } else if (sender_take_answer(s, &response, first, count)) {
        code = EXIT_CODE_OK;
    } else {
        code = sender_post(s, first, count / 2);
        if (code == EXIT_CODE_OK)
            code = sender_post(s, first + count / 2, count - count / 2);
    }
    client_response_done(&response);
    return code;
}

/* The batch is empty afterwards, whatever came of it: after a failure the whole sending ends. */
int sender_flush(struct sender *s)
{
    int code = s->items->len > 0 ? sender_post(s, 0, s->items->len) : EXIT_CODE_OK;

    g_array_set_size(s->items, 0);
    g_string_truncate(s->body, 0);
    return code;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* Counts the line when the same one got the same id before: it will be one event. The digest is
 * split into the index's fingerprint and value, so a hit is as sure as 126 equal bits. When the
 * index is full the count becomes a lower bound; nothing else depends on it. */
static void sender_note_identical(struct sender *s, const struct hash_digest *digest)
{
    int64_t found[SENDER_IDENTICAL_MAX];
    uint64_t fingerprint;
    int64_t value;
    size_t count;

    memcpy(&fingerprint, digest->bytes, sizeof(fingerprint));
    memcpy(&value, digest->bytes + sizeof(fingerprint), sizeof(value));
    /* The index wants values of at least 1: the sign and the lowest bit are given up. */
    value = (value & INT64_MAX) | 1;
    count = fp_index_find(s->seen, fingerprint, found, SENDER_IDENTICAL_MAX);
    for (size_t i = 0; i < MIN(count, SENDER_IDENTICAL_MAX); i++)
        if (found[i] == value) {
            s->identical++;
            return;
        }
    if (!fp_index_add(s->seen, fingerprint, value))
        s->is_seen_full = true;
}

/* Makes the line an event and puts it into the batch, which is posted before it when it would not
 * fit any more, or after it when it is full. A line that is too large by the id we put into it is
 * rejected here: the server would refuse the request without naming it. */
int sender_add(struct sender *s, struct slice text, uint64_t number)
{
    struct sender_item item = {.number = number};
    struct send_line info;
    g_autoptr(GError) error = NULL;
    int code = EXIT_CODE_OK;

    g_string_truncate(s->line, 0);
    if (!send_line_append(text, &s->flat, s->line, &info, &error)) {
        sender_reject(s, number, error->message);
        return EXIT_CODE_OK;
    }
    g_string_append_c(s->line, '\n');
    if (s->line->len > SENDER_BODY_MAX) {
        sender_reject(s, number, "the event has more than 1 MiB");
        return EXIT_CODE_OK;
    }
    /* Lines with an id of their own repeat it knowingly. */
    if (info.has_made_id)
        sender_note_identical(s, &info.digest);
    /* The line goes into the next batch, so no event is ever parted. */
    if (s->body->len + s->line->len > SENDER_BODY_MAX)
        code = sender_flush(s);
    item.offset = s->body->len;
    g_array_append_val(s->items, item);
    g_string_append_len(s->body, s->line->str, (gssize)s->line->len);
    if (code == EXIT_CODE_OK && s->items->len >= s->options.batch_max)
        code = sender_flush(s);
    return code;
}
