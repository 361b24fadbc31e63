/* What only the SQLite store promises: its file, its names, its behaviour on damage. It looks
 * inside only to bring about what a full disk or a busy file would. */
#include "store_world.h"

#include "common/log.h"
#include "store/sqlite_internal.h"

#include <signal.h>
#include <sys/resource.h>

/* ---- helpers --------------------------------------------------------------------------------- */

static char *db_path(const struct world *w)
{
    return g_build_filename(w->folder, "eventflow.db", NULL);
}

/* Runs SQL on the file through a connection of its own, as somebody with a shell would. Owned by
 * caller: the first column of all rows, joined by '|'. */
static char *shell(struct world *w, const char *sql)
{
    g_autofree char *path = db_path(w);
    GString *text = g_string_new(NULL);
    sqlite3_stmt *st = NULL;
    sqlite3 *db = NULL;
    const char *tail = sql;

    g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
    while (*tail != '\0') {
        g_assert_cmpint(sqlite3_prepare_v2(db, tail, -1, &st, &tail), ==, SQLITE_OK);
        while (sqlite3_step(st) == SQLITE_ROW)
            g_string_append_printf(text, "%s%s", text->len > 0 ? "|" : "",
                                   (const char *)sqlite3_column_text(st, 0));
        g_assert_cmpint(sqlite3_finalize(st), ==, SQLITE_OK);
    }
    g_assert_cmpint(sqlite3_close(db), ==, SQLITE_OK);
    return g_string_free(text, FALSE);
}

static void assert_shell(struct world *w, const char *sql, const char *expected)
{
    g_autofree char *answer = shell(w, sql);

    g_assert_cmpstr(answer, ==, expected);
}

static void run_shell(struct world *w, const char *sql)
{
    g_free(shell(w, sql));
}

/* The store must not open; its message names the file. */
static void assert_refused(struct world *w, bool read_only, int code)
{
    struct store_options options = {.folder = w->folder, .read_only = read_only};
    g_autofree char *path = db_path(w);
    g_autoptr(GError) error = NULL;

    g_assert_null(store_open(&store_sqlite_ops, &options, &error));
    g_assert_error(error, EF_ERROR, code);
    g_assert_nonnull(strstr(error->message, path));
}

/* Closes the store and leaves an empty, closed world: the test opens what it needs. */
static void close_store(struct world *w)
{
    store_close(g_steal_pointer(&w->s));
}

static GPtrArray *check(struct world *w, enum store_check level)
{
    GPtrArray *problems = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;

    g_assert_true(store_check(w->s, level, problems, &error));
    g_assert_no_error(error);
    return problems;
}

static void assert_problem(struct world *w, const char *part)
{
    g_autoptr(GPtrArray) problems = check(w, STORE_CHECK_FULL);

    g_assert_cmpuint(problems->len, >, 0);
    g_assert_nonnull(strstr(problems->pdata[0], part));
}

static void assert_sound(struct world *w)
{
    g_autoptr(GPtrArray) problems = check(w, STORE_CHECK_FULL);

    g_assert_cmpuint(problems->len, ==, 0);
}

/* ---- names and settings ---------------------------------------------------------------------- */

static void the_names_are_readable_while_it_runs(struct world *w)
{
    struct store_outcome old = processed(3, "e3");

    settle_matched(w, 1, "e1", "big");
    settle_one(w, failed(2, "e2", "invalid"));
    must_change(w, STORE_CAMPAIGN_CREATE, "big");
    old.at_us = -1; /* before 1970 */
    settle_one(w, old);
    assert_shell(w, "SELECT event_id FROM processed_events ORDER BY seq", "e1|e3");
    assert_shell(w, "SELECT campaign_id || ' ' || event_id FROM campaign_matches", "big e1");
    assert_shell(w, "SELECT count(*) FROM campaign_matches WHERE event_id = 'e1'", "1");
    assert_shell(w, "SELECT event_id || ' ' || reason || ' ' || body FROM failed_events",
                 "e2 invalid {\"a\":1}");
    assert_shell(w, "SELECT id || ' ' || version FROM campaigns", "big 1");
    assert_shell(w, "SELECT timestamp FROM processed_events ORDER BY seq",
                 "2023-11-14T22:13:20.000001Z|1969-12-31T23:59:59.999999Z");
    assert_shell(w, "SELECT matched_at FROM campaign_matches", "2023-11-14T22:13:20.002001Z");
    assert_shell(w, "SELECT replayed_at IS NULL FROM failed_events", "1");
    assert_shell(w, "SELECT created_at FROM campaigns", "2023-11-14T22:13:20.000000Z");
}

