/* store_world: what the tests of store/store.h share: a world with an open store, short ways to
 * settle and read, and the runner that takes one table of promises through every backend. */
#ifndef TESTS_CONTRACT_STORE_WORLD_H
#define TESTS_CONTRACT_STORE_WORLD_H

#include "store/store.h"

#include "common/error.h"

#include <glib/gstdio.h>

#define NOW INT64_C(1700000000000000)

struct backend {
    const char *label;    /* in the tests' names */
    const char *name;     /* of the backend */
    const char *inner;    /* the backend it wraps, or NULL */
    bool survives_reopen; /* its rows outlive store_close */
    size_t dedupe_max;    /* memory limit of the index, 0 = none */
};

static const struct backend backends[] = {
    {.label = "sqlite", .name = "sqlite", .survives_reopen = true},
    {.label = "sqlite-disk-index", .name = "sqlite", .survives_reopen = true, .dedupe_max = 1},
    {.label = "memory", .name = "memory"},
    {.label = "fault", .name = "fault", .inner = "memory"},
};

/* One test's world: a fresh folder, an open store and an arena. */
struct world {
    const struct backend *backend;
    char *folder;
    struct store *s;
    struct arena arena;
};

static inline struct store *open_backend(const char *name, const struct store_options *options)
{
    g_autoptr(GError) error = NULL;
    struct store *s = store_open(store_find_backend(name), options, &error);

    g_assert_no_error(error);
    g_assert_nonnull(s);
    return s;
}

static inline void world_open(struct world *w)
{
    struct store_options options = {.folder = w->folder,
                                    .dedupe_memory_max = w->backend->dedupe_max};

    if (w->backend->inner != NULL)
        options.inner = open_backend(w->backend->inner, &options);
    w->s = open_backend(w->backend->name, &options);
}

static inline void world_reopen(struct world *w)
{
    store_close(w->s);
    world_open(w);
}

static inline void remove_folder(const char *path)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(folder)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        g_assert_cmpint(g_remove(file), ==, 0);
    }
    g_assert_cmpint(g_rmdir(path), ==, 0);
}

/* ---- outcomes -------------------------------------------------------------------------------- */

static inline struct store_outcome processed(int64_t seq, const char *id)
{
    return (struct store_outcome){
        .kind = STORE_PROCESSED,
        .seq = seq,
        .event_id = slice_text(id),
        .source = SLICE("web"),
        .event_type = SLICE("purchase"),
        .customer_id = SLICE("c1"),
        .correlation_id = SLICE("corr"),
        .at_us = NOW + seq,
        .received_at_us = NOW + 1000 + seq,
        .finished_at_us = NOW + 2000 + seq,
        .processing_us = 77,
        .worker_id = "worker-1",
        .attempt = 1,
        .digest = hash128(slice_text(id)),
    };
}

static inline struct store_outcome duplicate(int64_t seq, const char *id, int64_t of)
{
    struct store_outcome o = processed(seq, id);

    o.kind = STORE_DUPLICATE;
    o.duplicate_of = of;
    return o;
}

static inline struct store_outcome failed(int64_t seq, const char *id, const char *reason)
{
    struct store_outcome o = processed(seq, id);

    o.kind = STORE_FAILED;
    o.reason = reason;
    o.error = "it does not fit";
    o.body = SLICE("{\"a\":1}");
    o.first_failed_at_us = NOW + 1500 + seq;
    o.attempt = 3;
    return o;
}

static inline struct store_outcome retry(int64_t seq, const char *id, int64_t due_us)
{
    struct store_outcome o = failed(seq, id, "trouble");

    o.kind = STORE_RETRY;
    o.retry_at_us = due_us;
    o.attempt = 1;
    return o;
}

static inline bool try_settle(struct world *w, const struct store_outcome *outcomes, size_t count,
                              int64_t position, GError **error)
{
    struct store_settlement what = {.outcomes = outcomes, .count = count, .position = position};

    return store_settle(w->s, &what, error);
}

static inline void settle(struct world *w, const struct store_outcome *outcomes, size_t count)
{
    g_autoptr(GError) error = NULL;
    bool ok = try_settle(w, outcomes, count, outcomes[count - 1].seq, &error);

    g_assert_no_error(error);
    g_assert_true(ok);
}

static inline void settle_one(struct world *w, struct store_outcome outcome)
{
    settle(w, &outcome, 1);
}

