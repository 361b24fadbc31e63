/* Integrity, as questions whose every answer is a problem.
 *
 * QUICK asks SQLite whether its pages and indexes are sound. FULL also recomputes every row's
 * checksum (a flipped bit in a text is sound to SQLite), compares the counters with the rows,
 * matches with their events, and looks for ids that were processed twice. All within one read
 * transaction, so that a store in use is not blamed for what changes meanwhile.
 */
#include "store/sqlite_internal.h"

#include "common/error.h"
#include "common/sqlite_compare.h"

#define PROBLEMS_MAX 20 /* of one kind; more would only repeat */

/* A question whose every answer row is a problem: its first column is the text. */
struct question {
    const char *what; /* what it is about, in front of each problem */
    const char *sql;  /* no parameters; read-only */
};

static const struct question quick_questions[] = {
    {"quick check", "SELECT quick_check FROM pragma_quick_check(20) WHERE quick_check <> 'ok'"},
};

/* A counter against the rows that it counts. IS NOT also notices a counter that is gone. */
#define COUNTER(name) "(SELECT value FROM counters WHERE name = '" name "')"
#define DIFFERS(name, counted)                                                                     \
    "SELECT 'the counter is ' || " COUNTER(name) " || ', the rows say ' || (" counted ") "         \
                                                 "WHERE " COUNTER(name) " IS NOT (" counted ")"

/* The columns of each row_checksum stand in the order in which the row was hashed when written
 * (sqlite_settle.c, sqlite_campaigns.c); columns that change later are left out there and here. */
static const struct question full_questions[] = {
    {"integrity",
     "SELECT integrity_check FROM pragma_integrity_check(20) WHERE integrity_check <> 'ok'"},
    /* A flipped bit in a text is sound to SQLite and shows here only. */
    {"processed rows",
     "SELECT 'the row with seq ' || seq || ' does not fit its checksum' FROM processed "
     "WHERE checksum <> row_checksum(seq, event_id, source, event_type, customer_id, "
     "correlation_id, at_us, received_at_us, processed_at_us, processing_us, worker_id, attempt, "
     "match_count, digest)"},
    {"match rows",
     "SELECT 'the row of campaign ' || campaign_id || ' and seq ' || seq || ' does not fit its "
     "checksum' FROM matches WHERE checksum <> row_checksum(campaign_id, seq, campaign_version, "
     "outcome, rewards, matched_at_us)"},
    {"failed rows",
     "SELECT 'the row with id ' || id || ' does not fit its checksum' FROM failed "
     "WHERE checksum <> row_checksum(seq, event_id, source, event_type, customer_id, "
     "correlation_id, reason, error, attempts, body, received_at_us, first_failed_at_us, "
     "last_failed_at_us)"},
    {"campaign rows",
     "SELECT 'version ' || version || ' of campaign ' || campaign_id || ' does not fit its "
     "checksum' FROM campaign_versions WHERE checksum <> row_checksum(campaign_id, version, name, "
     "status, document, created_at_us, updated_at_us)"},
    /* A change writes version and head together, so the head points to the newest version. */
    {"campaigns",
     "SELECT 'campaign ' || campaign_id || ' points to version ' || version || ', which is not "
     "its newest' FROM campaign_heads AS h WHERE version IS NOT "
     "(SELECT max(version) FROM campaign_versions AS v WHERE v.campaign_id = h.campaign_id)"},
    /* The counters against the rows that settle counted into them. */
    {"processed count", DIFFERS("processed", "SELECT count(*) FROM processed")},
    {"failed count", DIFFERS("failed", "SELECT count(*) FROM failed")},
    {"matches count", DIFFERS("matches", "SELECT count(*) FROM matches")},
    {"replayed count",
     DIFFERS("replayed", "SELECT count(*) FROM failed WHERE replayed_at_us IS NOT NULL")},
    {"duplicate count", DIFFERS("duplicate", "SELECT coalesce(sum(duplicates), 0) FROM processed")},
    /* Every event says how many matches it had: one that is lost from either table shows. */
    {"match counts",
     "SELECT 'processed rows speak of ' || (SELECT coalesce(sum(match_count), 0) FROM processed) "
     "|| ' matches, there are ' || (SELECT count(*) FROM matches) WHERE "
     "(SELECT coalesce(sum(match_count), 0) FROM processed) <> (SELECT count(*) FROM matches)"},
    {"matches",
     "SELECT 'the match of campaign ' || m.campaign_id || ' and seq ' || m.seq || ' has no "
     "processed row' FROM matches AS m WHERE NOT EXISTS "
     "(SELECT 1 FROM processed AS p WHERE p.seq = m.seq)"},
    /* The promise itself, proved without any index. Sorts all ids, the dearest question of all. */
    {"unique ids",
     "SELECT 'the id of seq ' || seq || ' was processed twice' FROM (SELECT seq, row_number() "
     "OVER (PARTITION BY event_id, source ORDER BY seq) AS nth FROM processed) WHERE nth > 1"},
    /* What changes later has a checksum of its own. */
    {"replays",
     "SELECT 'the replay of failure ' || id || ' does not fit its checksum' FROM failed "
     "WHERE replay_checksum IS NOT CASE WHEN replayed_at_us IS NULL AND replay_seq IS NULL "
     "THEN NULL ELSE row_checksum(id, replayed_at_us, replay_seq) END"},
    {"retry rows",
     "SELECT 'the row with seq ' || seq || ' does not fit its checksum' FROM retries WHERE "
     "checksum IS NOT row_checksum(seq, attempt, due_us, first_failed_at_us, reason, error)"},
    {"campaign heads",
     "SELECT 'the row of campaign ' || campaign_id || ' does not fit its checksum' FROM "
     "campaign_heads WHERE checksum IS NOT "
     "row_checksum(campaign_id, version, deleted_at_us, generation)"},
    /* Every change makes a generation and puts it into the head that it changes. */
    {"campaign generation",
     DIFFERS("campaign_generation", "SELECT coalesce(max(generation), 0) FROM campaign_heads")},
    {"active count",
     DIFFERS("campaigns_active", "SELECT count(*) FROM campaign_heads AS h JOIN campaign_versions "
                                 "AS v ON v.campaign_id = h.campaign_id AND v.version = h.version "
                                 "WHERE h.deleted_at_us IS NULL AND v.status = 'active'")},
    {"counter rows", "SELECT 'the counter ' || name || ' does not fit its checksum' FROM counters "
                     "WHERE checksum IS NOT row_checksum(name, value)"},
    {"migration rows",
     "SELECT 'the row ' || number || ' does not fit its checksum' FROM migrations "
     "WHERE checksum IS NOT row_checksum(number, name, applied_at_us)"},
    {"failure ids",
     "SELECT 'the newest failure is ' || max(id) || ', which is not the last one given' FROM "
     "failed HAVING max(id) IS NOT (SELECT seq FROM sqlite_sequence WHERE name = 'failed')"},
};