static void the_file_says_what_it_is(struct world *w)
{
    assert_shell(w, "PRAGMA journal_mode", "wal");
    assert_shell(w, "PRAGMA user_version", "3");
    assert_shell(w, "PRAGMA application_id", "1162234963");
    assert_shell(w, "SELECT number || name FROM migrations", "1init|2checksums|3campaign_changes");
}

static void ids_have_no_sql_index_while_memory_suffices(struct world *w)
{
    static const char sql[] = "SELECT count(*) FROM sqlite_schema WHERE name = 'processed_by_id'";

    settle_one(w, processed(1, "e1"));
    assert_shell(w, sql, "0");
    g_assert_false(summary(w).dedupe_on_disk);
    g_assert_cmpint(summary(w).dedupe_entries, ==, 1);
    g_assert_cmpint(summary(w).dedupe_memory, >, 0);
}

/* Two ids with one fingerprint cannot be made on purpose; so the row of another id is offered. */
static void a_fingerprint_alone_proves_nothing(struct world *w)
{
    struct store_sqlite *s = (struct store_sqlite *)w->s;
    struct store_key right = {.source = SLICE("web"), .event_id = SLICE("e1")};
    struct store_key wrong[] = {{.source = SLICE("web"), .event_id = SLICE("e2")},
                                {.source = SLICE("shop"), .event_id = SLICE("e1")}};
    struct store_db *c;
    int64_t seq;

    settle_one(w, processed(1, "e1"));
    c = store_sqlite_begin_read(s, NULL);
    g_assert_true(store_dedupe_verify(c, &right, 1, &seq, NULL, NULL));
    g_assert_cmpint(seq, ==, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_assert_true(store_dedupe_verify(c, &wrong[i], 1, &seq, NULL, NULL));
        g_assert_cmpint(seq, ==, 0);
    }
    store_sqlite_end_read(s, c);
}

/* ---- the index on disk ----------------------------------------------------------------------- */

static void reopen_with_limit(struct world *w, size_t dedupe_max)
{
    struct store_options options = {.folder = w->folder, .dedupe_memory_max = dedupe_max};

    close_store(w);
    w->s = open_backend("sqlite", &options);
}

static void settle_range(struct world *w, int64_t from, int64_t to)
{
    for (int64_t seq = from; seq <= to; seq++)
        settle_one(w, processed(seq, arena_printf(&w->arena, "e%d", (int)seq)));
}

static void assert_range(struct world *w, int64_t from, int64_t to)
{
    for (int64_t seq = from; seq <= to; seq++)
        g_assert_cmpint(seen_seq(w, arena_printf(&w->arena, "e%d", (int)seq)), ==, seq);
    g_assert_cmpint(seen_seq(w, "e0"), ==, 0);
}

/* 64 slots of 16 bytes hold 51 ids; growing needs the double beside them. */
static void past_its_limit_the_index_moves_to_disk(struct world *w)
{
    struct store_outcome again = processed(999, "e7");

    reopen_with_limit(w, 64 * 16);
    settle_range(w, 1, 51);
    g_assert_false(summary(w).dedupe_on_disk);
    settle_range(w, 52, 60);
    g_assert_true(summary(w).dedupe_on_disk);
    g_assert_cmpint(summary(w).dedupe_memory, ==, 0);
    assert_range(w, 1, 60);
    settle_refused(w, &again, 1, EF_ERROR_CONFLICT);
    assert_list(w, "7", .event_id = SLICE("e7"));
    reopen_with_limit(w, 64 * 16);
    g_assert_true(summary(w).dedupe_on_disk);
    assert_range(w, 1, 60);
}

