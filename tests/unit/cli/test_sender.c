#include "cli/sender.h"

#include <glib.h>

#include "cli/exit_code.h"
#include "fake_server.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#define ACCEPTED              "HTTP/1.1 202 Accepted\r\nConnection: close\r\n\r\n"
#define BUSY                  FAKE_ANSWER("503 Service Unavailable", "Retry-After: 1\r\nContent-Length: 0\r\n", "")
#define REFUSED(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body

struct fixture {
    struct fake_server server;
    struct sender sender;
};

static void begin(struct fixture *f, const char *const *answers, size_t batch_max,
                  int64_t retry_for_ms)
{
    struct sender_options options = {.batch_max = batch_max, .retry_for_ms = retry_for_ms};
    g_autoptr(GError) error = NULL;

    fake_server_start(&f->server, answers);
    options.url = f->server.url;
    sender_init(&f->sender, &options, &error);
    g_assert_no_error(error);
}

static void end(struct fixture *f, guint requests)
{
    sender_done(&f->sender);
    fake_server_stop(&f->server);
    g_assert_cmpuint(f->server.requests->len, ==, requests);
    fake_server_done(&f->server);
}

static void add(struct fixture *f, int n)
{
    g_autofree char *line = g_strdup_printf("{\"event_id\":\"%d\"}", n);

    g_assert_cmpint(sender_add(&f->sender, slice_text(line), (uint64_t)n), ==, EXIT_CODE_OK);
}

static void expect_counts(const struct fixture *f, uint64_t sent, uint64_t accepted,
                          uint64_t rejected)
{
    g_assert_cmpuint(f->sender.sent, ==, sent);
    g_assert_cmpuint(f->sender.accepted, ==, accepted);
    g_assert_cmpuint(f->sender.rejected, ==, rejected);
}

static const char *body_of(const struct fixture *f, guint i)
{
    return strstr(g_ptr_array_index(f->server.requests, i), "\r\n\r\n") + 4;
}

static void test_batches_are_full_and_in_order(void)
{
    struct fixture f;

    begin(&f, WORDS(ACCEPTED "{\"accepted\":2,\"rejected\":[]}", ACCEPTED "{\"accepted\":1}"), 2,
          0);
    for (int i = 1; i <= 3; i++)
        add(&f, i);
    g_assert_cmpint(sender_flush(&f.sender), ==, EXIT_CODE_OK);
    g_assert_cmpint(sender_flush(&f.sender), ==, EXIT_CODE_OK);
    expect_counts(&f, 3, 3, 0);
    fake_server_stop(&f.server);
    g_assert_cmpstr(body_of(&f, 0), ==, "{\"event_id\":\"1\"}\n{\"event_id\":\"2\"}\n");
    g_assert_cmpstr(body_of(&f, 1), ==, "{\"event_id\":\"3\"}\n");
    g_assert_nonnull(strstr(fake_server_request(&f.server, 0), "application/x-ndjson"));
    sender_done(&f.sender);
    fake_server_done(&f.server);
}

static void test_body_stays_below_the_servers_limit(void)
{
    g_autofree char *filler = g_strnfill(600 * 1024, 'x');
    g_autofree char *line = g_strdup_printf("{\"event_id\":\"%s\"}", filler);
    struct fixture f;

    begin(&f, WORDS(ACCEPTED "{\"accepted\":1}", ACCEPTED "{\"accepted\":1}"), 100, 0);
    sender_add(&f.sender, slice_text(line), 1);
    sender_add(&f.sender, slice_text(line), 2);
    sender_flush(&f.sender);
    expect_counts(&f, 2, 2, 0);
    end(&f, 2);
}

