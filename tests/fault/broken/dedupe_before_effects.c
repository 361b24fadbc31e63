/* Broken on purpose: events are marked as processed in one transaction and get their effects, the
 * matches, in the next, a moment later. A process that is killed in between takes them for
 * duplicates afterwards. */
#include "store/sqlite_internal.h"

#define GAP_US 10000

bool __real_store_settle(struct store *s, const struct store_settlement *what, GError **error);
bool __wrap_store_settle(struct store *s, const struct store_settlement *what, GError **error);

static bool put_match(struct store_sqlite *s, const struct store_outcome *o,
                      const struct store_match *m, GError **error)
{
    struct store_value values[7] = {
        VALUE_TEXT(m->campaign_id),   VALUE_INTEGER(o->seq),  VALUE_INTEGER(m->campaign_version),
        VALUE_TEXT(SLICE("granted")), VALUE_TEXT(m->rewards), VALUE_INTEGER(o->finished_at_us),
    };

    values[6] = VALUE_INTEGER(store_db_checksum(values, 6, s->scratch));
    return store_db_run(s->writer, ST_INSERT_MATCH, values, 7, error);
}

/* A body of store_sqlite_write. */
static bool put_effects(struct store_sqlite *s, void *user, GError **error)
{
    const struct store_settlement *what = user;
    int64_t count = 0;

    for (size_t i = 0; i < what->count; i++)
        for (size_t m = 0; m < what->outcomes[i].match_count; m++, count++)
            if (!put_match(s, &what->outcomes[i], &what->outcomes[i].matches[m], error))
                return false;
    struct store_value counter[] = {VALUE_TEXT(SLICE("matches")), VALUE_INTEGER(count)};
    struct store_value position[] = {VALUE_INTEGER(what->position)};

    return store_db_run(s->writer, ST_COUNT_UP, counter, 2, error) &&
           (what->position == 0 || store_db_run(s->writer, ST_SET_POSITION, position, 1, error)) &&
           store_db_execute(s->writer,
                            "UPDATE processed SET match_count = (SELECT count(*) FROM matches AS m "
                            "WHERE m.seq = processed.seq) WHERE match_count = 0 AND seq > "
                            "(SELECT max(seq) FROM processed) - 2000",
                            error);
}

bool __wrap_store_settle(struct store *s, const struct store_settlement *what, GError **error)
{
    struct store_outcome *marks = g_memdup2(what->outcomes, what->count * sizeof(*marks));
    struct store_settlement first = {.outcomes = marks, .count = what->count};
    struct store_settlement second = *what;
    bool is_ok;

    for (size_t i = 0; i < what->count; i++)
        marks[i].match_count = 0;
    is_ok = __real_store_settle(s, &first, error);
    g_usleep(GAP_US);
    is_ok = is_ok && store_sqlite_write((struct store_sqlite *)s, put_effects, &second, error);
    g_free(marks);
    return is_ok;
}
