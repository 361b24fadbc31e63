/* Which ids were processed, exactly.
 *
 *   (source, id) ─hash─▶ fingerprint ─index─▶ candidate seqs ─row─▶ same source and id? then seen
 *
 * A unique index on random ids is the most expensive thing a database of events can have: each
 * insert touches a random page, and the cost grows with the table. So the table is append-only and
 * the index is in memory: 64-bit fingerprints to seqs. A fingerprint alone proves nothing; a hit is
 * verified against the row, and no row is needed for the usual answer "new".
 * Rebuilding at open reads every row once (20 million rows: a few seconds).
 *
 * When the memory limit is reached, an ordinary SQL index is made, once, and asked from then on.
 * It is dropped again at an open with enough memory: kept, it would go on costing every insert.
 *
 * Look-ups by id alone (people rarely know the source) try every source seen so far: there are
 * few. With more than SQLITE_STORE_SOURCES_MAX of them such a look-up reads the rows instead.
 */
#include "store/sqlite_internal.h"

#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"

#define PROGRESS_US   (2 * 1000 * 1000) /* between two lines of progress */
#define PROGRESS_ROWS 65536             /* rows between two looks at the clock */

/* ---- sources --------------------------------------------------------------------------------- */

/* The set's keys are slices in d->names; a look-up uses one on the stack, so no bytes are copied.
 */
static guint source_hash(gconstpointer key)
{
    return (guint)hash64(*(const struct slice *)key);
}

static gboolean source_equal(gconstpointer a, gconstpointer b)
{
    return slice_equal(*(const struct slice *)a, *(const struct slice *)b);
}

/* No index yet: until load has run every answer would be wrong, and nobody can ask. */
void store_dedupe_init(struct store_sqlite *s, size_t memory_max)
{
    struct store_dedupe *d = &s->dedupe;

    g_mutex_init(&d->lock);
    arena_init(&d->names);
    d->memory_max = memory_max;
    d->sources = g_hash_table_new(source_hash, source_equal);
}

/* From now on nobody knows all sources, and look-ups by id alone scan. Never undone before the next
 * open: a set with holes would miss events. */
static void forget_sources(struct store_dedupe *d)
{
    if (d->sources != NULL)
        g_hash_table_unref(g_steal_pointer(&d->sources));
    d->last_source = NULL;
    arena_done(&d->names);
}

void store_dedupe_done(struct store_sqlite *s)
{
    forget_sources(&s->dedupe);
    fp_index_free(s->dedupe.index);
    g_mutex_clear(&s->dedupe.lock);
}

/* Notes a source that rows may have. Sources are few, and mostly the one before; beyond the limit a
 * look-up without source scans. Under lock, or at open. A source is noted before its rows can be
 * found, so the set is never behind the index. */
static void remember_source(struct store_dedupe *d, struct slice source)
{
    struct slice *copy;

    if (d->sources == NULL || (d->last_source != NULL && slice_equal(*d->last_source, source)))
        return;
    d->last_source = g_hash_table_lookup(d->sources, &source);
    if (d->last_source != NULL)
        return;
    if (g_hash_table_size(d->sources) >= SQLITE_STORE_SOURCES_MAX) {
        forget_sources(d);
        return;
    }
    copy = ARENA_NEW(&d->names, struct slice, 1);
    *copy = arena_copy(&d->names, source);
    g_hash_table_add(d->sources, copy);
    d->last_source = copy;
}

/* ---- moving between memory and disk ---------------------------------------------------------- */

/* A body of store_sqlite_write: the index exists whole or not at all. It may exist already, when an
 * earlier process made it and died before it could say so. */
static bool create_disk_index(struct store_sqlite *s, void *user, GError **error)
{
    (void)user;
    return store_db_execute(
        s->writer, "CREATE INDEX IF NOT EXISTS processed_by_id ON processed (event_id, source)",
        error);
}

/* A body of store_sqlite_write. The file does not shrink; the pages are used again for rows. */
static bool drop_disk_index(struct store_sqlite *s, void *user, GError **error)
{
    (void)user;
    return store_db_execute(s->writer, "DROP INDEX IF EXISTS processed_by_id", error);
}

/* From here on SQL is asked. The big block is freed outside the lock. */
static void use_disk(struct store_dedupe *d)
{
    struct fp_index *index;

    g_mutex_lock(&d->lock);
    index = g_steal_pointer(&d->index);
    d->is_on_disk = true;
    g_mutex_unlock(&d->lock);
    fp_index_free(index);
}

/* Blocks the worker for as long as sorting all ids takes; hence the two lines in the log. After a
 * failure the index in memory is still there and true. */
