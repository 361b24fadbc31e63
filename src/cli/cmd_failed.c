/* "eventflow failed": the events that could not be processed, and sending them once more.
 *
 *    list ──▶ ids ──▶ (remove the cause) ──▶ replay ──▶ the queue ──▶ processed, or failed again
 *
 * A replay goes through the queue like a new event, so its outcome is not known here: list shows it
 * a moment later, as replayed or as a new failure.
 */
#include <stdio.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/remote.h"
#include "common/json.h"

#define REPLAY_TIMEOUT_MS (10 * 60 * 1000) /* the server may have 100,000 events to queue */

/* reason, type and customer filter the list, and say which ones replay --all takes. */
static const struct config_setting FAILED_FLAGS[] = {
    REMOTE_COMMON_FLAGS,
    {.name = "reason",
     .type = CONFIG_TEXT,
     .help = "Only those that failed for this reason",
     .offset = REMOTE_FLAG(reason)},
    {.name = "type",
     .type = CONFIG_TEXT,
     .help = "Only events of this type",
     .offset = REMOTE_FLAG(type)},
    {.name = "customer",
     .type = CONFIG_TEXT,
     .help = "Only events of this customer",
     .offset = REMOTE_FLAG(customer)},
    {.name = "status",
     .type = CONFIG_CHOICE,
     /* "all" is no status of the server: see failed_list. */
     .choices = "open|replayed|all",
     .fallback = "open",
     .help = "Which ones to list",
     .offset = REMOTE_FLAG(status)},
    {.name = "limit",
     .type = CONFIG_INTEGER,
     .fallback = "50",
     .help = "How many to list, newest first; 0 = all",
     .offset = REMOTE_FLAG(limit)},
    {.name = "all",
     .type = CONFIG_BOOL,
     .help = "Replay every open one (of the reason, type and customer, when given)",
     .offset = REMOTE_FLAG(all)},
};

/* The ID comes first: it is what replay wants. */
static const struct table_column FAILED_COLUMNS[] = {
    {"ID", "id", TABLE_TEXT, 0},
    {"EVENT", "event_id", TABLE_TEXT, 40},
    {"TYPE", "event_type", TABLE_TEXT, 24},
    {"REASON", "reason", TABLE_TEXT, 0},
    {"ATTEMPTS", "attempts", TABLE_TEXT, 0},
    {"LAST FAILED", "last_failed_at", TABLE_TIME, 0},
    {"STATUS", "status", TABLE_TEXT, 0},
    {"ERROR", "error", TABLE_TEXT, 60},
};

/* Only open ones by default: those that still wait for somebody to act. */
static int failed_list(struct remote *r)
{
    g_autoptr(GString) path = g_string_new("/failed-events");
    bool wants_all = g_str_equal(r->flags.status, "all");
    struct remote_list list = {.key = "failed_events",
                               .columns = FAILED_COLUMNS,
                               .column_count = G_N_ELEMENTS(FAILED_COLUMNS),
                               .nothing = "no such failed events"};

    client_append_query(path, "status", wants_all ? NULL : r->flags.status);
    client_append_query(path, "reason", r->flags.reason);
    client_append_query(path, "event_type", r->flags.type);
    client_append_query(path, "customer_id", r->flags.customer);
    list.path = path->str;
    return remote_print_list(r, &list);
}

/* An absent filter means any; an empty text would mean the empty value. */
static void failed_put_filter(struct json_writer *w, const char *name, const char *value)
{
    if (value[0] != '\0')
        json_put_string(w, name, value);
}

/* What the answer of a bulk replay says for people. An answer that cannot be read counts as 0. */
static void failed_print_replayed(const struct client_response *response)
{
    struct arena a = {0};
    const struct json_value *answer =
        json_parse(slice_of(response->body->str, response->body->len), &a, NULL);
    const struct json_value *has_more = json_get(answer, SLICE("has_more"));
    int64_t replayed = 0;

    json_integer(json_get(answer, SLICE("replayed")), 0, INT64_MAX, &replayed);
    printf("replayed %" G_GINT64_FORMAT "\n", replayed);
    /* Said, not done: see failed_replay_all. */
    if (has_more != NULL && has_more->type == JSON_TRUE)
        printf("there are more: run the same command again\n");
    arena_done(&a);
}

