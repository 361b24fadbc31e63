#include "cli/load_books.h"

#include <glib.h>

#include "fake_server.h"

#define SUMMARY(processed)                                                                         \
    FAKE_ANSWER("200 OK", "Content-Length: 78\r\n",                                                \
                "{\"processed\":" processed                                                        \
                ",\"failed\":2,\"duplicate\":3,\"matches\":4,\"waiting\":5,\"more\":[{}]}")
#define NO_BOOKS FAKE_ANSWER("404 Not Found", "Content-Length: 2\r\n", "{}")
#define OTHER    FAKE_ANSWER("200 OK", "Content-Length: 15\r\n", "{\"processed\":1}")

/* Only EventFlow has these members; anything else is no error, but has no books. */
static void test_only_whole_books_are_taken(void)
{
    static const char *const answers[] = {SUMMARY("100"), NO_BOOKS, OTHER, NULL};
    struct fake_server server;
    struct load_books books = {0};
    struct client *client;

    fake_server_start(&server, answers);
    client = client_new(server.url, NULL);
    g_assert_true(load_books_read(client, &books));
    g_assert_cmpint(books.processed, ==, 100);
    g_assert_cmpint(books.waiting, ==, 5);
    g_assert_cmpint(load_books_done(&books), ==, 105);
    g_assert_false(load_books_read(client, &books));
    g_assert_false(load_books_read(client, &books));
    client_free(client);
    fake_server_stop(&server);
    g_assert_nonnull(strstr(fake_server_request(&server, 0), "GET /metrics/summary "));
    fake_server_done(&server);
}

static void test_a_run_is_a_difference_but_what_waits_waits(void)
{
    const struct load_books start = {.processed = 10, .failed = 1, .duplicate = 2, .waiting = 7};
    const struct load_books end = {.processed = 15, .failed = 2, .duplicate = 2, .waiting = 3};
    struct load_books run = load_books_since(&end, &start);

    g_assert_cmpint(load_books_done(&run), ==, 6);
    g_assert_cmpint(run.waiting, ==, 3);
}

/* A line without a reading in between: the next rate is over both intervals, not doubled. */
static void test_a_pace_counts_from_the_last_good_reading(void)
{
    struct load_pace pace = {.books = {.processed = 100}, .at_us = 1000000};
    struct load_books books = {.processed = 1100};

    g_assert_cmpfloat(load_pace_of(&pace, &books, 2000000), ==, 1000);
    books.processed = 3100;
    g_assert_cmpfloat(load_pace_of(&pace, &books, 4000000), ==, 1000);
    books.processed = 0; /* another data folder */
    g_assert_cmpfloat(load_pace_of(&pace, &books, 5000000), <, 0);
    g_assert_cmpfloat(load_pace_of(&pace, &books, 5000000), <, 0); /* no time has passed */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/load_books/only_whole_books_are_taken", test_only_whole_books_are_taken);
    g_test_add_func("/load_books/a_run_is_a_difference_but_what_waits_waits",
                    test_a_run_is_a_difference_but_what_waits_waits);
    g_test_add_func("/load_books/a_pace_counts_from_the_last_good_reading",
                    test_a_pace_counts_from_the_last_good_reading);
    return g_test_run();
}