static void with_room_the_index_returns_to_memory(struct world *w)
{
    reopen_with_limit(w, 1);
    settle_range(w, 1, 20);
    g_assert_true(summary(w).dedupe_on_disk);
    reopen_with_limit(w, 0);
    g_assert_false(summary(w).dedupe_on_disk);
    g_assert_cmpint(summary(w).dedupe_entries, ==, 20);
    assert_range(w, 1, 20);
    assert_shell(w, "SELECT count(*) FROM sqlite_schema WHERE name = 'processed_by_id'", "0");
}

/* 40 ids would fit, but not half as many more: the next open would have to make it again. */
static void near_the_limit_the_index_stays_on_disk(struct world *w)
{
    reopen_with_limit(w, 1);
    settle_range(w, 1, 40);
    reopen_with_limit(w, 64 * 16);
    g_assert_true(summary(w).dedupe_on_disk);
    assert_range(w, 1, 40);
    reopen_with_limit(w, 128 * 16);
    g_assert_false(summary(w).dedupe_on_disk);
    assert_range(w, 1, 40);
}

/* The counter promised fewer rows than there are, so the limit is met only on the way. */
static void a_limit_met_while_loading_moves_the_index_to_disk(struct world *w)
{
    settle_range(w, 1, 60);
    run_shell(w, "UPDATE counters SET value = 1 WHERE name = 'processed'");
    reopen_with_limit(w, 64 * 16);
    g_assert_true(summary(w).dedupe_on_disk);
    g_assert_cmpint(summary(w).dedupe_memory, ==, 0);
    assert_range(w, 1, 60);
}

/* More sources than are remembered: a look-up without source then reads the rows. */
static void a_look_up_without_source_works_with_any_number_of_sources(struct world *w)
{
    enum { COUNT = 4101 };
    struct store_outcome *outcomes = g_new(struct store_outcome, COUNT);

    for (int i = 0; i < COUNT; i++) {
        outcomes[i] = processed(i + 1, i % 2050 == 0 ? "same" : "other");
        outcomes[i].source = slice_text(arena_printf(&w->arena, "s%d", i));
    }
    settle(w, outcomes, 2051);
    assert_list(w, "2051 1", .event_id = SLICE("same"));
    settle(w, outcomes + 2051, COUNT - 2051 - 1);
    settle_one(w, outcomes[COUNT - 1]); /* surely beyond what is remembered */
    assert_list(w, "4101 2051 1", .event_id = SLICE("same"));
    assert_list(w, "4101 2051 1", .event_id = SLICE("same"), .scan_max = 100);
    assert_list(w, "2051", .event_id = SLICE("same"), .has_source = true, .source = SLICE("s2050"));
    g_free(outcomes);
}

/* ---- a file that cannot be used -------------------------------------------------------------- */

static char *digest_folder(const struct world *w)
{
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autoptr(GDir) folder = g_dir_open(w->folder, 0, NULL);
    const char *name;
    char *text;

    while ((name = g_dir_read_name(folder)) != NULL) {
        g_autofree char *path = g_build_filename(w->folder, name, NULL);
        g_autofree char *bytes = NULL;
        gsize size;

        g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
        g_checksum_update(sum, (const guchar *)name, -1);
        g_checksum_update(sum, (const guchar *)bytes, (gssize)size);
    }
    text = g_strdup(g_checksum_get_string(sum));
    g_checksum_free(sum);
    return text;
}