static bool move_to_disk(struct store_sqlite *s, GError **error)
{
    int64_t start_us = clock_monotonic_us();

    log_warn(LOG_MSG("the index of event ids is larger than its memory limit, making one on disk"),
             LOG_STRING("file", s->path), LOG_INT("memory_max", (int64_t)s->dedupe.memory_max));
    if (!store_sqlite_write(s, create_disk_index, NULL, error))
        return false;
    use_disk(&s->dedupe);
    log_info(LOG_MSG("index of event ids made on disk"), LOG_STRING("file", s->path),
             LOG_INT("duration_ms", (clock_monotonic_us() - start_us) / 1000));
    return true;
}

/* ---- loading --------------------------------------------------------------------------------- */

/* The scan at open, for its progress lines. */
struct load {
    int64_t rows, total;  /* read so far; expected, by the counter */
    int64_t next_line_us; /* monotonic */
    bool is_full;         /* the memory limit was reached on the way */
};

/* A start that takes long says so. The clock is read only every PROGRESS_ROWS rows. */
static void report(struct load *load)
{
    if (load->rows % PROGRESS_ROWS != 0 || clock_monotonic_us() < load->next_line_us)
        return;
    load->next_line_us = clock_monotonic_us() + PROGRESS_US;
    log_info(LOG_MSG("reading event ids"), LOG_INT("rows", load->rows),
             LOG_INT("total", load->total));
}

/* Files every processed row under its fingerprint and notes its source. A full index ends the scan
 * without error and sets is_full; the caller then drops what was gathered. */
static bool scan_rows(struct store_sqlite *s, struct store_db *c, struct load *load, GError **error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(c->db, "SELECT seq, source, event_id FROM processed", -1,
                                  &statement, NULL);

    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct slice source = store_db_column(statement, 1);
        uint64_t fingerprint = hash64_pair(source, store_db_column(statement, 2));

        remember_source(&s->dedupe, source);
        if (!fp_index_add(s->dedupe.index, fingerprint, sqlite3_column_int64(statement, 0))) {
            load->is_full = true;
            code = SQLITE_DONE; /* the limit is no error of the scan */
            break;
        }
        load->rows++;
        report(load);
        code = SQLITE_OK;
    }
    if (code != SQLITE_DONE && code != SQLITE_OK)
        store_db_fail(c, code, "cannot read the event ids", error);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE || code == SQLITE_OK;
}

/* How many rows there are to read, and whether the index on disk exists. The counter equals the
 * rows, and counting them would cost a scan of its own. */
