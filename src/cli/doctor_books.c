#include "cli/doctor_books.h"

#include "queue/queue.h"

/* A queue of its own: one that is open already would not see what came since. */
static bool read_accepted(const char *folder, int64_t *accepted, GError **error)
{
    struct queue_options options = {.folder = folder, .read_only = true};
    struct queue_stats stats;
    struct queue *queue = queue_open(&queue_embedded_ops, &options, error);

    if (queue == NULL)
        return false;
    queue_get_stats(queue, &stats);
    queue_close(queue);
    *accepted = stats.last_seq;
    return true;
}

/* A position beyond what was accepted means that one of the files is older than the other, e.g.
 * after a restore of only one. */
bool doctor_books_read(struct doctor_books *b, const char *folder, struct store *store,
                       GError **error)
{
    const struct store_summary *s = &b->summary;

    if (!store_get_summary(store, &b->summary, error) ||
        !read_accepted(folder, &b->accepted, error))
        return false;
    b->waiting = b->accepted - s->position + s->retrying;
    b->add_up = s->processed + s->failed + s->duplicate + b->waiting == b->accepted &&
                s->position <= b->accepted;
    return true;
}

char *doctor_books_text(const struct doctor_books *b)
{
    const struct store_summary *s = &b->summary;

    return g_strdup_printf("accepted %" G_GINT64_FORMAT " = processed %" G_GINT64_FORMAT
                           " + failed %" G_GINT64_FORMAT " + duplicate %" G_GINT64_FORMAT
                           " + waiting %" G_GINT64_FORMAT,
                           b->accepted, s->processed, s->failed, s->duplicate, b->waiting);
}