/* Appends a line for each answer, PROBLEMS_MAX at most. A damaged page ends the question, and is
 * the answer. false only when the question could not be asked, e.g. for a busy file. */
static bool ask(struct store_db *c, const struct question *q, GPtrArray *problems, GError **error)
{
    g_autoptr(GError) problem = NULL;
    sqlite3_stmt *st = NULL;
    int code = sqlite3_prepare_v2(c->db, q->sql, -1, &st, NULL);
    int count = 0;

    while ((code == SQLITE_OK || code == SQLITE_ROW) && count < PROBLEMS_MAX &&
           (code = sqlite3_step(st)) == SQLITE_ROW) {
        struct slice text = store_db_column(st, 0);

        g_ptr_array_add(problems,
                        g_strdup_printf("%s: %s: %.*s", c->path, q->what, SLICE_ARG(text)));
        count++;
    }
    if (code != SQLITE_DONE && code != SQLITE_ROW)
        store_db_fail(c, code, q->what, &problem);
    sqlite3_finalize(st);
    if (problem == NULL)
        return true;
    if (g_error_matches(problem, EF_ERROR, EF_ERROR_CORRUPT)) {
        g_ptr_array_add(problems, g_strdup(problem->message));
        return true;
    }
    g_propagate_error(error, g_steal_pointer(&problem));
    return false;
}

/* Every question is asked, whatever the ones before have found: damage in one table says nothing
 * about the others. */
static bool ask_all(struct store_db *c, const struct question *questions, size_t count,
                    GPtrArray *problems, GError **error)
{
    for (size_t i = 0; i < count; i++)
        if (!ask(c, &questions[i], problems, error))
            return false;
    return true;
}

/* The schema against that of a new database. */
static bool check_schema(struct store_db *c, GPtrArray *problems, GError **error)
{
    struct store_db *fresh = store_db_open(":memory:", c->path, SQLITE_OPEN_READWRITE, error);
    bool ok = fresh != NULL && store_sqlite_make_schema(fresh, error);

    if (ok) {
        int code = sqlite_compare_schema(c->db, fresh->db, c->path, problems);

        ok = code == SQLITE_OK || store_db_fail(c, code, "cannot read the schema", error);
    }
    store_db_close(fresh);
    return ok;
}

/* A dead store cannot be healthy, whatever the file looks like. */
static bool is_alive(struct store_sqlite *s, GError **error)
{
    if (!g_atomic_int_get(&s->is_dead))
        return true;
    g_set_error(error, EF_ERROR, EF_ERROR_FATAL, "%s: an earlier write failed", s->path);
    return false;
}

/* Reads only, on a pooled connection; the worker goes on meanwhile. PING touches one row, which is
 * enough to notice a file that cannot be read. */
bool store_sqlite_check(struct store *store, enum store_check level, GPtrArray *problems,
                        GError **error)
{
    struct store_sqlite *s = (struct store_sqlite *)store;
    struct store_db *c;
    bool ok;

    if (!is_alive(s, error))
        return false;
    c = store_sqlite_begin_read(s, error);
    if (c == NULL)
        return false;
    if (level == STORE_CHECK_PING)
        ok = store_db_run(c, ST_GENERATION, NULL, 0, error);
    else if (level == STORE_CHECK_QUICK)
        ok = ask_all(c, quick_questions, G_N_ELEMENTS(quick_questions), problems, error);
    else
        ok = check_schema(c, problems, error) &&
             ask_all(c, full_questions, G_N_ELEMENTS(full_questions), problems, error);
    store_sqlite_end_read(s, c);
    return ok;
}
