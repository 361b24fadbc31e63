#include "cli/doctor_pair.h"

#include "common/arena.h"

#define PAGE_ROWS    100 /* compared at a time: a body may have a MiB */
#define PROBLEMS_MAX 20  /* reported; more would only repeat */

/* What the results say of one message. */
struct pair_row {
    int64_t seq;
    int64_t received_at_us;
    struct slice event_id; /* in the arena of the page */
};

/* One comparison. */
struct pair_check {
    struct arena arena; /* reset after each page */
    GArray *rows;       /* of the page, newest first */
    int64_t *seqs;      /* of the page, oldest first, as reading wants them */
    int64_t compared;
    unsigned problems;
};

static void keep_row(const struct store_row *row, void *user)
{
    struct pair_check *p = user;
    struct pair_row kept = {.seq = row->seq,
                            .received_at_us = row->received_at_us,
                            .event_id = arena_copy(&p->arena, row->event_id)};

    g_array_append_val(p->rows, kept);
}

static void report_row(struct doctor *d, struct pair_check *p, int64_t seq, const char *why)
{
    if (p->problems++ < PROBLEMS_MAX)
        doctor_report(d, FINDING_PROBLEM, "pair", "message %" G_GINT64_FORMAT " %s", seq, why);
}

/* Both say what came in, when, and under which number. */
static void compare_row(struct doctor *d, struct pair_check *p, const struct pair_row *row,
                        const struct queue_message *m)
{
    if (m == NULL)
        report_row(d, p, row->seq, "was processed, but queue.db does not have it");
    else if (!slice_equal(m->key, row->event_id))
        report_row(d, p, row->seq, "is another event in each: the files do not belong together");
    else if (m->published_at_us != row->received_at_us)
        report_row(d, p, row->seq, "has another time of arrival in each of the files");
    p->compared++;
}

/* The messages come in the order of seq, with gaps where one is missing; the rows the other way. */
static void compare_page(struct doctor *d, struct pair_check *p, const struct queue_batch *found)
{
    size_t at = 0;

    for (guint i = p->rows->len; i-- > 0;) {
        const struct pair_row *row = &g_array_index(p->rows, struct pair_row, i);

        while (at < found->count && found->messages[at].seq < row->seq)
            at++;
        compare_row(d, p, row,
                    at < found->count && found->messages[at].seq == row->seq ? &found->messages[at]
                                                                             : NULL);
    }
}

/* Reads a page of results and its messages. */
static bool check_page(struct doctor *d, struct pair_check *p, struct store *store,
                       struct queue *queue, struct store_page *page, GError **error)
{
    struct store_query query = {.view = STORE_EVENTS, .limit = PAGE_ROWS, .before = page->next};
    struct queue_batch found = {0};

    g_array_set_size(p->rows, 0);
    if (!store_list(store, &query, &p->arena, keep_row, p, page, error))
        return false;
    for (guint i = 0; i < p->rows->len; i++)
        p->seqs[i] = g_array_index(p->rows, struct pair_row, p->rows->len - 1 - i).seq;
    if (p->rows->len > 0 && !queue_read(queue, p->seqs, p->rows->len, &p->arena, &found, error))
        return false;
    compare_page(d, p, &found);
    arena_reset(&p->arena);
    return true;
}

/* The newest page is enough to tell two histories apart. */
void doctor_check_pair(struct doctor *d, struct store *store, struct queue *queue)
{
    struct pair_check p = {.rows = g_array_new(FALSE, FALSE, sizeof(struct pair_row)),
                           .seqs = g_new(int64_t, PAGE_ROWS)};
    struct store_page page = {0};
    g_autoptr(GError) error = NULL;
    bool is_good;

    arena_init(&p.arena);
    do
        is_good = check_page(d, &p, store, queue, &page, &error);
    while (is_good && d->is_full && page.has_more);
    if (!is_good)
        doctor_report(d, FINDING_PROBLEM, "pair", "%s", error->message);
    else if (p.problems == 0)
        doctor_report(d, FINDING_OK, "pair",
                      "%s%" G_GINT64_FORMAT " processed events are the messages they came from",
                      d->is_full || !page.has_more ? "all " : "the newest ", p.compared);
    else if (p.problems > PROBLEMS_MAX)
        doctor_report(d, FINDING_PROBLEM, "pair", "%u more like these", p.problems - PROBLEMS_MAX);
    arena_done(&p.arena);
    g_array_unref(p.rows);
    g_free(p.seqs);
}
