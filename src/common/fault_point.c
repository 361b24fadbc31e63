#include "common/fault_point.h"

#ifdef EF_TEST_HOOKS

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib.h>

/* One rule of EVENTFLOW_TEST_FAULT. passed and is_noted are under the lock, the rest is immutable
 * after parsing. */
struct fault_rule {
    char *name;
    char *subject; /* NULL = whatever it is */
    enum fault_action { FAULT_FAIL, FAULT_KILL, FAULT_ABORT, FAULT_WAIT } action;
    unsigned wait_ms;
    unsigned from, until; /* which passes it applies to, counted from 1 */
    unsigned passed;
    bool is_noted;
};

static const char *const action_names[] = {"fail", "kill", "abort", "wait"}; /* by fault_action */

/* Test builds only; see check.py for why it may be file-scope. */
static GMutex fault_lock;
static GArray *fault_rules;     /* under fault_lock */
static GHashTable *fault_names; /* points passed so far, under fault_lock */

/* A rule that is not understood would make a test pass for the wrong reason. */
static void reject(const char *text)
{
    fprintf(stderr, "EVENTFLOW_TEST_FAULT: cannot read the rule '%s'\n", text);
    abort();
}

static void parse_action(struct fault_rule *rule, const char *text, const char *whole)
{
    const char *at = strchr(text, '@');
    const char *colon = strchr(text, ':');
    size_t size = strcspn(text, ":@");
    char *end = NULL;
    unsigned i = 0;

    while (i < G_N_ELEMENTS(action_names) &&
           (strlen(action_names[i]) != size || strncmp(action_names[i], text, size)))
        i++;
    if (i == G_N_ELEMENTS(action_names))
        reject(whole);
    rule->action = i;
    rule->wait_ms = colon != NULL ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
    rule->from = rule->until = at != NULL ? (unsigned)strtoul(at + 1, &end, 10) : 1;
    if (rule->from == 0)
        reject(whole);
    if (end != NULL && *end == '+')
        rule->until = G_MAXUINT;
}

static void parse_rule(const char *text)
{
    struct fault_rule rule = {0};
    const char *equals = strchr(text, '=');
    const char *tilde = strchr(text, '~');

    if (equals == NULL)
        reject(text);
    if (tilde != NULL && tilde < equals)
        rule.subject = g_strndup(tilde + 1, (gsize)(equals - tilde - 1));
    else
        tilde = equals;
    rule.name = g_strndup(text, (gsize)(tilde - text));
    parse_action(&rule, equals + 1, text);
    g_array_append_val(fault_rules, rule);
}

/* Under fault_lock, once a process. */
static void parse_rules(void)
{
    const char *text = g_getenv("EVENTFLOW_TEST_FAULT");
    g_auto(GStrv) rules = g_strsplit(text != NULL ? text : "", ",", -1);

    fault_rules = g_array_new(FALSE, FALSE, sizeof(struct fault_rule));
    fault_names = g_hash_table_new(g_str_hash, g_str_equal);
    for (char **rule = rules; *rule != NULL; rule++)
        if (**rule != '\0')
            parse_rule(*rule);
}

/* One write with O_APPEND, so that processes do not mix their lines. */
static void note(const char *name, const char *action)
{
    const char *path = g_getenv("EVENTFLOW_TEST_FAULT_HITS");
    g_autofree char *line =
        g_strdup_printf("%s%s%s\n", name, action != NULL ? "!" : "", action != NULL ? action : "");
    int fd;

    if (path == NULL)
        return;
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, line, strlen(line)) < 0)
        reject(path);
    close(fd);
}

/* The rule that applies to this pass, NULL when none does. Under fault_lock. */
static struct fault_rule *find_rule(const char *name, struct slice subject)
{
    struct fault_rule *found = NULL;

    for (guint i = 0; i < fault_rules->len; i++) {
        struct fault_rule *rule = &g_array_index(fault_rules, struct fault_rule, i);

        if (strcmp(rule->name, name) != 0 ||
            (rule->subject != NULL && !slice_equal(subject, slice_text(rule->subject))))
            continue;
        rule->passed++;
        if (rule->passed >= rule->from && rule->passed <= rule->until)
            found = rule;
    }
    return found;
}

/* Each point once, and each rule once when it applies: before it does, as that may be the end.
 * Under fault_lock. */
static void note_pass(const char *name, struct fault_rule *rule)
{
    if (g_hash_table_add(fault_names, (char *)(uintptr_t)name))
        note(name, NULL);
    if (rule != NULL && !rule->is_noted)
        note(name, action_names[rule->action]);
    if (rule != NULL)
        rule->is_noted = true;
}

bool fault_point_pass(const char *name, struct slice subject)
{
    struct fault_rule *rule;

    g_mutex_lock(&fault_lock);
    if (fault_rules == NULL)
        parse_rules();
    rule = find_rule(name, subject);
    note_pass(name, rule);
    g_mutex_unlock(&fault_lock);
    if (rule == NULL)
        return false;
    switch (rule->action) {
    case FAULT_KILL:
        raise(SIGKILL);
        break;
    case FAULT_ABORT:
        abort();
    case FAULT_WAIT:
        g_usleep(rule->wait_ms * 1000UL);
        break;
    case FAULT_FAIL:
        return true;
    }
    return false;
}

#else

/* An empty translation unit is not allowed by the language. */
typedef int fault_point_is_for_tests_only;

#endif