/* Settles outcomes that must be refused with the code, and shows that nothing changed. */
static inline void settle_refused(struct world *w, const struct store_outcome *outcomes,
                                  size_t count, int code)
{
    struct store_summary before, after;
    g_autoptr(GError) error = NULL;

    g_assert_true(store_get_summary(w->s, &before, NULL));
    g_assert_false(try_settle(w, outcomes, count, 999999, &error));
    g_assert_error(error, EF_ERROR, code);
    g_assert_true(store_get_summary(w->s, &after, NULL));
    g_assert_cmpmem(&before, offsetof(struct store_summary, dedupe_on_disk), &after,
                    offsetof(struct store_summary, dedupe_on_disk));
}

/* An event of the web with one match for each campaign named, "a b c". */
static inline void settle_matched(struct world *w, int64_t seq, const char *id,
                                  const char *campaigns)
{
    struct store_outcome o = processed(seq, id);
    g_auto(GStrv) names = g_strsplit(campaigns, " ", -1);
    size_t count = g_strv_length(names);
    struct store_match *matches = ARENA_NEW(&w->arena, struct store_match, count);

    for (size_t i = 0; i < count; i++)
        matches[i] = (struct store_match){.campaign_id = slice_text(names[i]),
                                          .campaign_version = 7,
                                          .rewards = SLICE("[{\"type\":\"points\"}]")};
    o.matches = matches;
    o.match_count = count;
    settle_one(w, o);
}

static inline struct store_summary summary(struct world *w)
{
    struct store_summary out;
    g_autoptr(GError) error = NULL;

    g_assert_true(store_get_summary(w->s, &out, &error));
    g_assert_no_error(error);
    return out;
}

static inline struct store_seen see(struct world *w, struct slice source, struct slice id,
                                    struct slice body)
{
    struct store_key key = {.source = source, .event_id = id, .digest = hash128(body)};
    struct store_seen out = {.kind = STORE_SEEN_CONFLICT, .seq = -1};
    g_autoptr(GError) error = NULL;

    g_assert_true(store_seen(w->s, &key, 1, &out, &error));
    g_assert_no_error(error);
    return out;
}

/* seq of an event of the web with that id and the id as body; 0 when it is new. */
static inline int64_t seen_seq(struct world *w, const char *id)
{
    struct store_seen seen = see(w, SLICE("web"), slice_text(id), slice_text(id));

    g_assert_cmpint(seen.kind, ==, seen.seq == 0 ? STORE_SEEN_NEW : STORE_SEEN_SAME);
    return seen.seq;
}

/* ---- reading --------------------------------------------------------------------------------- */

static inline struct slice keep(struct arena *a, struct slice s)
{
    return arena_copy(a, s);
}

struct collector {
    struct world *w;
    GArray *rows; /* struct store_row, slices in the world's arena */
};

static inline void collect_row(const struct store_row *row, void *user)
{
    struct collector *c = user;
    struct arena *a = &c->w->arena;
    struct store_row r = *row;
    struct slice *texts[] = {&r.event_id,
                             &r.source,
                             &r.event_type,
                             &r.customer_id,
                             &r.worker_id,
                             &r.campaign_id,
                             &r.outcome,
                             &r.rewards,
                             &r.reason,
                             &r.error,
                             &r.body,
                             &r.correlation_id,
                             &r.campaign.id,
                             &r.campaign.name,
                             &r.campaign.status,
                             &r.campaign.document};

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        *texts[i] = keep(a, *texts[i]);
    g_array_append_val(c->rows, r);
}