static void test_rejected_events_are_counted_beside_accepted_ones(void)
{
    struct fixture f;

    begin(&f,
          WORDS(ACCEPTED "{\"accepted\":2,\"rejected\":[{\"index\":1,\"errors\":[{\"pointer\":"
                         "\"#/a\",\"detail\":\"is odd\"}]}]}"),
          3, 0);
    for (int i = 1; i <= 3; i++)
        add(&f, i);
    expect_counts(&f, 3, 2, 1);
    end(&f, 1);
}

static void test_422_with_a_list_rejects_exactly_those(void)
{
    struct fixture f;

    begin(&f,
          WORDS(REFUSED("422 Unprocessable Content",
                        "{\"detail\":\"none is good\",\"rejected\":[{\"index\":0,\"errors\":[]},"
                        "{\"index\":1,\"errors\":[]}]}")),
          2, 0);
    add(&f, 1);
    add(&f, 2);
    expect_counts(&f, 2, 0, 2);
    end(&f, 1);
}

/* 1 2 3 4 is refused as a whole, 1 2 passes, 3 4 is refused, 3 passes, 4 is the culprit. */
static void test_refused_batch_is_halved_to_the_culprit(void)
{
    const char *refused = REFUSED("413 Content Too Large", "{\"detail\":\"too large\"}");
    struct fixture f;

    begin(
        &f,
        WORDS(refused, ACCEPTED "{\"accepted\":2}", refused, ACCEPTED "{\"accepted\":1}", refused),
        4, 0);
    for (int i = 1; i <= 4; i++)
        add(&f, i);
    expect_counts(&f, 4, 3, 1);
    fake_server_stop(&f.server);
    g_assert_cmpstr(body_of(&f, 1), ==, "{\"event_id\":\"1\"}\n{\"event_id\":\"2\"}\n");
    g_assert_cmpstr(body_of(&f, 4), ==, "{\"event_id\":\"4\"}\n");
    sender_done(&f.sender);
    fake_server_done(&f.server);
}

static void test_same_batch_is_sent_again_after_trouble(void)
{
    struct fixture f;

    begin(&f, WORDS("", BUSY, ACCEPTED "{\"accepted\":2}"), 2, 60000);
    add(&f, 1);
    add(&f, 2);
    expect_counts(&f, 2, 2, 0);
    fake_server_stop(&f.server);
    g_assert_cmpuint(f.server.requests->len, ==, 3);
    g_assert_cmpstr(body_of(&f, 0), ==, body_of(&f, 2));
    sender_done(&f.sender);
    fake_server_done(&f.server);
}

static void test_trouble_that_lasts_ends_as_unavailable(void)
{
    struct fixture f;

    begin(&f, WORDS(BUSY), 1, 0);
    g_assert_cmpint(sender_add(&f.sender, SLICE("{\"event_id\":\"1\"}"), 1), ==,
                    EXIT_CODE_UNAVAILABLE);
    expect_counts(&f, 0, 0, 0);
    end(&f, 1);
}

static void test_other_errors_of_the_server_end_it(void)
{
    struct fixture f;

    begin(&f, WORDS(REFUSED("500 Internal Server Error", "oops")), 1, 60000);
    g_assert_cmpint(sender_add(&f.sender, SLICE("{\"event_id\":\"1\"}"), 1), ==, EXIT_CODE_FAILURE);
    expect_counts(&f, 0, 0, 0);
    end(&f, 1);
}

static void test_lines_that_are_no_events_are_not_sent(void)
{
    struct fixture f;

    begin(&f, WORDS(ACCEPTED "{\"accepted\":1}"), 10, 0);
    g_assert_cmpint(sender_add(&f.sender, SLICE("nonsense"), 1), ==, EXIT_CODE_OK);
    add(&f, 2);
    sender_flush(&f.sender);
    expect_counts(&f, 1, 1, 1);
    end(&f, 1);
}