static bool query_state(struct store_db *c, int64_t *rows, bool *has_index, GError **error)
{
    static const char sql[] = "SELECT (SELECT value FROM counters WHERE name = 'processed'), "
                              "EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'processed_by_id')";
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(c->db, sql, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *rows = sqlite3_column_int64(statement, 0);
        *has_index = sqlite3_column_int(statement, 1) != 0;
    } else {
        store_db_fail(c, code, "cannot read", error);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW;
}

/* Builds the index in memory if it fits; *is_loaded says whether it did, d->index is NULL if not.
 * An index on disk is given up only when memory has room to grow by half, so that a store near the
 * limit does not make and drop it in turn. */
static bool load_memory(struct store_sqlite *s, struct store_db *c, int64_t rows, bool has_index,
                        bool *is_loaded, GError **error)
{
    struct store_dedupe *d = &s->dedupe;
    struct load load = {.total = rows, .next_line_us = clock_monotonic_us() + PROGRESS_US};
    size_t room = (size_t)(has_index ? rows + rows / 2 : rows);

    *is_loaded = false;
    d->index = fp_index_new(d->memory_max);
    if (fp_index_reserve(d->index, room)) {
        if (!scan_rows(s, c, &load, error))
            return false;
        *is_loaded = !load.is_full;
    }
    if (!*is_loaded)
        fp_index_free(g_steal_pointer(&d->index));
    return true;
}

/* The counter tells the size beforehand, so the table is made once, or not at all. A reader builds
 * none: doctor asks for no ids. The index on disk is dropped only after the one in memory is whole.
 */
bool store_dedupe_load(struct store_sqlite *s, GError **error)
{
    struct store_db *c = store_sqlite_begin_read(s, error);
    bool is_loaded = false, ok;
    int64_t rows = 0;

    if (c == NULL)
        return false;
    ok = query_state(c, &rows, &s->dedupe.is_on_disk, error) &&
         (s->read_only || load_memory(s, c, rows, s->dedupe.is_on_disk, &is_loaded, error));
    store_sqlite_end_read(s, c);
    if (!ok || s->read_only)
        return ok;
    if (!is_loaded)
        return s->dedupe.is_on_disk || move_to_disk(s, error);
    if (s->dedupe.is_on_disk && !store_sqlite_write(s, drop_disk_index, NULL, error))
        return false;
    s->dedupe.is_on_disk = false;
    return true;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Appends what the index has for one fingerprint, as candidates for that key. Under lock. More than
 * a few with one fingerprint are improbable, but a missed one would be a double grant: so the count
 * is asked first and the rest fetched. */
static void collect(const struct store_dedupe *d, size_t key, uint64_t fingerprint,
                    GArray *candidates)
{
    int64_t few[8];
    g_autofree int64_t *many = NULL;
    const int64_t *seqs = few;
    size_t count = fp_index_find(d->index, fingerprint, few, G_N_ELEMENTS(few));

    if (count > G_N_ELEMENTS(few)) {
        many = g_new(int64_t, count);
        fp_index_find(d->index, fingerprint, many, count);
        seqs = many;
    }
    for (size_t i = 0; i < count; i++) {
        struct store_dedupe_candidate candidate = {.key = key, .seq = seqs[i]};

        g_array_append_val(candidates, candidate);
    }
}

/* Called before the transaction, because making the index on disk is one of its own. Only the
 * worker adds, so the room found here is still there afterwards. On the move to disk the candidates
 * found so far are not needed: SQL will be asked for every id. */
bool store_dedupe_prepare(struct store_sqlite *s, const struct store_dedupe_entry *entries,
                          size_t count, GArray *candidates, bool *is_on_disk, GError **error)
{
    struct store_dedupe *d = &s->dedupe;
    bool has_room = true;

    g_mutex_lock(&d->lock);
    *is_on_disk = d->index == NULL;
    if (d->index != NULL)
        has_room = fp_index_reserve(d->index, fp_index_count(d->index) + count);
    for (size_t i = 0; d->index != NULL && has_room && i < count; i++)
        collect(d, i, entries[i].fingerprint, candidates);
    g_mutex_unlock(&d->lock);
    if (has_room)
        return true;
    *is_on_disk = true;
    return move_to_disk(s, error);
}

/* Never fails and does no I/O: what is committed cannot be taken back. Ids on disk need no adding,
 * SQLite has done it with the row; their sources are remembered all the same. */
void store_dedupe_add(struct store_sqlite *s, const struct store_dedupe_entry *entries,
                      size_t count)
{
    struct store_dedupe *d = &s->dedupe;

    g_mutex_lock(&d->lock);
    for (size_t i = 0; i < count; i++) {
        remember_source(d, entries[i].outcome->source);
        if (d->index != NULL && !fp_index_add(d->index, entries[i].fingerprint, entries[i].seq))
            g_assert_not_reached(); /* prepare made the room, and only this thread adds */
    }
    g_mutex_unlock(&d->lock);
}

/* The row counts only when it really is that id; else *seq and *digest stay as they are. A digest
 * of another length cannot be ours: it stays zero, which reads as a conflict and is refused. */
static void read_found(sqlite3_stmt *statement, const struct store_key *key, int64_t *seq,
                       struct hash_digest *digest)
{
    struct slice stored = store_db_column(statement, 3);

    if (!slice_equal(store_db_column(statement, 1), key->source) ||
        !slice_equal(store_db_column(statement, 2), key->event_id))
        return;
    *seq = sqlite3_column_int64(statement, 0);
    if (digest != NULL && stored.size == sizeof(digest->bytes))
        memcpy(digest->bytes, stored.data, stored.size);
}

/* Both statements give the same columns; the comparison is done here in any case. A candidate whose
 * row is not there (rolled back, or not ours) is no error: *seq stays 0. */
bool store_dedupe_verify(struct store_db *c, const struct store_key *key, int64_t candidate,
                         int64_t *seq, struct hash_digest *digest, GError **error)
{
    struct store_value by_seq[] = {VALUE_INTEGER(candidate)};
    struct store_value by_id[] = {VALUE_TEXT(key->event_id), VALUE_TEXT(key->source)};
    sqlite3_stmt *statement = candidate > 0 ? store_db_bind(c, ST_FIND_BY_SEQ, by_seq, 1, error)
                                            : store_db_bind(c, ST_FIND_BY_ID, by_id, 2, error);
    int code;

    *seq = 0;
    if (statement == NULL)
        return false;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        read_found(statement, key, seq, digest);
    return store_db_end(c, statement, code, error);
}

/* The same id: is it the same event? */
static void note_seen(struct store_seen *out, const struct store_key *key, int64_t seq,
                      const struct hash_digest *digest)
{
    bool same = memcmp(digest->bytes, key->digest.bytes, sizeof(digest->bytes)) == 0;

    out->seq = seq;
    out->kind = same ? STORE_SEEN_SAME : STORE_SEEN_CONFLICT;
}

/* Verifies one key: by candidate position, or (0) by asking SQL. *out stays NEW unless the row is
 * that id; a second candidate of the same key cannot undo the first. */
static bool see_one(struct store_db *c, const struct store_key *key, int64_t candidate,
                    struct store_seen *out, GError **error)
{
    struct hash_digest digest = {{0}};
    int64_t seq;

    if (!store_dedupe_verify(c, key, candidate, &seq, &digest, error))
        return false;
    if (seq > 0)
        note_seen(out, key, seq, &digest);
    return true;
}

/* Verifies the candidates (NULL: every key through SQL) in one read transaction. No candidate, no
 * I/O: the usual case of a batch of new events. */
static bool see_all(struct store_sqlite *s, const struct store_key *keys, size_t count,
                    const GArray *candidates, struct store_seen *out, GError **error)
{
    size_t todo = candidates != NULL ? candidates->len : count;
    struct store_db *c;
    bool ok = true;

    if (todo == 0)
        return true;
    c = store_sqlite_begin_read(s, error);
    if (c == NULL)
        return false;
    for (size_t i = 0; ok && i < todo; i++) {
        struct store_dedupe_candidate one = {.key = i};

        if (candidates != NULL)
            one = g_array_index(candidates, struct store_dedupe_candidate, i);
        ok = see_one(c, &keys[one.key], one.seq, &out[one.key], error);
    }
    store_sqlite_end_read(s, c);
    return ok;
}

/* The lock is held for the hash table only; rows are read after it is gone. What the index knows is
 * committed, so the reader that starts afterwards finds the rows. */
bool store_sqlite_seen(struct store *store, const struct store_key *keys, size_t count,
                       struct store_seen *out, GError **error)
{
    struct store_sqlite *s = (struct store_sqlite *)store;
    g_autoptr(GArray) candidates = g_array_new(FALSE, FALSE, sizeof(struct store_dedupe_candidate));
    bool is_in_memory;

    memset(out, 0, count * sizeof(*out)); /* STORE_SEEN_NEW */
    g_mutex_lock(&s->dedupe.lock);
    is_in_memory = s->dedupe.index != NULL;
    for (size_t i = 0; is_in_memory && i < count; i++)
        collect(&s->dedupe, i, hash64_pair(keys[i].source, keys[i].event_id), candidates);
    g_mutex_unlock(&s->dedupe.lock);
    return see_all(s, keys, count, is_in_memory ? candidates : NULL, out, error);
}

/* The same id may have come from several sources: the candidates of all of them. Under lock. */
static void collect_every_source(const struct store_dedupe *d, struct slice event_id, GArray *found)
{
    GHashTableIter iter;
    gpointer name;

    g_hash_table_iter_init(&iter, d->sources);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        collect(d, 0, hash64_pair(*(const struct slice *)name, event_id), found);
}

/* Candidates may be wrong (another id with the same fingerprint), never incomplete: when that
 * cannot be promised the answer is SCAN. */
enum store_dedupe_way store_dedupe_candidates(struct store_sqlite *s, struct slice event_id,
                                              bool has_source, struct slice source, GArray *seqs)
{
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(struct store_dedupe_candidate));
    struct store_dedupe *d = &s->dedupe;
    enum store_dedupe_way way = STORE_WAY_SEQS;

    g_mutex_lock(&d->lock);
    if (d->index == NULL)
        way = d->is_on_disk ? STORE_WAY_SQL : STORE_WAY_SCAN;
    else if (has_source)
        collect(d, 0, hash64_pair(source, event_id), found);
    else if (d->sources != NULL)
        collect_every_source(d, event_id, found);
    else
        way = STORE_WAY_SCAN;
    g_mutex_unlock(&d->lock);
    for (guint i = 0; i < found->len; i++)
        g_array_append_val(seqs, g_array_index(found, struct store_dedupe_candidate, i).seq);
    return way;
}

/* One moment under the lock. On disk SQLite keeps the entries, so both figures are then 0. */
void store_dedupe_describe(struct store_sqlite *s, struct store_summary *out)
{
    struct store_dedupe *d = &s->dedupe;

    g_mutex_lock(&d->lock);
    out->dedupe_on_disk = d->is_on_disk;
    out->dedupe_entries = d->index != NULL ? (int64_t)fp_index_count(d->index) : 0;
    out->dedupe_memory = d->index != NULL ? (int64_t)fp_index_memory(d->index) : 0;
    g_mutex_unlock(&d->lock);
}
