/* render: status line and headers of an answer, put together by hand.
 *
 * printf would cost more than all the rest of an answer. Header values come from our own code or
 * were checked for control characters on their way in, so nothing here has to be escaped.
 * Deliberately missing: chunked answers. Every body is complete, so its length is known. */
#include "api/exchange.h"
#include "api/problem.h"

/* printf would cost more than all the rest of an answer, so its parts are put together by hand. */

/* NUL-terminated, from static storage. */
static void add_text(GString *out, const char *text)
{
    g_string_append(out, text);
}

/* Bytes that live elsewhere; copied. */
static void add_slice(GString *out, struct slice s)
{
    g_string_append_len(out, s.data, (gssize)s.size);
}

/* Decimal, without sign; 20 digits hold 64 bits. */
static void add_number(GString *out, size_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    g_string_append_len(out, digits + at, (gssize)(sizeof(digits) - at));
}

/* Always HTTP/1.1, the highest version we speak, also to a 1.0 client (RFC 9110 section 2.5). */
static void add_status_line(GString *out, int status)
{
    add_slice(out, SLICE("HTTP/1.1 "));
    add_number(out, (size_t)status);
    g_string_append_c(out, ' ');
    add_text(out, problem_reason(status));
}

/* HTTP/1.1 keeps connections by default, HTTP/1.0 closes them: only the exception is said. */
static void add_connection(GString *out, const struct http_head *head, bool closes)
{
    if (closes)
        add_slice(out, SLICE("\r\nConnection: close"));
    else if (head->is_http_10)
        add_slice(out, SLICE("\r\nConnection: keep-alive"));
}

/* HEAD gets the headers of GET with the length of the body that is left out (RFC 9110 section
 * 9.3.2). */
void render_answer(struct exchange *x, bool closes)
{
    GString *out = x->answer;
    const struct response *res = &x->response;
    /* RFC 9110 sections 15.3.5 and 15.4.5: these never have a body. */
    bool is_empty = res->status == 204 || res->status == 304;

    /* The string is the exchange's and keeps its memory from answer to answer. */
    g_string_truncate(out, 0);
    add_status_line(out, res->status);
    if (!is_empty) {
        add_slice(out, SLICE("\r\nContent-Type: "));
        add_text(out, res->content_type);
        add_slice(out, SLICE("\r\nContent-Length: "));
        add_number(out, res->body->len);
    }
    add_slice(out, SLICE("\r\nDate: "));
    add_slice(out, slice_of(x->loop->date, 29)); /* always that long, RFC 9110 section 5.6.7 */
    add_slice(out, SLICE("\r\nX-Correlation-Id: "));
    add_slice(out, x->request.correlation_id);
    for (size_t i = 0; i < res->header_count; i++) {
        add_slice(out, SLICE("\r\n"));
        add_text(out, res->headers[i].name);
        add_slice(out, SLICE(": "));
        add_slice(out, res->headers[i].value);
    }
    add_connection(out, &x->head, closes);
    add_slice(out, SLICE("\r\n\r\n"));
    x->is_bare |= is_empty;
}
