/* Settling: the ends of a batch of messages in one transaction.
 *
 *   before   sort the processed ids, refuse twins in the batch, ask the index for candidates
 *   inside   verify the candidates ▸ rows of each outcome ▸ retry table ▸ counters ▸ position
 *   after    the new ids into the index
 *
 * Rows of one batch are appended in the order of the queue, which is what makes it cheap: about
 * 4 us of CPU an event with one match.
 */
#include "store/sqlite_internal.h"

#include "common/error.h"

/* One settlement on its way. The arrays are owned by store_sqlite_settle; outcomes and their bytes
 * are the caller's. */
struct settle_run {
    const struct store_settlement *what;
    GArray *entries;    /* struct store_dedupe_entry: the processed outcomes */
    GArray *candidates; /* struct store_dedupe_candidate: rows that might be one of them */
    bool is_on_disk;    /* ask SQL for every entry instead */
    bool has_retries;   /* whether finished messages may have rows in the retry table */
    int64_t processed, failed, duplicate, matches, replayed; /* what to add to the counters */
};

/* A bug above us: the worker asks seen first. Always false; nothing stays written. */
static bool fail_conflict(const struct store_outcome *o, int64_t seq, GError **error)
{
    g_set_error(error, EF_ERROR, EF_ERROR_CONFLICT,
                "event '%.*s' of message %" G_GINT64_FORMAT
                " was processed already, as message %" G_GINT64_FORMAT,
                SLICE_ARG(o->event_id), o->seq, seq);
    return false;
}

/* ---- uniqueness ------------------------------------------------------------------------------ */

/* By fingerprint, so that twins stand side by side; then by seq, so that the later message is the
 * one that the error names. */
static int compare_entries(gconstpointer a, gconstpointer b)
{
    const struct store_dedupe_entry *x = a;
    const struct store_dedupe_entry *y = b;

    if (x->fingerprint != y->fingerprint)
        return x->fingerprint < y->fingerprint ? -1 : 1;
    return (x->seq > y->seq) - (x->seq < y->seq);
}

/* What makes two events the same one, whatever their bodies say. */
static bool same_id(const struct store_outcome *a, const struct store_outcome *b)
{
    return slice_equal(a->source, b->source) && slice_equal(a->event_id, b->event_id);
}

/* Compares an entry with all later ones of the same fingerprint. entries are sorted, so the first
 * other fingerprint ends the search. Together with the index this leaves no pair unlooked at. */
static bool check_neighbours(const GArray *entries, guint at, GError **error)
{
    const struct store_dedupe_entry *one = &g_array_index(entries, struct store_dedupe_entry, at);

    for (guint i = at + 1; i < entries->len; i++) {
        const struct store_dedupe_entry *other =
            &g_array_index(entries, struct store_dedupe_entry, i);

        if (other->fingerprint != one->fingerprint)
            return true;
        if (same_id(one->outcome, other->outcome))
            return fail_conflict(other->outcome, one->seq, error);
    }
    return true;
}

/* The processed outcomes, sorted by fingerprint; no id twice among them. Before the transaction, as
 * it needs no file. Sorting makes twins neighbours: no table of the batch is built. */
static bool collect_entries(struct settle_run *run, GError **error)
{
    for (size_t i = 0; i < run->what->count; i++) {
        const struct store_outcome *o = &run->what->outcomes[i];
        struct store_dedupe_entry entry = {.seq = o->seq, .outcome = o};

        if (o->kind != STORE_PROCESSED)
            continue;
        entry.fingerprint = hash64_pair(o->source, o->event_id);
        g_array_append_val(run->entries, entry);
    }
    g_array_sort(run->entries, compare_entries);
    for (guint i = 0; i + 1 < run->entries->len; i++)
        if (!check_neighbours(run->entries, i, error))
            return false;
    return true;
}

/* Verifies entry number key against a row (or, with candidate 0, against all through SQL). CONFLICT
 * when the id is there. */
static bool check_one(struct store_sqlite *s, const struct settle_run *run, size_t key,
                      int64_t candidate, GError **error)
{
    const struct store_outcome *o =
        g_array_index(run->entries, struct store_dedupe_entry, key).outcome;
    struct store_key id = {.source = o->source, .event_id = o->event_id};
    int64_t seq;

    if (!store_dedupe_verify(s->writer, &id, candidate, &seq, NULL, error))
        return false;
    return seq == 0 || fail_conflict(o, seq, error);
}

