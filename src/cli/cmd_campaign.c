/* "eventflow campaign": list, show, apply and delete on a running server.
 *
 *    ID         NAME               STATUS  VERSION  UPDATED
 *    vip-order  Orders over $50    active  3        2026-11-21T10:00:00Z
 *
 * Each action is one small function over cli/remote.h; apply stands in campaign_apply.c. Nothing is
 * checked here that the server checks. Exit codes are those of remote_exit_code.
 */
#include <stdio.h>

#include "cli/campaign_apply.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/remote.h"
#include "common/json.h"

/* One table for all actions: a flag that an action does not know has no effect on it. */
static const struct config_setting CAMPAIGN_FLAGS[] = {
    REMOTE_COMMON_FLAGS,
    {.name = "status",
     .type = CONFIG_CHOICE,
     .choices = "draft|active|paused|ended|all",
     .fallback = "all",
     .help = "Which ones to list",
     .offset = REMOTE_FLAG(status)},
    {.name = "limit",
     .type = CONFIG_INTEGER,
     .fallback = "0",
     .help = "How many to list; 0 = all",
     .offset = REMOTE_FLAG(limit)},
};

/* The id is never cut, since people copy it from here. */
static const struct table_column CAMPAIGN_COLUMNS[] = {
    {"ID", "id", TABLE_TEXT, 0},
    {"NAME", "name", TABLE_TEXT, 48},
    {"STATUS", "status", TABLE_TEXT, 0},
    {"VERSION", "version", TABLE_TEXT, 0},
    {"UPDATED", "updated_at", TABLE_TIME, 0},
};

/* The server has no word for "all": there it is the absence of a status. */
static int campaign_list(struct remote *r)
{
    g_autoptr(GString) path = g_string_new("/campaigns");
    bool wants_all = g_str_equal(r->flags.status, "all");
    struct remote_list list = {.key = "campaigns",
                               .columns = CAMPAIGN_COLUMNS,
                               .column_count = G_N_ELEMENTS(CAMPAIGN_COLUMNS),
                               .nothing = "no campaigns"};

    client_append_query(path, "status", wants_all ? NULL : r->flags.status);
    list.path = path->str;
    return remote_print_list(r, &list);
}

/* One campaign as the server has it: its bytes with --json, indented for people. */
static int campaign_show(struct remote *r)
{
    struct arena a = {0};
    g_autoptr(GString) path = g_string_new("/campaigns/");
    g_autoptr(GString) out = g_string_new(NULL);
    const struct json_value *campaign = NULL;
    int code;

    /* An id with a slash or a space must stay one segment of the path. */
    client_append_escaped(path, r->operands[0]);
    code = remote_get(r, path->str, &a, &campaign);
    if (code == EXIT_CODE_OK && r->flags.json)
        printf("%.*s\n", SLICE_ARG(campaign->source));
    if (code == EXIT_CODE_OK && !r->flags.json) {
        table_append_json(out, campaign, 0);
        printf("%s\n", out->str);
    }
    arena_done(&a);
    return code;
}

/* Without a condition: whoever types an id means the campaign, not one version of it. user: the
 * writer that gathers the ids for --json. */
static int campaign_delete_one(struct remote *r, const char *id, void *user)
{
    g_autoptr(GString) path = g_string_new("/campaigns/");
    struct client_request request = {.method = "DELETE"};
    struct client_response response;
    int code;

    client_append_escaped(path, id);
    request.path = path->str;
    code = remote_send(r, &request, &response);
    if (code != EXIT_CODE_OK)
        return code;
    client_response_done(&response);
    if (r->flags.json)
        json_add_text(user, slice_text(id));
    else
        printf("deleted %s\n", id);
    return code;
}

/* With --json one object, after trouble too: it names those that are gone by now. The server
 * answers a deletion with nothing that could be passed on. */
static int campaign_delete(struct remote *r)
{
    g_autoptr(GString) out = g_string_new(NULL);
    struct json_writer w;
    int code;

    json_writer_init(&w, out);
    json_open_object(&w);
    json_key(&w, "deleted");
    json_open_array(&w);
    code = remote_for_each(r, campaign_delete_one, &w);
    json_close_array(&w);
    json_close_object(&w);
    if (r->flags.json)
        printf("%s\n", out->str);
    return code;
}

/* Name, operands at least and at most, what they are, what to do. */
static const struct remote_action CAMPAIGN_ACTIONS[] = {
    {"list", 0, 0, NULL, campaign_list},
    {"show", 1, 1, "the id of a campaign", campaign_show},
    {"apply", 1, SIZE_MAX, "at least one file", campaign_apply},
    {"delete", 1, SIZE_MAX, "the id of a campaign", campaign_delete},
};

/* The table of the command; static, since its flags must outlive the call. */
static int run_campaign(int argc, const char *const *argv)
{
    static const struct remote_command command = {
        .command = &command_campaign,
        .flags = CAMPAIGN_FLAGS,
        .flag_count = G_N_ELEMENTS(CAMPAIGN_FLAGS),
        .actions = CAMPAIGN_ACTIONS,
        .action_count = G_N_ELEMENTS(CAMPAIGN_ACTIONS),
        .notes = "apply makes the server's campaigns equal to the files: each file holds one\n"
                 "document or an array of them; '-' is standard input. A document without \"id\"\n"
                 "gets one made from its name. Applying the same file again changes nothing.\n",
    };

    return remote_run(&command, argc, argv);
}

const struct command command_campaign = {
    .name = "campaign",
    .summary = "List, show, apply and delete campaigns",
    .run = run_campaign,
    .usage = "list [--status STATUS] [--limit N] [--json] [--url URL]\n"
             "show ID [--json] [--url URL]\n"
             "apply FILE… [--json] [--url URL]\n"
             "delete ID… [--json] [--url URL]",
};
