/* route_find: from method and path to a row of ROUTES.
 *
 * A linear search: some twenty templates differ within their first bytes, which no tree beats.
 * Deliberately missing: normalising. "/events/" and "//events" are other paths than "/events". */
#include "api/routes.h"

/* A template without parameters ranks before one with; more never come. The rank is the number of
 * parameters. */
#define RANK_NONE (REQUEST_PARAMS_MAX + 1)

/* Compares byte by byte, so most templates are out at their second character. Returns the number of
 * parameters, or RANK_NONE when the path is another one. params is written while comparing and
 * holds rubbish after RANK_NONE. */
static size_t route_match(const char *template, struct slice path, struct slice *params)
{
    const char *p = path.data;
    const char *end = path.data + path.size;
    size_t count = 0;

    while (*template != '\0') {
        if (*template == '{') {
            const char *start = p;

            while (p < end && *p != '/')
                p++;
            if (p == start || count == REQUEST_PARAMS_MAX)
                return RANK_NONE;
            params[count++] = slice_of(start, (size_t)(p - start));
            template = strchr(template, '}') + 1;
        } else {
            if (p == end || *p != *template)
                return RANK_NONE;
            p++;
            template ++;
        }
    }
    return p == end ? count : RANK_NONE;
}

/* As bits, 1 << method: GET answers HEAD as well (RFC 9110 section 9.3.2). */
static unsigned route_methods(const struct route *r)
{
    unsigned bit = 1U << r->method;

    return r->method == HTTP_GET ? bit | 1U << HTTP_HEAD : bit;
}

/* All templates are looked at, since a 405 must name every method of the path. params is written
 * only for the best match. */
const struct route *route_find(enum http_method method, struct slice path, unsigned door,
                               struct slice *params, int *status, unsigned *allowed)
{
    const struct route *best = NULL;
    size_t best_rank = RANK_NONE;
    unsigned methods = 0;

    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct route *r = &ROUTES[i];
        struct slice found[REQUEST_PARAMS_MAX];
        size_t rank;

        if ((r->doors & door) == 0)
            continue;
        rank = route_match(r->path, path, found);
        if (rank == RANK_NONE)
            continue;
        methods |= route_methods(r);
        /* "/campaigns/summary" is preferred to "/campaigns/{id}". */
        if ((route_methods(r) & 1U << method) == 0 || rank >= best_rank)
            continue;
        best = r;
        best_rank = rank;
        for (size_t k = 0; k < rank; k++)
            params[k] = found[k];
    }
    if (best == NULL) {
        *status = methods == 0 ? 404 : 405;
        *allowed = methods;
    }
    return best;
}