static void a_newer_schema_is_left_untouched(struct world *w)
{
    g_autofree char *before = NULL, *after = NULL;

    close_store(w);
    run_shell(w, "PRAGMA user_version = 99");
    before = digest_folder(w);
    assert_refused(w, false, EF_ERROR_NEWER);
    assert_refused(w, true, EF_ERROR_NEWER);
    after = digest_folder(w);
    g_assert_cmpstr(before, ==, after);
}

static void write_file(struct world *w, const char *bytes, gssize size)
{
    g_autofree char *path = db_path(w);

    g_assert_true(g_file_set_contents(path, bytes, size, NULL));
}

static void what_is_no_database_is_named(struct world *w)
{
    close_store(w);
    write_file(w, "this is no database, but it is long enough to be taken for one by mistake", -1);
    assert_refused(w, false, EF_ERROR_CORRUPT);
    assert_refused(w, true, EF_ERROR_CORRUPT);
}

static void the_database_of_another_program_is_refused(struct world *w)
{
    g_autofree char *path = db_path(w);

    close_store(w);
    g_assert_cmpint(g_remove(path), ==, 0);
    run_shell(w, "CREATE TABLE bookmarks (url TEXT)");
    assert_refused(w, false, EF_ERROR_CORRUPT);
    assert_shell(w, "SELECT name FROM sqlite_schema", "bookmarks");
}

static void an_empty_file_becomes_a_database(struct world *w)
{
    close_store(w);
    write_file(w, "", 0);
    world_open(w);
    settle_one(w, processed(1, "e1"));
}

/* Overwrites one byte string in the closed file by another of the same length. */
static void replace_bytes(struct world *w, const char *from, const char *to)
{
    g_autofree char *path = db_path(w);
    g_autofree char *bytes = NULL;
    char *at = NULL;
    gsize size;

    g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    for (gsize i = 0; at == NULL && i + strlen(from) <= size; i++)
        if (memcmp(bytes + i, from, strlen(from)) == 0)
            at = bytes + i;
    g_assert_nonnull(at);
    memcpy(at, to, strlen(to));
    g_assert_true(g_file_set_contents(path, bytes, (gssize)size, NULL));
}

static void a_flipped_byte_is_found(struct world *w)
{
    struct store_outcome o = processed(1, "e1");
    struct store_match match = {SLICE("big"), 1, SLICE("rewards-here")};
    struct store_outcome f = failed(2, "e2", "invalid");

    o.customer_id = SLICE("customer-here");
    o.matches = &match;
    o.match_count = 1;
    f.body = SLICE("body-here");
    settle_one(w, o);
    settle_one(w, f);
    must_change(w, STORE_CAMPAIGN_CREATE, "big");
    world_reopen(w);
    assert_sound(w);
    close_store(w);
    replace_bytes(w, "customer-here", "customer-herf");
    world_open(w);
    assert_problem(w, "processed rows: the row with seq 1");
    close_store(w);
    replace_bytes(w, "customer-herf", "customer-here");
    replace_bytes(w, "rewards-here", "rewards-herf");
    world_open(w);
    assert_problem(w, "match rows: the row of campaign big");
    close_store(w);
    replace_bytes(w, "rewards-herf", "rewards-here");
    replace_bytes(w, "body-here", "body-herf");
    world_open(w);
    assert_problem(w, "failed rows: the row with id 1");
    close_store(w);
    replace_bytes(w, "body-herf", "body-here");
    replace_bytes(w, "{\"rules\":{}}", "{\"rulez\":{}}");
    world_open(w);
    assert_problem(w, "campaign rows: version 1 of campaign big");
}

