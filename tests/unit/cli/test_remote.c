/* The commands that ask a server, from their arguments to what they print and their exit code. Each
 * runs in a process of its own, so that its output can be read. */
#include "cli/remote.h"

#include <stdlib.h>

#include <glib.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "fake_server.h"

#define OK(body) "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" body
#define NOT_FOUND                                                                                  \
    "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n{\"detail\":\"no such thing\"}"

/* Runs the command against a server with those answers, checks what it asked for, and exits. */
static void run(const struct command *command, const char *const *argv, const char *const *answers,
                const char *const *asked)
{
    struct fake_server s;
    const char *all[16] = {NULL};
    int argc = 0;
    int code;

    fake_server_start(&s, answers);
    for (; argv[argc] != NULL; argc++)
        all[argc] = argv[argc];
    all[argc++] = "--url";
    all[argc++] = s.url;
    code = command->run(argc, all);
    fake_server_stop(&s);
    for (guint i = 0; asked[i] != NULL; i++)
        g_assert_true(g_str_has_prefix(fake_server_request(&s, i), asked[i]));
    fake_server_done(&s);
    fprintf(stderr, "exit %d\n", code);
    exit(code);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NOTHING    ((const char *const[]){NULL})

/* In the parent: waits for the process and expects its exit code, which it prints at its end. */
static void expect_exit(int code)
{
    g_autofree char *pattern = g_strdup_printf("*exit %d\n", code);

    g_test_trap_subprocess(NULL, 0, 0);
    if (code == 0)
        g_test_trap_assert_passed();
    else
        g_test_trap_assert_failed();
    g_test_trap_assert_stderr(pattern);
}

static void test_list_takes_all_pages(void)
{
    if (g_test_subprocess())
        run(&command_campaign, WORDS("list"),
            WORDS(OK("{\"campaigns\":[{\"id\":\"a\",\"version\":1}],\"next_cursor\":\"ca\"}"),
                  OK("{\"campaigns\":[{\"id\":\"bb\",\"version\":2}],\"next_cursor\":null}")),
            WORDS("GET /campaigns?limit=1000 ", "GET /campaigns?limit=1000&cursor=ca "));
    expect_exit(0);
    g_test_trap_assert_stdout("ID  NAME  STATUS  VERSION  UPDATED\n"
                              "a   -     -       1        -\n"
                              "bb  -     -       2        -\n");
}

static void test_list_stops_at_its_limit(void)
{
    if (g_test_subprocess())
        run(&command_events, WORDS("list", "--limit", "1", "--customer", "a b"),
            WORDS(OK("{\"events\":[{\"event_id\":\"a\"}],\"next_cursor\":\"e1\"}")),
            WORDS("GET /events?customer_id=a%20b&limit=1 "));
    expect_exit(0);
    g_test_trap_assert_stdout("EVENT*there are more*");
}

static void test_list_as_json_is_one_document(void)
{
    if (g_test_subprocess())
        run(&command_failed, WORDS("list", "--json", "--limit=0"),
            WORDS(OK("{\"failed_events\":[{\"id\":1},{\"id\":2}],\"next_cursor\":\"f2\"}"),
                  OK("{\"failed_events\":[{\"id\":3}],\"next_cursor\":null}")),
            WORDS("GET /failed-events?status=open&limit=1000 "));
    expect_exit(0);
    g_test_trap_assert_stdout(
        "{\"failed_events\":[{\"id\":1},{\"id\":2},{\"id\":3}],\"next_cursor\":null}\n");
}

static void test_error_of_the_server_is_told(void)
{
    if (g_test_subprocess())
        run(&command_events, WORDS("show", "x/y"), WORDS(NOT_FOUND),
            WORDS("GET /events/x%2Fy HTTP"));
    expect_exit(1);
    g_test_trap_assert_stderr("eventflow: /events/x%2Fy: no such thing (status 404)\nexit 1\n");
    g_test_trap_assert_stdout("");
}

static void test_replay_of_all_sends_its_filters(void)
{
    if (g_test_subprocess())
        run(&command_failed, WORDS("replay", "--all", "--reason", "invalid"),
            WORDS(OK("{\"replayed\":7,\"has_more\":true}")),
            WORDS("POST /failed-events/replay HTTP"));
    expect_exit(0);
    g_test_trap_assert_stdout("replayed 7\nthere are more: run the same command again\n");
}

static void test_replay_that_was_stopped_tells_how_far_it_came(void)
{
    if (g_test_subprocess())
        run(&command_failed, WORDS("replay", "--all"),
            WORDS("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n"
                  "{\"detail\":\"busy\",\"replayed\":300}"),
            WORDS("POST /failed-events/replay HTTP"));
    expect_exit(EXIT_CODE_UNAVAILABLE);
    g_test_trap_assert_stderr("*: busy (status 503)\n  replayed before that: 300\n*");
    g_test_trap_assert_stdout("");
}

static void test_replay_needs_ids_or_all(void)
{
    if (g_test_subprocess())
        run(&command_failed, WORDS("replay"), NOTHING, NOTHING);
    expect_exit(EXIT_CODE_USAGE);
    g_test_trap_assert_stderr("eventflow failed: replay needs either ids or --all;*");
}

static void test_delete_goes_on_after_a_missing_one(void)
{
    if (g_test_subprocess())
        run(&command_campaign, WORDS("delete", "a", "b"),
            WORDS(NOT_FOUND, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
            WORDS("DELETE /campaigns/a ", "DELETE /campaigns/b "));
    expect_exit(1);
    g_test_trap_assert_stdout("deleted b\n");
}

static void test_delete_as_json_names_what_is_gone(void)
{
    if (g_test_subprocess())
        run(&command_campaign, WORDS("delete", "a", "b", "c\"", "--json"),
            WORDS("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", NOT_FOUND,
                  "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
            WORDS("DELETE /campaigns/a ", "DELETE /campaigns/b ", "DELETE /campaigns/c%22 "));
    expect_exit(1);
    g_test_trap_assert_stdout("{\"deleted\":[\"a\",\"c\\\"\"]}\n");
}

static void test_unknown_action_names_the_nearest(void)
{
    if (g_test_subprocess())
        run(&command_campaign, WORDS("lits"), NOTHING, NOTHING);
    expect_exit(EXIT_CODE_USAGE);
    g_test_trap_assert_stderr("eventflow campaign: unknown action 'lits' (did you mean 'list'?);*");
}

static void test_unknown_flag_names_the_nearest(void)
{
    if (g_test_subprocess())
        run(&command_events, WORDS("list", "--custmer=a"), NOTHING, NOTHING);
    expect_exit(EXIT_CODE_USAGE);
    g_test_trap_assert_stderr(
        "eventflow events: unknown flag --custmer; did you mean --customer?\nexit 64\n");
}

static void test_help_needs_no_server(void)
{
    if (g_test_subprocess())
        run(&command_send, WORDS("file", "--help"), NOTHING, NOTHING);
    expect_exit(0);
    g_test_trap_assert_stdout("Usage: eventflow send *--batch*default 500*identical*");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/remote/list_takes_all_pages", test_list_takes_all_pages);
    g_test_add_func("/remote/list_stops_at_its_limit", test_list_stops_at_its_limit);
    g_test_add_func("/remote/list_as_json_is_one_document", test_list_as_json_is_one_document);
    g_test_add_func("/remote/error_of_the_server_is_told", test_error_of_the_server_is_told);
    g_test_add_func("/remote/replay_of_all_sends_its_filters",
                    test_replay_of_all_sends_its_filters);
    g_test_add_func("/remote/replay_that_was_stopped_tells_how_far_it_came",
                    test_replay_that_was_stopped_tells_how_far_it_came);
    g_test_add_func("/remote/replay_needs_ids_or_all", test_replay_needs_ids_or_all);
    g_test_add_func("/remote/delete_goes_on_after_a_missing_one",
                    test_delete_goes_on_after_a_missing_one);
    g_test_add_func("/remote/delete_as_json_names_what_is_gone",
                    test_delete_as_json_names_what_is_gone);
    g_test_add_func("/remote/unknown_action_names_the_nearest",
                    test_unknown_action_names_the_nearest);
    g_test_add_func("/remote/unknown_flag_names_the_nearest", test_unknown_flag_names_the_nearest);
    g_test_add_func("/remote/help_needs_no_server", test_help_needs_no_server);
    return g_test_run();
}
