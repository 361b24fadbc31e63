#include "common/mailbox.h"

#include <poll.h>

#include <glib.h>

#include "common/clock.h"

#define SENDERS     4
#define PER_SENDER  5000
#define DEADLINE_US (30 * G_USEC_PER_SEC)

struct letter {
    struct mail mail; /* first */
    int sender;
    int number;
};

static void put_one(struct mailbox *box, int number)
{
    struct letter *letter = g_new0(struct letter, 1);
    struct mail_list list = {0};

    letter->number = number;
    mail_list_append(&list, &letter->mail);
    mailbox_put(box, &list);
    g_assert_cmpuint(list.count, ==, 0);
    g_assert_null(list.first);
}

/* Frees the letters of a list after checking that their numbers are first, first + 1, ... */
static void expect_letters(struct mail_list list, int first, size_t count)
{
    g_assert_cmpuint(list.count, ==, count);
    for (size_t i = 0; i < count; i++) {
        struct letter *letter = (struct letter *)mail_list_pop(&list);

        g_assert_nonnull(letter);
        g_assert_cmpint(letter->number, ==, first + (int)i);
        g_free(letter);
    }
    g_assert_null(mail_list_pop(&list));
    g_assert_null(list.last);
}

static bool fd_is_readable(const struct mailbox *box)
{
    struct pollfd p = {.fd = mailbox_fd(box), .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void test_take_detaches_everything_in_order(void)
{
    struct mailbox *box = mailbox_new(false);

    for (int i = 0; i < 5; i++)
        put_one(box, i);
    expect_letters(mailbox_take(box), 0, 5);
    expect_letters(mailbox_take(box), 0, 0);
    mailbox_free(box);
    mailbox_free(NULL);
}

static void test_put_of_an_empty_list_rings_nobody(void)
{
    struct mailbox *box = mailbox_new(true);
    struct mail_list empty = {0};

    mailbox_put(box, &empty);
    g_assert_false(fd_is_readable(box));
    mailbox_free(box);
}

static void test_fd_is_readable_while_there_is_mail(void)
{
    struct mailbox *box = mailbox_new(true);

    g_assert_false(fd_is_readable(box));
    put_one(box, 0);
    put_one(box, 1);
    g_assert_true(fd_is_readable(box));
    expect_letters(mailbox_take(box), 0, 2);
    g_assert_false(fd_is_readable(box));
    put_one(box, 2);
    g_assert_true(fd_is_readable(box));
    expect_letters(mailbox_take(box), 2, 1);
    mailbox_free(box);
}

static void test_box_without_fd_has_none(void)
{
    struct mailbox *box = mailbox_new(false);

    g_assert_cmpint(mailbox_fd(box), ==, -1);
    mailbox_free(box);
}

static void test_wait_ends_empty_at_its_deadline(void)
{
    struct mailbox *box = mailbox_new(false);

    expect_letters(mailbox_wait(box, clock_monotonic_us() + 1000), 0, 0);
    g_assert_false(mailbox_is_stopped(box));
    mailbox_free(box);
}

static void test_stopped_box_still_gives_its_mail(void)
{
    struct mailbox *box = mailbox_new(true);

    put_one(box, 0);
    mailbox_stop(box);
    g_assert_true(mailbox_is_stopped(box));
    g_assert_true(fd_is_readable(box));
    expect_letters(mailbox_wait(box, -1), 0, 1);
    expect_letters(mailbox_wait(box, -1), 0, 0);
    mailbox_free(box);
}

static gpointer stop_thread(gpointer data)
{
    mailbox_stop(data);
    return NULL;
}

static void test_stop_wakes_a_waiting_receiver(void)
{
    struct mailbox *box = mailbox_new(false);
    GThread *thread = g_thread_new("stopper", stop_thread, box);

    expect_letters(mailbox_wait(box, clock_monotonic_us() + DEADLINE_US), 0, 0);
    g_assert_true(mailbox_is_stopped(box));
    g_thread_join(thread);
    mailbox_free(box);
}

struct sender {
    struct mailbox *box;
    int id;
};

/* Sends its letters in lists of 1, 2, 3, 1, 2, 3, ... */
static gpointer sender_thread(gpointer data)
{
    const struct sender *sender = data;
    struct mail_list list = {0};
    size_t list_size = 1;

    for (int i = 0; i < PER_SENDER; i++) {
        struct letter *letter = g_new0(struct letter, 1);

        letter->sender = sender->id;
        letter->number = i;
        mail_list_append(&list, &letter->mail);
        if (list.count == list_size || i == PER_SENDER - 1) {
            mailbox_put(sender->box, &list);
            list_size = list_size % 3 + 1;
        }
    }
    return NULL;
}

/* Every letter once, and each sender's letters in its order. */
static void count_letters(struct mail_list list, int *next_of_sender, int *received)
{
    struct letter *letter;

    while ((letter = (struct letter *)mail_list_pop(&list)) != NULL) {
        g_assert_cmpint(letter->number, ==, next_of_sender[letter->sender]++);
        (*received)++;
        g_free(letter);
    }
}

static struct mail_list receive_by_fd(struct mailbox *box)
{
    struct pollfd p = {.fd = mailbox_fd(box), .events = POLLIN};

    g_assert_cmpint(poll(&p, 1, DEADLINE_US / 1000), ==, 1);
    return mailbox_take(box);
}

static struct mail_list receive_by_wait(struct mailbox *box)
{
    struct mail_list list = mailbox_wait(box, clock_monotonic_us() + DEADLINE_US);

    g_assert_cmpuint(list.count, >, 0);
    return list;
}

static void exchange(bool with_fd, struct mail_list (*receive)(struct mailbox *))
{
    struct mailbox *box = mailbox_new(with_fd);
    struct sender senders[SENDERS];
    GThread *threads[SENDERS];
    int next_of_sender[SENDERS] = {0};
    int received = 0;

    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.box = box, .id = i};
        threads[i] = g_thread_new("sender", sender_thread, &senders[i]);
    }
    while (received < SENDERS * PER_SENDER)
        count_letters(receive(box), next_of_sender, &received);
    for (int i = 0; i < SENDERS; i++)
        g_thread_join(threads[i]);
    expect_letters(mailbox_take(box), 0, 0);
    mailbox_free(box);
}