static void counts_that_do_not_add_up_are_found(struct world *w)
{
    static const struct {
        const char *damage, *repair, *problem;
    } cases[] = {
        {"UPDATE counters SET value = value + 1 WHERE name = 'processed'",
         "UPDATE counters SET value = value - 1 WHERE name = 'processed'", "processed count"},
        {"UPDATE counters SET value = value + 1 WHERE name = 'matches'",
         "UPDATE counters SET value = value - 1 WHERE name = 'matches'", "matches count"},
        {"UPDATE counters SET value = value + 1 WHERE name = 'failed'",
         "UPDATE counters SET value = value - 1 WHERE name = 'failed'", "failed count"},
        {"UPDATE processed SET duplicates = 5 WHERE seq = 1",
         "UPDATE processed SET duplicates = 0 WHERE seq = 1", "duplicate count"},
        {"UPDATE failed SET replayed_at_us = 5", "UPDATE failed SET replayed_at_us = NULL",
         "replayed count"},
        {"UPDATE campaign_heads SET version = 2", "UPDATE campaign_heads SET version = 1",
         "campaigns: campaign big"},
        {"UPDATE counters SET value = 2 WHERE name = 'campaign_generation'",
         "UPDATE counters SET value = 1 WHERE name = 'campaign_generation'", "campaign generation"},
        {"UPDATE counters SET value = 2 WHERE name = 'campaigns_active'",
         "UPDATE counters SET value = 1 WHERE name = 'campaigns_active'", "active count"},
        {"DELETE FROM processed WHERE seq = 1", "", "processed count"},
    };

    settle_matched(w, 1, "e1", "big");
    settle_one(w, failed(2, "e2", "invalid"));
    must_change(w, STORE_CAMPAIGN_CREATE, "big");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        assert_sound(w);
        run_shell(w, cases[i].damage);
        assert_problem(w, cases[i].problem);
        run_shell(w, cases[i].repair);
    }
}