static void test_identical_lines_without_ids_are_counted(void)
{
    struct fixture f;

    begin(&f, WORDS(ACCEPTED "{\"accepted\":5}"), 10, 0);
    sender_add(&f.sender, SLICE("{\"n\":1}"), 1);
    sender_add(&f.sender, SLICE("{\"n\":2}"), 2);
    sender_add(&f.sender, SLICE("{\"n\":1}"), 3);
    sender_add(&f.sender, SLICE("{\"event_id\":\"a\"}"), 4);
    sender_add(&f.sender, SLICE("{\"event_id\":\"a\"}"), 5);
    sender_flush(&f.sender);
    g_assert_cmpuint(f.sender.identical, ==, 1);
    g_assert_false(f.sender.is_seen_full);
    end(&f, 1);
}

static void test_rejected_line_is_named_by_its_number(void)
{
    struct fixture f;

    if (g_test_subprocess()) {
        begin(&f,
              WORDS(REFUSED("413 Content Too Large", "{}"), ACCEPTED "{\"accepted\":2}",
                    ACCEPTED "{\"accepted\":1,\"rejected\":[{\"index\":1,\"errors\":[{"
                             "\"pointer\":\"#/a\",\"detail\":\"is odd\"}]}]}"),
              4, 0);
        for (int i = 11; i <= 14; i++)
            add(&f, i);
        end(&f, 3);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr("line 14: #/a: is odd\n");
}

/* An answer that names lines it was never sent must not be believed. */
static void test_indexes_out_of_range_are_ignored(void)
{
    struct fixture f;

    begin(&f,
          WORDS(ACCEPTED "{\"rejected\":[{\"index\":2,\"errors\":[]},{\"index\":-1},{\"index\":"
                         "\"0\"},7]}"),
          2, 0);
    add(&f, 1);
    add(&f, 2);
    expect_counts(&f, 2, 2, 0);
    end(&f, 1);
}

static void test_line_named_twice_is_rejected_once(void)
{
    struct fixture f;

    begin(&f,
          WORDS(ACCEPTED "{\"rejected\":[{\"index\":1,\"errors\":[]},{\"index\":1,\"errors\":[]},"
                         "{\"index\":1,\"errors\":[]}]}"),
          2, 0);
    add(&f, 1);
    add(&f, 2);
    expect_counts(&f, 2, 1, 1);
    end(&f, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sender/batches_are_full_and_in_order", test_batches_are_full_and_in_order);
    g_test_add_func("/sender/body_stays_below_the_servers_limit",
                    test_body_stays_below_the_servers_limit);
    g_test_add_func("/sender/rejected_events_are_counted_beside_accepted_ones",
                    test_rejected_events_are_counted_beside_accepted_ones);
    g_test_add_func("/sender/422_with_a_list_rejects_exactly_those",
                    test_422_with_a_list_rejects_exactly_those);
    g_test_add_func("/sender/refused_batch_is_halved_to_the_culprit",
                    test_refused_batch_is_halved_to_the_culprit);
    g_test_add_func("/sender/same_batch_is_sent_again_after_trouble",
                    test_same_batch_is_sent_again_after_trouble);
    g_test_add_func("/sender/trouble_that_lasts_ends_as_unavailable",
                    test_trouble_that_lasts_ends_as_unavailable);
    g_test_add_func("/sender/other_errors_of_the_server_end_it",
                    test_other_errors_of_the_server_end_it);
    g_test_add_func("/sender/lines_that_are_no_events_are_not_sent",
                    test_lines_that_are_no_events_are_not_sent);
    g_test_add_func("/sender/identical_lines_without_ids_are_counted",
                    test_identical_lines_without_ids_are_counted);
    g_test_add_func("/sender/rejected_line_is_named_by_its_number",
                    test_rejected_line_is_named_by_its_number);
    g_test_add_func("/sender/indexes_out_of_range_are_ignored",
                    test_indexes_out_of_range_are_ignored);
    g_test_add_func("/sender/line_named_twice_is_rejected_once",
                    test_line_named_twice_is_rejected_once);
    return g_test_run();
}