/* Inside the transaction: nobody can add a row between this look and our own. The index only names
 * candidates; the rows decide, which is what makes "at most once" exact. */
static bool check_unique(struct store_sqlite *s, const struct settle_run *run, GError **error)
{
    bool ok = true;

    for (guint i = 0; ok && !run->is_on_disk && i < run->candidates->len; i++) {
        struct store_dedupe_candidate one =
            g_array_index(run->candidates, struct store_dedupe_candidate, i);

        ok = check_one(s, run, one.key, one.seq, error);
    }
    for (guint i = 0; ok && run->is_on_disk && i < run->entries->len; i++)
        ok = check_one(s, run, i, 0, error);
    return ok;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* Runs an INSERT whose last parameter is the checksum over the others; values has room for it. The
 * hashed array is the bound one, so row and checksum cannot differ by a slip. */
static bool insert_checked(struct store_sqlite *s, enum store_statement id,
                           struct store_value *values, size_t count, GError **error)
{
    values[count] = VALUE_INTEGER(store_db_checksum(values, count, s->scratch));
    return store_db_run(s->writer, id, values, count + 1, error);
}

/* A match row; a second one of the same campaign and message breaks the primary key: INPUT. The
 * only outcome so far; others (held_out, limited…) come with the parts that make them. */
static bool write_match(struct store_sqlite *s, const struct store_outcome *o,
                        const struct store_match *m, GError **error)
{
    struct store_value values[7] = {
        VALUE_TEXT(m->campaign_id),   VALUE_INTEGER(o->seq),  VALUE_INTEGER(m->campaign_version),
        VALUE_TEXT(SLICE("granted")), VALUE_TEXT(m->rewards), VALUE_INTEGER(o->finished_at_us),
    };

    return insert_checked(s, ST_INSERT_MATCH, values, 6, error);
}

/* The event's row and its matches. The columns in the order of ST_INSERT_PROCESSED. duplicates
 * starts at 0 and is not hashed. A seq that is taken breaks the primary key: INPUT. */
static bool write_processed(struct store_sqlite *s, struct settle_run *run,
                            const struct store_outcome *o, GError **error)
{
    struct store_value values[15] = {
        VALUE_INTEGER(o->seq),
        VALUE_TEXT(o->event_id),
        VALUE_TEXT(o->source),
        VALUE_TEXT(o->event_type),
        VALUE_TEXT(o->customer_id),
        VALUE_TEXT(o->correlation_id),
        VALUE_INTEGER(o->at_us),
        VALUE_INTEGER(o->received_at_us),
        VALUE_INTEGER(o->finished_at_us),
        VALUE_INTEGER(o->processing_us),
        VALUE_TEXT(slice_text(o->worker_id)),
        VALUE_INTEGER(o->attempt),
        VALUE_INTEGER((int64_t)o->match_count),
        VALUE_BLOB(slice_of(o->digest.bytes, sizeof(o->digest.bytes))),
    };

    if (!insert_checked(s, ST_INSERT_PROCESSED, values, 14, error))
        return false;
    for (size_t i = 0; i < o->match_count; i++)
        if (!write_match(s, o, &o->matches[i], error))
            return false;
    run->processed++;
    run->matches += (int64_t)o->match_count;
    return true;
}

/* Counts on the first one's row, which may stand earlier in this very batch: outcomes are written
 * in order. INPUT when there is no such row, or the count would be of nothing. */
static bool write_duplicate(struct store_sqlite *s, struct settle_run *run,
                            const struct store_outcome *o, GError **error)
{
    struct store_value values[] = {VALUE_INTEGER(o->duplicate_of)};

    if (!store_db_run(s->writer, ST_COUNT_DUPLICATE, values, 1, error))
        return false;
    run->duplicate++;
    if (sqlite3_changes(s->writer->db) == 1)
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                "message %" G_GINT64_FORMAT " cannot be a duplicate of message %" G_GINT64_FORMAT
                ", which was never processed",
                o->seq, o->duplicate_of);
    return false;
}

/* The body goes in as it came, whatever bytes it has, so that it can be replayed. SQLite makes the
 * id; AUTOINCREMENT, so that none is ever used twice. */