/* Values that no counter counts. Each is put back, so that the next one stands alone. */
static void a_changed_value_is_found(struct world *w)
{
    static const struct {
        const char *damage, *repair, *problem;
    } cases[] = {
        {"UPDATE campaign_heads SET deleted_at_us = 5",
         "UPDATE campaign_heads SET deleted_at_us = NULL",
         "campaign heads: the row of campaign big"},
        {"UPDATE campaign_heads SET generation = 5", "UPDATE campaign_heads SET generation = 1",
         "campaign heads: the row of campaign big"},
        {"UPDATE counters SET value = value + 1 WHERE name = 'position'",
         "UPDATE counters SET value = value - 1 WHERE name = 'position'",
         "counter rows: the counter position"},
        {"UPDATE migrations SET name = 'x' WHERE number = 2",
         "UPDATE migrations SET name = 'checksums' WHERE number = 2", "migration rows: the row 2"},
        {"UPDATE failed SET replay_seq = 5", "UPDATE failed SET replay_seq = NULL",
         "replays: the replay of failure 1"},
        {"UPDATE retries SET attempt = attempt + 1", "UPDATE retries SET attempt = attempt - 1",
         "retry rows: the row with seq 9"},
        {"DROP INDEX failed_by_reason", "CREATE INDEX failed_by_reason ON failed (reason)",
         "schema: 'failed_by_reason'"},
        {"UPDATE sqlite_sequence SET seq = 7", "", "failure ids: the newest failure is 1"},
    };
    int attempt;

    settle_one(w, failed(2, "e2", "invalid"));
    must_change(w, STORE_CAMPAIGN_CREATE, "big");
    g_assert_true(store_begin_attempt(w->s, 9, 1, &attempt, NULL));
    g_assert_true(store_begin_attempt(w->s, 9, 2, &attempt, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        assert_sound(w);
        run_shell(w, cases[i].damage);
        assert_problem(w, cases[i].problem);
        run_shell(w, cases[i].repair);
    }
}

static void a_damaged_page_is_a_problem_not_a_crash(struct world *w)
{
    g_autofree char *path = db_path(w);
    g_autofree char *bytes = NULL;
    g_autoptr(GPtrArray) problems = NULL;
    struct store_options options = {.folder = w->folder, .read_only = true};
    gsize size;

    for (int i = 0; i < 5; i++)
        settle_range(w, 1 + i * 100, 100 + i * 100);
    close_store(w);
    g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
    memset(bytes + size - 8192, 0x5a, 8192); /* the last two pages */
    write_file(w, bytes, (gssize)size);
    w->s = open_backend("sqlite", &options);
    problems = check(w, STORE_CHECK_QUICK);
    g_assert_cmpuint(problems->len, >, 0);
    g_assert_nonnull(strstr(problems->pdata[0], path));
    assert_refused(w, false, EF_ERROR_CORRUPT); /* building the index reads every row */
}

/* ---- reading only ---------------------------------------------------------------------------- */

static void reading_only_works_beside_the_running_one(struct world *w)
{
    struct store_options options = {.folder = w->folder, .read_only = true};
    struct world other = {.folder = w->folder, .backend = w->backend};
    struct store_outcome o = processed(2, "e2");
    g_autoptr(GError) error = NULL;

    settle_matched(w, 1, "e1", "big");
    other.s = open_backend("sqlite", &options);
    assert_list(&other, "1", .view = STORE_EVENTS);
    assert_list(&other, "1", .event_id = SLICE("e1"));
    g_assert_cmpint(seen_seq(&other, "e1"), ==, 1);
    assert_sound(&other);
    settle_one(w, o);
    g_assert_cmpint(summary(&other).processed, ==, 2);
    o = processed(3, "e3");
    g_assert_false(try_settle(&other, &o, 1, 3, &error));
    g_assert_error(error, EF_ERROR, EF_ERROR_INPUT);
    store_close(other.s);
    arena_done(&other.arena);
}

static void reading_only_makes_no_file(struct world *w)
{
    g_autofree char *path = db_path(w);

    close_store(w);
    g_assert_cmpint(g_remove(path), ==, 0);
    assert_refused(w, true, EF_ERROR_MISSING);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    write_file(w, "", 0);
    assert_refused(w, true, EF_ERROR_MISSING);
}

/* ---- writes that fail ------------------------------------------------------------------------ */

/* A write that fails in the middle must end the store for good: no later success may suggest that
 * everything is on disk. */
static void after_a_failed_write_nothing_is_accepted(struct world *w)
{
    struct rlimit before, small;
    struct store_outcome o = processed(2, "e2");
    g_autoptr(GPtrArray) problems = g_ptr_array_new();
    g_autoptr(GError) first = NULL, second = NULL, third = NULL;

    settle_range(w, 1, 1);
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
    small = (struct rlimit){.rlim_cur = 100, .rlim_max = before.rlim_max};
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &small), ==, 0);
    g_assert_false(try_settle(w, &o, 1, 2, &first));
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);
    g_assert_error(first, EF_ERROR, EF_ERROR_FATAL);
    g_assert_false(try_settle(w, &o, 1, 2, &second));
    g_assert_error(second, EF_ERROR, EF_ERROR_FATAL);
    g_assert_false(store_check(w->s, STORE_CHECK_PING, problems, &third));
    g_assert_error(third, EF_ERROR, EF_ERROR_FATAL);
    world_reopen(w);
    assert_range(w, 1, 1);
    settle_one(w, o);
    assert_sound(w);
}

static struct store_db *writer(struct world *w)
{
    return ((struct store_sqlite *)w->s)->writer;
}

static void a_full_disk_changes_nothing(struct world *w)
{
    struct store_outcome o = processed(2, "e2");
    struct store_match match = {SLICE("big"), 1, {0}};
    g_autofree char *huge = g_strnfill(1024 * 1024, 'x');

    /* A limit of pages is the same to SQLite as a disk without room. */
    g_assert_true(store_db_execute(writer(w), "PRAGMA max_page_count = 100", NULL));
    settle_range(w, 1, 1);
    match.rewards = slice_of(huge, 1024 * 1024);
    o.matches = &match;
    o.match_count = 1;
    settle_refused(w, &o, 1, EF_ERROR_FULL);
    o.match_count = 0;
    settle_one(w, o); /* what fits is taken */
    assert_sound(w);
}

