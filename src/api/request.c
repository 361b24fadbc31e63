/* request: how handlers read headers and parameters, and the check of the query before them.
 *
 * Reading the query once, before the handler, lets handlers rely on it: known names, each once.
 * Deliberately missing: types. What a value means is read where it is used (listing.c for most). */
#include "api/request.h"

#include "api/routes.h"
#include "common/config.h"

#define KNOWN_MAX 16 /* query parameters a route may have */

/* Of several with one name the first counts. */
struct slice request_header(const struct request *r, const char *name)
{
    return http_find_header(r->head, name);
}

/* At most REQUEST_QUERY_MAX, so a walk is enough. Borrowed from the request; NULL when absent. */
static const struct request_parameter *find_parameter(const struct request *r, struct slice name)
{
    for (size_t i = 0; i < r->parameter_count; i++)
        if (slice_equal(r->parameters[i].name, name))
            return &r->parameters[i];
    return NULL;
}

/* "a" and "a=" are both there, with an empty value. */
bool request_query(const struct request *r, const char *name, struct slice *value)
{
    const struct request_parameter *p = find_parameter(r, slice_text(name));

    if (p == NULL)
        return false;
    *value = p->value;
    return true;
}

/* The count of headers is in our hands, so too many are a bug. value must live until the answer is
 * sent; it must not hold CR or LF. */
void response_header(struct response *res, const char *name, struct slice value)
{
    g_assert(res->header_count < RESPONSE_HEADERS_MAX);
    res->headers[res->header_count].name = name;
    res->headers[res->header_count].value = value;
    res->header_count++;
}

/* ---- the query ------------------------------------------------------------------------------- */

/* Splits at the first separator; the rest is empty when there is none. Returns the part before
 * it. */
static struct slice cut(struct slice *rest, char separator)
{
    const char *at = rest->size > 0 ? memchr(rest->data, separator, rest->size) : NULL;
    struct slice head = *rest;

    if (at == NULL) {
        *rest = (struct slice){0};
        return head;
    }
    head.size = (size_t)(at - head.data);
    *rest = slice_of(at + 1, rest->size - head.size - 1);
    return head;
}

/* Decoding never makes text longer, so the encoded size is room enough. *out lives in the request's
 * arena. false: a bad escape or an encoded NUL. */
static bool decode_part(struct request *r, struct slice in, struct slice *out)
{
    char *text = arena_alloc(&r->arena, in.size);
    size_t size;

    if (!http_decode(in, true, text, &size))
        return false;
    *out = slice_of(text, size);
    return true;
}

/* A route without a list knows none. */
static bool route_knows(const struct route *route, struct slice name)
{
    struct slice rest = slice_text(route->query);

    while (rest.size > 0)
        if (slice_equal(cut(&rest, ' '), name))
            return true;
    return false;
}

/* A misspelt filter that is ignored would answer with everything, so it is named instead. 400 with
 * the nearest known name, or with all of them. */
static void refuse_unknown(struct request *r, struct response *res, struct slice name)
{
    g_auto(GStrv) known =
        g_strsplit(r->route->query != NULL ? r->route->query : "", " ", KNOWN_MAX);
    g_autofree char *given = g_strndup(name.data, name.size);
    const char *nearest = config_nearest(given, (const char *const *)known, g_strv_length(known));
    g_autofree char *all = g_strjoinv(", ", known);

    if (nearest != NULL)
        response_problem(res, r, 400, "invalid-query", NULL,
                         "there is no query parameter \"%s\" here; did you mean \"%s\"?", given,
                         nearest);
    else if (*all != '\0')
        response_problem(res, r, 400, "invalid-query", NULL,
                         "there is no query parameter \"%s\" here; known are: %s", given, all);
    else
        response_problem(res, r, 400, "invalid-query", NULL,
                         "there is no query parameter \"%s\" here; none is taken", given);
}

/* Names are compared decoded: "%61tomic" is "atomic", and twice the same is twice the same. false:
 * the 400 has been answered. */
static bool read_parameter(struct request *r, struct response *res, struct slice part)
{
    struct slice name = cut(&part, '=');
    struct request_parameter *p = &r->parameters[r->parameter_count];

    if (!decode_part(r, name, &p->name) || !decode_part(r, part, &p->value)) {
        response_problem(res, r, 400, "invalid-query", NULL,
                         "the query holds a bad percent-escape");
        return false;
    }
    if (!route_knows(r->route, p->name)) {
        refuse_unknown(r, res, p->name);
        return false;
    }
    if (find_parameter(r, p->name) != NULL) {
        response_problem(res, r, 400, "invalid-query", NULL,
                         "the query parameter \"%.*s\" is given twice", SLICE_ARG(p->name));
        return false;
    }
    r->parameter_count++;
    return true;
}

/* Empty parts ("a=1&&b=2") are skipped, as browsers do. */
bool request_read_query(struct request *r, struct response *res)
{
    struct slice rest = r->query;

    r->parameters = NULL;
    r->parameter_count = 0;
    if (rest.size == 0)
        return true;
    r->parameters = ARENA_NEW(&r->arena, struct request_parameter, REQUEST_QUERY_MAX);
    /* At most REQUEST_QUERY_MAX parts are decoded, however long the query. */
    while (rest.size > 0) {
        struct slice part = cut(&rest, '&');

        if (part.size == 0)
            continue;
        if (r->parameter_count == REQUEST_QUERY_MAX) {
            response_problem(res, r, 400, "invalid-query", NULL, "too many query parameters");
            return false;
        }
        if (!read_parameter(r, res, part))
            return false;
    }
    return true;
}