static bool write_failed(struct store_sqlite *s, struct settle_run *run,
                         const struct store_outcome *o, GError **error)
{
    struct store_value values[14] = {
        VALUE_INTEGER(o->seq),
        VALUE_TEXT(o->event_id),
        VALUE_TEXT(o->source),
        VALUE_TEXT(o->event_type),
        VALUE_TEXT(o->customer_id),
        VALUE_TEXT(o->correlation_id),
        VALUE_TEXT(slice_text(o->reason)),
        VALUE_TEXT(slice_text(o->error)),
        VALUE_INTEGER(o->attempt),
        VALUE_BLOB(o->body),
        VALUE_INTEGER(o->received_at_us),
        VALUE_INTEGER(o->first_failed_at_us),
        VALUE_INTEGER(o->finished_at_us),
    };

    run->failed++;
    return insert_checked(s, ST_INSERT_FAILED, values, 13, error);
}

/* Not an end: nothing is counted, and a failure that it replays stays open. Replaces the row of an
 * earlier attempt. */
static bool write_retry(struct store_sqlite *s, struct settle_run *run,
                        const struct store_outcome *o, GError **error)
{
    struct store_value values[] = {
        VALUE_INTEGER(o->seq),
        VALUE_INTEGER(o->attempt),
        VALUE_INTEGER(o->retry_at_us),
        VALUE_INTEGER(o->first_failed_at_us),
        VALUE_TEXT(slice_text(o->reason)),
        VALUE_TEXT(slice_text(o->error)),
    };

    (void)run;
    return store_db_run(s->writer, ST_PUT_RETRY, values, G_N_ELEMENTS(values), error);
}

/* A message is finished: nothing is left to be tried, and what it replays is replayed. Marking
 * finds only open failures, so a second replay of the same one changes and counts nothing. */
static bool finish(struct store_sqlite *s, struct settle_run *run, const struct store_outcome *o,
                   GError **error)
{
    struct store_value seq[] = {VALUE_INTEGER(o->seq)};
    struct store_value replay[] = {VALUE_INTEGER(o->replay_of), VALUE_INTEGER(o->finished_at_us),
                                   VALUE_INTEGER(o->seq)};

    if (run->has_retries && !store_db_run(s->writer, ST_DELETE_RETRY, seq, 1, error))
        return false;
    if (o->replay_of == 0)
        return true;
    if (!store_db_run(s->writer, ST_MARK_REPLAYED, replay, 3, error))
        return false;
    run->replayed += sqlite3_changes(s->writer->db);
    return true;
}

/* Writes one outcome and adds to the run's counts. false: the transaction is rolled back, so counts
 * that were raised too early do not matter. */
typedef bool (*outcome_writer)(struct store_sqlite *s, struct settle_run *run,
                               const struct store_outcome *o, GError **error);

static const outcome_writer outcome_writers[] = {
    [STORE_PROCESSED] = write_processed,
    [STORE_DUPLICATE] = write_duplicate,
    [STORE_FAILED] = write_failed,
    [STORE_RETRY] = write_retry,
};

/* Counters that do not change are not written. */
static bool count_up(struct store_sqlite *s, const char *name, int64_t by, GError **error)
{
    struct store_value values[] = {VALUE_TEXT(slice_text(name)), VALUE_INTEGER(by)};

    return by == 0 || store_db_run(s->writer, ST_COUNT_UP, values, 2, error);
}

/* In the same transaction, so that at any time they equal the rows. The position never goes back:
 * max() stands in the statement. */
static bool write_counters(struct store_sqlite *s, const struct settle_run *run, GError **error)
{
    struct store_value position[] = {VALUE_INTEGER(run->what->position)};

    return count_up(s, "processed", run->processed, error) &&
           count_up(s, "failed", run->failed, error) &&
           count_up(s, "duplicate", run->duplicate, error) &&
           count_up(s, "matches", run->matches, error) &&
           count_up(s, "replayed", run->replayed, error) &&
           (run->what->position == 0 ||
            store_db_run(s->writer, ST_SET_POSITION, position, 1, error));
}

/* A body of store_sqlite_write. Deleting from the retry table is skipped while it is empty, which
 * is nearly always; only we write to it, so one look is good for the whole batch. A retry written
 * in this batch for a message that ends in it as well would be missed, but a message has one
 * outcome. */
static bool settle_body(struct store_sqlite *s, void *user, GError **error)
{
    struct settle_run *run = user;
    int64_t has_retries = 0;

    if (!check_unique(s, run, error) ||
        !store_db_get(s->writer, ST_HAS_RETRIES, NULL, 0, NULL, &has_retries, error))
        return false;
    run->has_retries = has_retries != 0;
    for (size_t i = 0; i < run->what->count; i++) {
        const struct store_outcome *o = &run->what->outcomes[i];

        if (!outcome_writers[o->kind](s, run, o, error))
            return false;
        if (o->kind != STORE_RETRY && !finish(s, run, o, error))
            return false;
    }
    return write_counters(s, run, error);
}