static void a_file_held_by_another_is_tried_again_later(struct world *w)
{
    g_autofree char *path = db_path(w);
    struct store_outcome o = processed(1, "e1");
    sqlite3 *other = NULL;

    g_assert_cmpint(sqlite3_busy_timeout(writer(w)->db, 1), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_open(path, &other), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), ==, SQLITE_OK);
    settle_refused(w, &o, 1, EF_ERROR_RETRY);
    change_refused(w, STORE_CAMPAIGN_CREATE, "big", 0, EF_ERROR_RETRY);
    g_assert_cmpint(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_close(other), ==, SQLITE_OK);
    settle_one(w, o);
}

static void the_log_is_carried_into_the_file(struct world *w)
{
    g_autofree char *path = db_path(w);
    g_autofree char *log = g_strconcat(path, "-wal", NULL);
    g_autofree char *body = g_strnfill(1024 * 1024, 'x');
    struct store_outcome o = failed(1, "e1", "invalid");
    GStatBuf file;

    o.body = slice_of(body, 1024 * 1024);
    for (o.seq = 1; o.seq <= 60; o.seq++)
        settle_one(w, o);
    g_assert_cmpint(g_stat(path, &file), ==, 0);
    g_assert_cmpint(file.st_size, >, 20 * 1024 * 1024);
    g_assert_cmpint(g_stat(log, &file), ==, 0);
    g_assert_cmpint(file.st_size, <, 40 * 1024 * 1024);
}

/* Both files as they lie there while the store is open: what kill -9 would leave. */
static void copy_files(struct world *w, const char *from_end, const char *to_end)
{
    static const char *const names[] = {"eventflow.db", "eventflow.db-wal"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *name = g_build_filename(w->folder, names[i], NULL);
        g_autofree char *from = g_strconcat(name, from_end, NULL);
        g_autofree char *to = g_strconcat(name, to_end, NULL);
        g_autofree char *bytes = NULL;
        gsize size;

        g_assert_true(g_file_get_contents(from, &bytes, &size, NULL));
        g_assert_true(g_file_set_contents(to, bytes, (gssize)size, NULL));
    }
}

static void what_was_settled_is_there_after_a_crash(struct world *w)
{
    settle_range(w, 1, 3);
    copy_files(w, "", ".copy");
    close_store(w);
    copy_files(w, ".copy", "");
    world_open(w);
    assert_range(w, 1, 3);
    assert_sound(w);
}

static const struct promise promises[] = {
    PROMISE(the_names_are_readable_while_it_runs),
    PROMISE(the_file_says_what_it_is),
    PROMISE(ids_have_no_sql_index_while_memory_suffices),
    PROMISE(a_fingerprint_alone_proves_nothing),
    PROMISE(past_its_limit_the_index_moves_to_disk),
    PROMISE(with_room_the_index_returns_to_memory),
    PROMISE(near_the_limit_the_index_stays_on_disk),
    PROMISE(a_limit_met_while_loading_moves_the_index_to_disk),
    PROMISE(a_look_up_without_source_works_with_any_number_of_sources),
    PROMISE(a_newer_schema_is_left_untouched),
    PROMISE(what_is_no_database_is_named),
    PROMISE(the_database_of_another_program_is_refused),
    PROMISE(an_empty_file_becomes_a_database),
    PROMISE(a_flipped_byte_is_found),
    PROMISE(counts_that_do_not_add_up_are_found),
    PROMISE(a_changed_value_is_found),
    PROMISE(a_damaged_page_is_a_problem_not_a_crash),
    PROMISE(reading_only_works_beside_the_running_one),
    PROMISE(reading_only_makes_no_file),
    PROMISE(after_a_failed_write_nothing_is_accepted),
    PROMISE(a_full_disk_changes_nothing),
    PROMISE(a_file_held_by_another_is_tried_again_later),
    PROMISE(the_log_is_carried_into_the_file),
    PROMISE(what_was_settled_is_there_after_a_crash),
};

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    log_set_level(LOG_LEVEL_ERROR);
    add_cases(promises, G_N_ELEMENTS(promises), 1);
    return g_test_run();
}