/* One request: the server has a limit of its own, and looping here could replay for ever what
 * keeps failing. */
static int failed_replay_all(struct remote *r)
{
    g_autoptr(GString) body = g_string_new(NULL);
    struct client_request request = {.method = "POST",
                                     .path = "/failed-events/replay",
                                     .content_type = "application/json",
                                     .timeout_ms = REPLAY_TIMEOUT_MS};
    struct client_response response;
    struct json_writer w;
    int code;

    json_writer_init(&w, body);
    json_open_object(&w);
    failed_put_filter(&w, "reason", r->flags.reason);
    failed_put_filter(&w, "event_type", r->flags.type);
    failed_put_filter(&w, "customer_id", r->flags.customer);
    json_close_object(&w);
    /* "{}" takes every open failure, which is why the user has to say --all. */
    request.body = slice_of(body->str, body->len);
    code = remote_send(r, &request, &response);
    if (code != EXIT_CODE_OK)
        return code;
    if (r->flags.json)
        printf("%s\n", response.body->str);
    else
        failed_print_replayed(&response);
    client_response_done(&response);
    return code;
}

/* One failure by its number. Replaying one that was replayed already is the server's to refuse. */
static int failed_replay_one(struct remote *r, const char *id, void *user)
{
    g_autoptr(GString) path = g_string_new("/failed-events/");
    struct client_request request = {.method = "POST"};
    struct client_response response;
    int code;

    (void)user;
    /* What was typed is no number yet; the server refuses what is none. */
    client_append_escaped(path, id);
    g_string_append(path, "/replay");
    request.path = path->str;
    code = remote_send(r, &request, &response);
    if (code != EXIT_CODE_OK)
        return code;
    if (r->flags.json)
        printf("%s\n", response.body->str);
    else
        printf("replayed %s\n", id);
    client_response_done(&response);
    return code;
}

/* Ids or --all, never both and never neither: "replay" alone must not replay everything, and a
 * filter beside ids would suggest a check that nobody makes. */
static int failed_replay(struct remote *r)
{
    /* Both given, or neither. */
    if (r->flags.all != (r->operand_count == 0))
        return options_refuse(&r->options, "replay needs either ids or --all");
    if (r->flags.all)
        return failed_replay_all(r);
    if (r->flags.reason[0] != '\0' || r->flags.type[0] != '\0' || r->flags.customer[0] != '\0')
        return options_refuse(&r->options, "--reason, --type and --customer go with --all");
    return remote_for_each(r, failed_replay_one, NULL);
}

/* replay counts its operands itself, as --all takes their place. */
static const struct remote_action FAILED_ACTIONS[] = {
    {"list", 0, 0, NULL, failed_list},
    {"replay", 0, SIZE_MAX, NULL, failed_replay},
};

/* The table of the command; static, since its flags must outlive the call. */
static int run_failed(int argc, const char *const *argv)
{
    static const struct remote_command command = {
        .command = &command_failed,
        .flags = FAILED_FLAGS,
        .flag_count = G_N_ELEMENTS(FAILED_FLAGS),
        .actions = FAILED_ACTIONS,
        .action_count = G_N_ELEMENTS(FAILED_ACTIONS),
        .notes = "replay sends failed events through the queue once more, after their cause has\n"
                 "been removed. ID is the failure's number in the list, not the event's id.\n",
    };

    return remote_run(&command, argc, argv);
}

const struct command command_failed = {
    .name = "failed",
    .summary = "List events that could not be processed, and replay them",
    .run = run_failed,
    .usage = "list [--reason R] [--type T] [--customer ID] [--status S] [--limit N] [--json] "
             "[--url URL]\n"
             "replay ID… [--json] [--url URL]\n"
             "replay --all [--reason R] [--type T] [--customer ID] [--json] [--url URL]",
};
