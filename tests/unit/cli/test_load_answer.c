#include "cli/load_answer.h"

#include <glib.h>
#include <string.h>

static enum load_answer_result read_answer(const char *text, struct load_answer *answer)
{
    size_t head_size = 0;
    enum load_answer_result result = load_answer_read(text, strlen(text), answer, &head_size);

    if (result == LOAD_ANSWER_READY)
        g_assert_cmpmem(text + head_size - 4, 4, "\r\n\r\n", 4);
    return result;
}

static void test_reads_what_matters(void)
{
    struct load_answer answer;

    g_assert_cmpint(read_answer("HTTP/1.1 202 Accepted\r\nDate: x\r\nContent-Length: 17\r\n"
                                "X-Content-Length: 4\r\n\r\n{}",
                                &answer),
                    ==, LOAD_ANSWER_READY);
    g_assert_cmpint(answer.status, ==, 202);
    g_assert_cmpuint(answer.body_size, ==, 17);
    g_assert_cmpint(answer.retry_after_ms, ==, -1);
    g_assert_false(answer.is_last);
}

static void test_names_and_spaces_are_as_servers_like_them(void)
{
    struct load_answer answer;

    g_assert_cmpint(read_answer("HTTP/1.1 503 x\r\ncontent-length:5\r\nRETRY-AFTER: \t2 \r\n"
                                "Connection: Close\r\n\r\n",
                                &answer),
                    ==, LOAD_ANSWER_READY);
    g_assert_cmpuint(answer.body_size, ==, 5);
    g_assert_cmpint(answer.retry_after_ms, ==, 2000);
    g_assert_true(answer.is_last);
}

static void test_every_beginning_is_incomplete(void)
{
    const char *text = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
    struct load_answer answer;
    size_t head_size;

    for (size_t size = 0; size < strlen(text); size++) {
        g_autofree char *part = g_strndup(text, size); /* for the sanitizer: nothing behind it */

        g_assert_cmpint(load_answer_read(part, size, &answer, &head_size), ==,
                        LOAD_ANSWER_INCOMPLETE);
    }
    g_assert_cmpint(load_answer_read(text, strlen(text), &answer, &head_size), ==,
                    LOAD_ANSWER_READY);
    g_assert_cmpuint(head_size, ==, strlen(text));
}

static void test_refuses_what_cannot_be_followed(void)
{
    static const char *const bad[] = {
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 2x2 no\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 700 ?\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "\r\n\r\n",
    };
    struct load_answer answer;

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        g_assert_cmpint(read_answer(bad[i], &answer), ==, LOAD_ANSWER_BAD);
}

static void test_a_head_has_a_limit(void)
{
    g_autofree char *text = g_strnfill(LOAD_ANSWER_HEAD_MAX, 'x');
    struct load_answer answer;

    g_assert_cmpint(read_answer(text, &answer), ==, LOAD_ANSWER_BAD);
    text[LOAD_ANSWER_HEAD_MAX - 1] = '\0';
    g_assert_cmpint(read_answer(text, &answer), ==, LOAD_ANSWER_INCOMPLETE);
}

static void test_no_content_has_no_body(void)
{
    struct load_answer answer;

    g_assert_cmpint(read_answer("HTTP/1.0 204 No\r\nContent-Length: 3\r\n\r\n", &answer), ==,
                    LOAD_ANSWER_READY);
    g_assert_cmpuint(answer.body_size, ==, 0);
    g_assert_true(answer.is_last);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/load_answer/reads_what_matters", test_reads_what_matters);
    g_test_add_func("/load_answer/names_and_spaces_are_as_servers_like_them",
                    test_names_and_spaces_are_as_servers_like_them);
    g_test_add_func("/load_answer/every_beginning_is_incomplete",
                    test_every_beginning_is_incomplete);
    g_test_add_func("/load_answer/refuses_what_cannot_be_followed",
                    test_refuses_what_cannot_be_followed);
    g_test_add_func("/load_answer/a_head_has_a_limit", test_a_head_has_a_limit);
    g_test_add_func("/load_answer/no_content_has_no_body", test_no_content_has_no_body);
    return g_test_run();
}
