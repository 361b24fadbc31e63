#include "cli/exit_code.h"

#include <glib.h>

#include "cli/remote.h"
#include "common/error.h"

static int code_of(GQuark domain, int code)
{
    g_autoptr(GError) error = g_error_new_literal(domain, code, "x");

    return exit_code_of(error);
}

static void test_no_error_is_ok(void)
{
    g_assert_cmpint(exit_code_of(NULL), ==, 0);
}

static void test_errors_have_the_documented_numbers(void)
{
    g_assert_cmpint(code_of(EF_ERROR, EF_ERROR_RETRY), ==, 69);
    g_assert_cmpint(code_of(EF_ERROR, EF_ERROR_INPUT), ==, 65);
    g_assert_cmpint(code_of(EF_ERROR, EF_ERROR_CORRUPT), ==, 65);
    g_assert_cmpint(code_of(EF_ERROR, EF_ERROR_FULL), ==, 74);
    g_assert_cmpint(code_of(EF_ERROR, EF_ERROR_FATAL), ==, 75);
    g_assert_cmpint(code_of(EF_ERROR, EF_ERROR_IN_USE), ==, 73);
    g_assert_cmpint(code_of(EF_ERROR, EF_ERROR_NEWER), ==, 76);
    g_assert_cmpint(code_of(G_FILE_ERROR, G_FILE_ERROR_NOENT), ==, 66);
    g_assert_cmpint(code_of(G_FILE_ERROR, G_FILE_ERROR_IO), ==, 74);
    g_assert_cmpint(code_of(G_OPTION_ERROR, 0), ==, 1);
}

static void test_every_error_of_ours_has_a_number(void)
{
    for (int code = 0; code <= EF_ERROR_NEWER; code++)
        g_assert_cmpint(code_of(EF_ERROR, code), !=, 0);
}

static void test_answers_have_the_documented_numbers(void)
{
    g_assert_cmpint(remote_exit_code(200), ==, 0);
    g_assert_cmpint(remote_exit_code(204), ==, 0);
    g_assert_cmpint(remote_exit_code(404), ==, 1);
    g_assert_cmpint(remote_exit_code(422), ==, 65);
    g_assert_cmpint(remote_exit_code(503), ==, 69);
    g_assert_cmpint(remote_exit_code(301), ==, 1);
    g_assert_cmpint(remote_exit_code(100), ==, 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/exit_code/no_error_is_ok", test_no_error_is_ok);
    g_test_add_func("/exit_code/errors_have_the_documented_numbers",
                    test_errors_have_the_documented_numbers);
    g_test_add_func("/exit_code/every_error_of_ours_has_a_number",
                    test_every_error_of_ours_has_a_number);
    g_test_add_func("/exit_code/answers_have_the_documented_numbers",
                    test_answers_have_the_documented_numbers);
    return g_test_run();
}