/* The index learns the ids only after the commit: an id must not be seen before its effects are
 * durable. Whoever asks in between takes it for new, and knows what is under way. A crash in
 * between loses nothing, as the index is built from the rows at open. */
bool store_sqlite_settle(struct store *store, const struct store_settlement *what, GError **error)
{
    struct store_sqlite *s = (struct store_sqlite *)store;
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(struct store_dedupe_entry));
    g_autoptr(GArray) candidates = g_array_new(FALSE, FALSE, sizeof(struct store_dedupe_candidate));
    struct settle_run run = {.what = what, .entries = entries, .candidates = candidates};
    struct store_dedupe_entry *first;

    if (!collect_entries(&run, error))
        return false;
    first = (struct store_dedupe_entry *)(void *)entries->data;
    if (!store_dedupe_prepare(s, first, entries->len, candidates, &run.is_on_disk, error) ||
        !store_sqlite_write(s, settle_body, &run, error))
        return false;
    store_dedupe_add(s, first, entries->len); /* only now: an id is seen when it is durable */
    return true;
}

/* ---- attempts and retries -------------------------------------------------------------------- */

/* What goes into and comes out of the transaction of begin_attempt. */
struct attempt {
    int64_t seq, at_us, number;
};

/* A body of store_sqlite_write. One statement counts and answers; the number is right only if the
 * commit succeeds. */
static bool attempt_body(struct store_sqlite *s, void *user, GError **error)
{
    struct attempt *attempt = user;
    struct store_value values[] = {VALUE_INTEGER(attempt->seq), VALUE_INTEGER(attempt->at_us)};

    return store_db_get(s->writer, ST_BEGIN_ATTEMPT, values, 2, NULL, &attempt->number, error);
}

/* A transaction and an fsync of its own: the count must survive the crash it is kept for. */
bool store_sqlite_begin_attempt(struct store *store, int64_t seq, int64_t at_us, int *attempt,
                                GError **error)
{
    struct store_sqlite *s = (struct store_sqlite *)store;
    struct attempt one = {.seq = seq, .at_us = at_us};

    if (!store_sqlite_write(s, attempt_body, &one, error))
        return false;
    *attempt = (int)one.number;
    return true;
}

/* Columns as in ST_DUE_RETRIES; the text is copied into the arena. */
static struct store_retry read_retry(sqlite3_stmt *statement, struct arena *a)
{
    return (struct store_retry){
        .seq = sqlite3_column_int64(statement, 0),
        .attempt = sqlite3_column_int(statement, 1),
        .due_us = sqlite3_column_int64(statement, 2),
        .first_failed_at_us = sqlite3_column_int64(statement, 3),
        .error = arena_copy(a, store_db_column(statement, 4)),
    };
}

/* Appends the rows that are due. The table is small (messages in trouble), so it has no index on
 * due_us. */
static bool read_retries(struct store_db *c, int64_t until_us, size_t max, struct arena *a,
                         GArray *rows, GError **error)
{
    struct store_value values[] = {VALUE_INTEGER(until_us),
                                   VALUE_INTEGER((int64_t)MIN(max, G_MAXINT64))};
    sqlite3_stmt *statement = store_db_bind(c, ST_DUE_RETRIES, values, 2, error);
    int code;

    if (statement == NULL)
        return false;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct store_retry row = read_retry(statement, a);

        g_array_append_val(rows, row);
    }
    return store_db_end(c, statement, code, error);
}

/* Reads beside the writer. The array is copied into the arena at the end, when its length is known.
 */
bool store_sqlite_retries(struct store *store, int64_t until_us, size_t max, struct arena *a,
                          struct store_retry **out, size_t *count, GError **error)
{
    struct store_sqlite *s = (struct store_sqlite *)store;
    g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(struct store_retry));
    struct store_db *c = store_sqlite_begin_read(s, error);
    bool ok;

    if (c == NULL)
        return false;
    ok = read_retries(c, until_us, max, a, rows, error);
    store_sqlite_end_read(s, c);
    if (!ok)
        return false;
    *count = rows->len;
    *out = ARENA_NEW(a, struct store_retry, rows->len);
    if (rows->len > 0)
        memcpy(*out, rows->data, rows->len * sizeof(**out));
    return true;
}
