#include <glib.h>
#include <glib/gstdio.h>

#include "common/fault_point.h"

#ifdef EF_TEST_HOOKS

/* The rules are read once a process, so each case is one of its own. */
static bool in_subprocess(const char *rules)
{
    g_setenv("EVENTFLOW_TEST_FAULT", rules, TRUE);
    if (g_test_subprocess())
        return true;
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    return false;
}

static void test_nth(void)
{
    if (!in_subprocess("a=fail@2,b=fail@2+")) {
        g_test_trap_assert_passed();
        return;
    }
    for (int i = 1; i <= 4; i++) {
        g_assert_cmpint(EF_FAULT("a"), ==, i == 2);
        g_assert_cmpint(EF_FAULT("b"), ==, i >= 2);
        g_assert_false(EF_FAULT("c"));
    }
}

static void test_subject(void)
{
    if (!in_subprocess("a~x=fail@1+")) {
        g_test_trap_assert_passed();
        return;
    }
    g_assert_false(EF_FAULT("a"));
    g_assert_false(EF_FAULT_ABOUT("a", SLICE("y")));
    g_assert_true(EF_FAULT_ABOUT("a", SLICE("x")));
}

static void test_kill(void)
{
    if (in_subprocess("a=kill"))
        EF_FAULT("a");
    else
        g_test_trap_assert_failed();
}

static void test_bad_rule(void)
{
    if (in_subprocess("a=explode"))
        EF_FAULT("a");
    else {
        g_test_trap_assert_failed();
        g_test_trap_assert_stderr("*cannot read the rule 'a=explode'*");
    }
}

/* The lines that a process with these rules notes when it passes one, two and one again. */
static void check_notes(const char *rules, const char *lines)
{
    g_autofree char *folder = g_dir_make_tmp("eventflow-hits-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "hits", NULL);
    g_autofree char *text = NULL;

    if (!g_test_subprocess())
        g_setenv("EVENTFLOW_TEST_FAULT_HITS", path, TRUE);
    if (in_subprocess(rules)) {
        EF_FAULT("one");
        EF_FAULT("two");
        EF_FAULT("one");
        g_rmdir(folder);
        return;
    }
    g_unsetenv("EVENTFLOW_TEST_FAULT_HITS");
    g_test_trap_assert_passed();
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, lines);
    g_unlink(path);
    g_rmdir(folder);
}

static void test_hits(void)
{
    check_notes("", "one\ntwo\n");
}

static void test_faults_are_noted(void)
{
    check_notes("one=fail@1+,two=wait:1@1", "one\none!fail\ntwo\ntwo!wait\n");
}

static void test_faults_not_due_are_not_noted(void)
{
    check_notes("one=fail@3,two=kill@2", "one\ntwo\n");
}

static void test_kill_is_noted_before(void)
{
    g_autofree char *folder = g_dir_make_tmp("eventflow-hits-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "hits", NULL);
    g_autofree char *text = NULL;

    if (!g_test_subprocess())
        g_setenv("EVENTFLOW_TEST_FAULT_HITS", path, TRUE);
    if (in_subprocess("one=kill")) {
        g_rmdir(folder);
        EF_FAULT("one");
        return;
    }
    g_unsetenv("EVENTFLOW_TEST_FAULT_HITS");
    g_test_trap_assert_failed();
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "one\none!kill\n");
    g_unlink(path);
    g_rmdir(folder);
}

#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#ifdef EF_TEST_HOOKS
    g_test_add_func("/fault_point/rule_applies_to_the_nth_pass", test_nth);
    g_test_add_func("/fault_point/rule_with_a_subject_applies_to_it_only", test_subject);
    g_test_add_func("/fault_point/kill_ends_the_process", test_kill);
    g_test_add_func("/fault_point/rule_that_is_not_understood_ends_the_process", test_bad_rule);
    g_test_add_func("/fault_point/names_are_noted_once_a_process", test_hits);
    g_test_add_func("/fault_point/faults_are_noted_once_a_process", test_faults_are_noted);
    g_test_add_func("/fault_point/faults_that_are_not_due_are_not_noted",
                    test_faults_not_due_are_not_noted);
    g_test_add_func("/fault_point/kill_is_noted_before_it_happens", test_kill_is_noted_before);
#endif
    return g_test_run();
}