static void test_no_letter_is_lost_between_threads_waiting(void)
{
    exchange(false, receive_by_wait);
}

static void test_no_letter_is_lost_between_threads_polling(void)
{
    exchange(true, receive_by_fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mailbox/take_detaches_everything_in_order",
                    test_take_detaches_everything_in_order);
    g_test_add_func("/mailbox/put_of_an_empty_list_rings_nobody",
                    test_put_of_an_empty_list_rings_nobody);
    g_test_add_func("/mailbox/fd_is_readable_while_there_is_mail",
                    test_fd_is_readable_while_there_is_mail);
    g_test_add_func("/mailbox/box_without_fd_has_none", test_box_without_fd_has_none);
    g_test_add_func("/mailbox/wait_ends_empty_at_its_deadline",
                    test_wait_ends_empty_at_its_deadline);
    g_test_add_func("/mailbox/stopped_box_still_gives_its_mail",
                    test_stopped_box_still_gives_its_mail);
    g_test_add_func("/mailbox/stop_wakes_a_waiting_receiver", test_stop_wakes_a_waiting_receiver);
    g_test_add_func("/mailbox/no_letter_is_lost_between_threads_waiting",
                    test_no_letter_is_lost_between_threads_waiting);
    g_test_add_func("/mailbox/no_letter_is_lost_between_threads_polling",
                    test_no_letter_is_lost_between_threads_polling);
    return g_test_run();
}
