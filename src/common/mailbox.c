/* A list under a lock, a condition for receivers that block and an eventfd for those in epoll.
 * Sender and receiver each hold the lock for some pointer assignments, however many items there
 * are: lists are joined and detached as a whole.
 * The queue has no limit of its own: what is in flight is bounded where work is accepted. */
#include "common/mailbox.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <glib.h>

/* Every field under lock, except fd (immutable after new). */
struct mailbox {
    GMutex lock;
    GCond arrived;
    struct mail_list items; /* put and not yet taken, in order */
    bool is_stopped;
    int fd; /* the bell: an eventfd, or -1 */
};

/* Links are in the items themselves, so neither building a list nor passing it on allocates. */
void mail_list_append(struct mail_list *list, struct mail *item)
{
    item->next = NULL;
    if (list->last != NULL)
        list->last->next = item;
    else
        list->first = item;
    list->last = item;
    list->count++;
}

struct mail *mail_list_pop(struct mail_list *list)
{
    struct mail *item = list->first;

    if (item == NULL)
        return NULL;
    list->first = item->next;
    if (list->first == NULL)
        list->last = NULL;
    list->count--;
    item->next = NULL;
    return item;
}

struct mailbox *mailbox_new(bool with_fd)
{
    struct mailbox *box = g_new0(struct mailbox, 1);

    g_mutex_init(&box->lock);
    g_cond_init(&box->arrived);
    box->fd = with_fd ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1;
    if (with_fd && box->fd < 0)
        /* Mailboxes are made at start-up: without descriptors left the program cannot begin. */
        g_error("cannot make an eventfd: %s", g_strerror(errno));
    return box;
}

/* Threads that use the box were joined before; nothing is locked here. */
void mailbox_free(struct mailbox *box)
{
    if (box == NULL)
        return;
    /* Items left inside would be work lost in silence; who closes the box drains it first. */
    g_assert(box->items.count == 0);
    if (box->fd >= 0)
        close(box->fd);
    g_cond_clear(&box->arrived);
    g_mutex_clear(&box->lock);
    g_free(box);
}

/* Makes fd readable. Called without the lock, so that the woken thread does not run into it; the
 * price is that a receiver may be woken for items it has taken already, and finds nothing. For the
 * same reason a box is freed only after its senders were joined. */
static void mailbox_ring(struct mailbox *box)
{
    uint64_t one = 1;

    /* An eventfd write fails only when the counter would overflow; then it is readable anyway. */
    if (box->fd >= 0 && write(box->fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        g_error("cannot write to an eventfd: %s", g_strerror(errno));
}

void mailbox_put(struct mailbox *box, struct mail_list *list)
{
    bool was_empty;

    if (list->count == 0)
        return;
    g_mutex_lock(&box->lock);
    /* When it was not empty, the receiver has been woken already and will take all of it. */
    was_empty = box->items.count == 0;
    if (was_empty) {
        box->items = *list;
    } else {
        box->items.last->next = list->first;
        box->items.last = list->last;
        box->items.count += list->count;
    }
    if (was_empty)
        g_cond_signal(&box->arrived);
    g_mutex_unlock(&box->lock);
    *list = (struct mail_list){0};
    if (was_empty)
        mailbox_ring(box);
}

/* Everything inside, leaving the box empty. Under lock. */
static struct mail_list mailbox_detach(struct mailbox *box)
{
    struct mail_list all = box->items;

    box->items = (struct mail_list){0};
    return all;
}

struct mail_list mailbox_take(struct mailbox *box)
{
    struct mail_list all;
    uint64_t rings;

    /* The bell is cleared first: a put after this line rings again, so nothing is overlooked. */
    if (box->fd >= 0 && read(box->fd, &rings, sizeof(rings)) < 0 && errno != EAGAIN)
        g_error("cannot read an eventfd: %s", g_strerror(errno));
    g_mutex_lock(&box->lock);
    all = mailbox_detach(box);
    g_mutex_unlock(&box->lock);
    return all;
}

/* What came in time is handed over also when the box was stopped or the time ran out. */
struct mail_list mailbox_wait(struct mailbox *box, int64_t until_us)
{
    struct mail_list all;

    g_mutex_lock(&box->lock);
    /* A loop, because a condition may wake without a signal. */
    while (box->items.count == 0 && !box->is_stopped) {
        if (until_us < 0)
            g_cond_wait(&box->arrived, &box->lock);
        else if (!g_cond_wait_until(&box->arrived, &box->lock, until_us))
            break; /* g_cond_wait_until uses the monotonic clock, as we do */
    }
    all = mailbox_detach(box);
    g_mutex_unlock(&box->lock);
    return all;
}

/* Rings as well: the receiver may be in epoll. It learns why it woke from mailbox_is_stopped. */
void mailbox_stop(struct mailbox *box)
{
    g_mutex_lock(&box->lock);
    box->is_stopped = true;
    g_cond_signal(&box->arrived);
    g_mutex_unlock(&box->lock);
    mailbox_ring(box);
}

/* Under the lock: what was put before the stop is seen by whoever sees the stop and then takes. */
bool mailbox_is_stopped(struct mailbox *box)
{
    bool is_stopped;

    g_mutex_lock(&box->lock);
    is_stopped = box->is_stopped;
    g_mutex_unlock(&box->lock);
    return is_stopped;
}

int mailbox_fd(const struct mailbox *box)
{
    return box->fd;
}
