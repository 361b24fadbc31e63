/* "eventflow events": where an event is, and what became of it.
 *
 *    event_id         order-1
 *    state            processed
 *    matches:
 *      CAMPAIGN   VERSION  OUTCOME  MATCHED AT
 *      vip-order  3        granted  2026-11-21T10:00:00Z
 *
 * show prints every member of the server's answer, also those that this version does not know; only
 * the lists inside it that we know become tables.
 */
#include <stdio.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/remote.h"

/* One table for both actions; the help says which flags belong to list only. */
static const struct config_setting EVENT_FLAGS[] = {
    REMOTE_COMMON_FLAGS,
    {.name = "source",
     .type = CONFIG_TEXT,
     .help = "Only events of this source",
     .offset = REMOTE_FLAG(source)},
    {.name = "customer",
     .type = CONFIG_TEXT,
     .help = "Only events of this customer (list)",
     .offset = REMOTE_FLAG(customer)},
    {.name = "type",
     .type = CONFIG_TEXT,
     .help = "Only events of this type (list)",
     .offset = REMOTE_FLAG(type)},
    {.name = "limit",
     .type = CONFIG_INTEGER,
     .fallback = "50",
     .help = "How many to list, newest first; 0 = all",
     .offset = REMOTE_FLAG(limit)},
};

/* Ids are cut here to keep a line a line; show and --json give them whole. */
static const struct table_column EVENT_COLUMNS[] = {
    {"EVENT", "event_id", TABLE_TEXT, 48},     {"SOURCE", "source", TABLE_TEXT, 24},
    {"TYPE", "event_type", TABLE_TEXT, 32},    {"CUSTOMER", "customer_id", TABLE_TEXT, 32},
    {"TIMESTAMP", "timestamp", TABLE_TIME, 0}, {"STATE", "state", TABLE_TEXT, 0},
    {"MATCHES", "match_count", TABLE_TEXT, 0}, {"DUPLICATES", "duplicates", TABLE_TEXT, 0},
};

/* The lists inside one event. */
static const struct table_column MATCH_COLUMNS[] = {
    {"CAMPAIGN", "campaign_id", TABLE_TEXT, 0},
    {"VERSION", "campaign_version", TABLE_TEXT, 0},
    {"OUTCOME", "outcome", TABLE_TEXT, 0},
    {"MATCHED AT", "matched_at", TABLE_TIME, 0},
};

static const struct table_column EVENT_FAILURE_COLUMNS[] = {
    {"ID", "id", TABLE_TEXT, 0},
    {"REASON", "reason", TABLE_TEXT, 0},
    {"ATTEMPTS", "attempts", TABLE_TEXT, 0},
    {"STATUS", "status", TABLE_TEXT, 0},
    {"ERROR", "error", TABLE_TEXT, 80},
};

/* The filters are the server's; an empty one is left out of the address. */
static int events_list(struct remote *r)
{
    g_autoptr(GString) path = g_string_new("/events");
    struct remote_list list = {.key = "events",
                               .columns = EVENT_COLUMNS,
                               .column_count = G_N_ELEMENTS(EVENT_COLUMNS),
                               .nothing = "no such events"};

    client_append_query(path, "customer_id", r->flags.customer);
    client_append_query(path, "event_type", r->flags.type);
    client_append_query(path, "source", r->flags.source);
    list.path = path->str;
    return remote_print_list(r, &list);
}

/* A list inside the event as a table under its name. An empty one says so: "none" is an answer. */
static void events_append_list(GString *out, const struct json_value *list,
                               const struct table_column *columns, size_t count)
{
    struct table t;

    table_init(&t, columns, count);
    for (const struct json_value *row = list->first; row != NULL; row = row->next)
        table_add(&t, row);
    if (list->count == 0)
        g_string_append(out, "  none\n");
    table_print(&t, "  ", out);
    table_done(&t);
}

/* One member of the event on its own line or lines. Even the names are made safe for the terminal:
 * they come from the other side. */
static void events_append_member(GString *out, const struct json_value *member)
{
    g_autofree char *name = table_safe_text(member->key);
    g_autofree char *cell = NULL;

    /* Scalars stand behind their name, in one column. */
    if (member->type != JSON_ARRAY && member->type != JSON_OBJECT) {
        cell = table_cell(member, TABLE_TEXT, 0);
        g_string_append_printf(out, "%-16s %s\n", name, cell);
        return;
    }
    g_string_append_printf(out, "%s:\n", name);
    /* What a later server adds is shown as JSON instead of being dropped. */
    if (slice_equal(member->key, SLICE("matches")))
        events_append_list(out, member, MATCH_COLUMNS, G_N_ELEMENTS(MATCH_COLUMNS));
    else if (slice_equal(member->key, SLICE("failures")))
        events_append_list(out, member, EVENT_FAILURE_COLUMNS, G_N_ELEMENTS(EVENT_FAILURE_COLUMNS));
    else {
        g_string_append(out, "  ");
        table_append_json(out, member, 1);
        g_string_append_c(out, '\n');
    }
}

/* --source tells events apart that have the same id and came from different sources. */
static int events_show(struct remote *r)
{
    struct arena a = {0};
    g_autoptr(GString) path = g_string_new("/events/");
    g_autoptr(GString) out = g_string_new(NULL);
    const struct json_value *event = NULL;
    int code;

    /* Ids are the senders' and may hold any character. */
    client_append_escaped(path, r->operands[0]);
    client_append_query(path, "source", r->flags.source);
    code = remote_get(r, path->str, &a, &event);
    if (code == EXIT_CODE_OK && r->flags.json)
        printf("%.*s\n", SLICE_ARG(event->source));
    if (code == EXIT_CODE_OK && !r->flags.json) {
        for (const struct json_value *m = event->first; m != NULL; m = m->next)
            events_append_member(out, m);
        printf("%s", out->str);
    }
    arena_done(&a);
    return code;
}

static const struct remote_action EVENT_ACTIONS[] = {
    {"show", 1, 1, "the id of an event", events_show},
    {"list", 0, 0, NULL, events_list},
};

/* The table of the command; static, since its flags must outlive the call. */
static int run_events(int argc, const char *const *argv)
{
    static const struct remote_command command = {
        .command = &command_events,
        .flags = EVENT_FLAGS,
        .flag_count = G_N_ELEMENTS(EVENT_FLAGS),
        .actions = EVENT_ACTIONS,
        .action_count = G_N_ELEMENTS(EVENT_ACTIONS),
        .notes = "show tells where an event is (queued, processed, failed) and what it matched.\n"
                 "list shows processed events, the newest first.\n",
    };

    return remote_run(&command, argc, argv);
}

const struct command command_events = {
    .name = "events",
    .summary = "Look up events and what became of them",
    .run = run_events,
    .usage =
        "show ID [--source SOURCE] [--json] [--url URL]\n"
        "list [--customer ID] [--type TYPE] [--source SOURCE] [--limit N] [--json] [--url URL]",
};