/* One page; the rows are appended. */
static inline struct store_page list_page(struct world *w, const struct store_query *q,
                                          GArray *rows)
{
    struct collector c = {.w = w, .rows = rows};
    struct store_page page = {.count = 12345};
    guint before = rows->len;
    g_autoptr(GError) error = NULL;

    g_assert_true(store_list(w->s, q, &w->arena, collect_row, &c, &page, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(page.count, ==, rows->len - before);
    return page;
}

/* All rows, page after page. Owned by caller. */
static inline GArray *list_all(struct world *w, struct store_query q)
{
    GArray *rows = g_array_new(FALSE, FALSE, sizeof(struct store_row));
    struct store_page page;

    if (q.limit == 0)
        q.limit = 1000;
    do {
        page = list_page(w, &q, rows);
        if (q.view == STORE_CAMPAIGNS) {
            g_assert_true(!page.has_more || slice_compare(page.next_after, q.after) > 0);
            q.after = page.next_after;
        } else {
            g_assert_true(!page.has_more || q.before == 0 || page.next < q.before);
            q.before = page.next;
        }
    } while (page.has_more);
    return rows;
}

static inline const struct store_row *row_at(const GArray *rows, guint i)
{
    g_assert_cmpuint(i, <, rows->len);
    return &g_array_index(rows, struct store_row, i);
}

/* The keys of all rows as text: "5 3 1"; matches as "5:b 5:a", campaigns "a@1". Owned by caller. */
static inline char *list_keys(struct world *w, struct store_query q)
{
    g_autoptr(GArray) rows = list_all(w, q);
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < rows->len; i++) {
        const struct store_row *r = row_at(rows, i);

        g_string_append(text, i > 0 ? " " : "");
        if (q.view == STORE_CAMPAIGNS || q.view == STORE_VERSIONS)
            g_string_append_printf(text, "%.*s@%d", SLICE_ARG(r->campaign.id),
                                   (int)r->campaign.version);
        else
            g_string_append_printf(text, "%d", (int)(q.view == STORE_FAILURES ? r->id : r->seq));
        if (q.view == STORE_MATCHES)
            g_string_append_printf(text, ":%.*s", SLICE_ARG(r->campaign_id));
    }
    return g_string_free(text, FALSE);
}

/* The keys of all rows that fit the members given. */
#define assert_list(w, expected, ...)                                                              \
    do {                                                                                           \
        g_autofree char *keys_ = list_keys((w), (struct store_query){__VA_ARGS__});                \
        g_assert_cmpstr(keys_, ==, expected);                                                      \
    } while (0)

#define assert_slice(s, text)                                                                      \
    do {                                                                                           \
        struct slice slice_ = (s);                                                                 \
        g_assert_cmpmem(slice_.data, slice_.size, text, strlen(text));                             \
    } while (0)

/* ---- campaigns ------------------------------------------------------------------------------- */

static inline bool change(struct world *w, enum store_campaign_change kind, const char *id,
                          int64_t expected, struct store_campaign *result, GError **error)
{
    struct store_campaign_write write = {
        .change = kind,
        .id = slice_text(id),
        .name = SLICE("A name"),
        .status = SLICE("active"),
        .document = SLICE("{\"rules\":{}}"),
        .expected_version = expected,
        .at_us = NOW,
    };

    if (kind == STORE_CAMPAIGN_DELETE)
        write.name = write.status = write.document = (struct slice){0};
    return store_write_campaign(w->s, &write, &w->arena, result, error);
}

static inline struct store_campaign must_change(struct world *w, enum store_campaign_change kind,
                                                const char *id)
{
    struct store_campaign result;
    g_autoptr(GError) error = NULL;

    g_assert_true(change(w, kind, id, 0, &result, &error));
    g_assert_no_error(error);
    return result;
}

static inline void change_refused(struct world *w, enum store_campaign_change kind, const char *id,
                                  int64_t expected, int code)
{
    int64_t generation = summary(w).campaign_generation;
    g_autoptr(GError) error = NULL;

    g_assert_false(change(w, kind, id, expected, NULL, &error));
    g_assert_error(error, EF_ERROR, code);
    g_assert_cmpint(summary(w).campaign_generation, ==, generation);
}

/* ---- running --------------------------------------------------------------------------------- */

struct promise {
    const char *name;
    void (*check)(struct world *w);
    bool needs_reopen; /* only for backends whose rows outlive store_close */
};

#define PROMISE(function)                                                                          \
    {                                                                                              \
        .name = #function, .check = function                                                       \
    }
#define PROMISE_REOPEN(function)                                                                   \
    {                                                                                              \
        .name = #function, .check = function, .needs_reopen = true                                 \
    }

/* One promise on one backend. */
struct test_case {
    const struct backend *backend;
    const struct promise *promise;
};

static inline void run_case(const void *data)
{
    const struct test_case *c = data;
    struct world w = {.backend = c->backend};

    w.folder = g_dir_make_tmp("eventflow-store-XXXXXX", NULL);
    g_assert_nonnull(w.folder);
    world_open(&w);
    c->promise->check(&w);
    store_close(w.s);
    arena_done(&w.arena);
    remove_folder(w.folder);
    g_free(w.folder);
}

/* Adds every promise for every backend of the list (all of them, or the first ones). */
static inline void add_cases(const struct promise *promises, size_t count, size_t backend_count)
{
    for (size_t i = 0; i < backend_count * count; i++) {
        const struct backend *b = &backends[i / count];
        const struct promise *p = &promises[i % count];
        g_autofree char *path = g_strdup_printf("/store/%s/%s", b->label, p->name);
        struct test_case *c;

        if (p->needs_reopen && !b->survives_reopen)
            continue;
        c = g_new(struct test_case, 1);
        *c = (struct test_case){.backend = b, .promise = p};
        g_test_add_data_func_full(path, c, run_case, g_free);
    }
}

#endif
