/* mailbox: how threads exchange work: whole lists, one wake-up.
 *
 *   sender: builds a list ──put──▶ [ items ] ──take──▶ receiver: detaches ALL of it
 *
 * The sender wakes the receiver only when the box was empty, so a busy receiver costs nothing.
 * A receiver either blocks (mailbox_wait) or is an epoll loop that watches mailbox_fd.
 * Ownership of the items passes with the message. Order is kept.
 */
#ifndef COMMON_MAILBOX_H
#define COMMON_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first member of everything that travels through a mailbox. */
struct mail {
    struct mail *next;
};

/* A list that is built by one thread before it is put. All zero is empty. */
struct mail_list {
    struct mail *first;
    struct mail *last;
    size_t count;
};

/* Takes the item; it may be in one list at a time. */
void mail_list_append(struct mail_list *list, struct mail *item);

/* Takes the first item off, NULL when empty. */
struct mail *mail_list_pop(struct mail_list *list);

struct mailbox;

/* with_fd: also make an eventfd that is readable while the box is not empty. */
struct mailbox *mailbox_new(bool with_fd);

/* The box must be empty. Accepts NULL. */
void mailbox_free(struct mailbox *box);

/* Takes every item of the list (which is empty afterwards). Any thread. */
void mailbox_put(struct mailbox *box, struct mail_list *list);

/* Detaches everything at once without waiting; empty list when there is nothing. One receiver. */
struct mail_list mailbox_take(struct mailbox *box);

/* Waits until there is something, the box is stopped, or until_us (clock_monotonic_us time; -1 =
 * for ever) has passed, then detaches everything. One receiver. */
struct mail_list mailbox_wait(struct mailbox *box, int64_t until_us);

/* Wakes the receiver for good: later waits return at once. What is inside can still be taken. */
void mailbox_stop(struct mailbox *box);

/* Whether mailbox_stop was called. Any thread. */
bool mailbox_is_stopped(struct mailbox *box);

/* The descriptor to watch (readable = take now), -1 when made without one. */
int mailbox_fd(const struct mailbox *box);

#endif
