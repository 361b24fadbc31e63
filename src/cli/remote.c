/* The way that all commands for a running server share: flags, action, request, answer, exit code.
 *
 * Every function that can fail prints what went wrong, once, and returns an exit code: a command is
 * then a sequence of "if (code != OK) return code". Answers are printed only when they are
 * complete, so a list that breaks off in the middle leaves nothing half-shown on standard output.
 *
 * Deliberately missing: repetition. A person or a script sees the trouble and decides; only send,
 * which may run for hours, waits for the server.
 */
#include "cli/remote.h"

#include <stdio.h>

#include "cli/exit_code.h"
#include "common/error.h"
#include "common/json.h"

#define REMOTE_PAGE_MAX 1000 /* rows the server gives at once */

/* ---- answers that are no success ------------------------------------------------------------- */

/* Also for a success, so that callers need no test of their own. */
int remote_exit_code(int status)
{
    /* Statuses with a code of their own. UNAVAILABLE: the same request may succeed later. All
     * others outside of 2xx, such as 404 and 409, are a plain FAILURE. */
    static const struct {
        int status;
        enum exit_code code;
    } codes[] = {
        {400, EXIT_CODE_DATA},        {413, EXIT_CODE_DATA},        {415, EXIT_CODE_DATA},
        {422, EXIT_CODE_DATA},        {429, EXIT_CODE_UNAVAILABLE}, {502, EXIT_CODE_UNAVAILABLE},
        {503, EXIT_CODE_UNAVAILABLE}, {504, EXIT_CODE_UNAVAILABLE}, {507, EXIT_CODE_IO},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
        if (codes[i].status == status)
            return codes[i].code;
    return status >= 200 && status < 300 ? EXIT_CODE_OK : EXIT_CODE_FAILURE;
}

/* One line for each error of a problem document (RFC 9457, our member "errors"). errors may be NULL
 * or of another type: then nothing. */
static void remote_print_errors(const struct json_value *errors)
{
    const struct json_value *error =
        errors != NULL && errors->type == JSON_ARRAY ? errors->first : NULL;

    for (; error != NULL; error = error->next) {
        g_autofree char *pointer = table_safe_text(json_get_text(error, "pointer"));
        g_autofree char *detail = table_safe_text(json_get_text(error, "detail"));

        fprintf(stderr, "  %s: %s\n", pointer, detail);
    }
}

/* The most telling text there is: detail, title, or that there is none. A proxy may answer with
 * something that is no JSON: then the status alone has to do. The server's words are made safe for
 * the terminal. */
void remote_print_problem(const char *what, const struct client_response *response)
{
    struct arena a = {0};
    struct slice body = slice_of(response->body->str, response->body->len);
    const struct json_value *problem = json_parse(body, &a, NULL);
    struct slice detail = json_get_text(problem, "detail");
    g_autofree char *text = NULL;
    int64_t replayed;

    /* A title alone only names the kind of trouble. */
    if (detail.size == 0)
        detail = json_get_text(problem, "title");
    text = table_safe_text(detail.size > 0 ? detail : SLICE("the server does not say why"));
    fprintf(stderr, "eventflow: %s: %s (status %d)\n", what, text, response->status);
    remote_print_errors(json_get(problem, SLICE("errors")));
    /* What a bulk replay had done when the error stopped it. */
    if (json_integer(json_get(problem, SLICE("replayed")), 1, INT64_MAX, &replayed))
        fprintf(stderr, "  replayed before that: %" G_GINT64_FORMAT "\n", replayed);
    arena_done(&a);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Both kinds of trouble end here: no answer, and an answer that is no success. The response is the
 * caller's only with OK. */
int remote_send(struct remote *r, const struct client_request *request,
                struct client_response *response)
{
    g_autoptr(GError) error = NULL;
    int code;

    if (!client_send(r->client, request, response, &error)) {
        fprintf(stderr, "eventflow: %s\n", error->message);
        return exit_code_of(error);
    }
    code = remote_exit_code(response->status);
    if (code == EXIT_CODE_OK)
        return code;
    remote_print_problem(request->path, response);
    client_response_done(response);
    return code;
}

/* The text is copied into the arena first, because the tree borrows from it and the response ends
 * here. */
int remote_get(struct remote *r, const char *path, struct arena *a, const struct json_value **value)
{
    struct client_request request = {.method = "GET", .path = path};
    struct client_response response;
    struct slice text;
    g_autoptr(GError) error = NULL;
    int code = remote_send(r, &request, &response);

    if (code != EXIT_CODE_OK)
        return code;
    text = arena_copy(a, slice_of(response.body->str, response.body->len));
    client_response_done(&response);
    *value = json_parse_any(text, a, &error);
    if (*value != NULL)
        return EXIT_CODE_OK;
    fprintf(stderr, "eventflow: %s: the answer is no JSON: %s\n", path, error->message);
    return EXIT_CODE_FAILURE;
}

/* Each failure has been printed by then. */
int remote_for_each(struct remote *r, remote_operand_fn act, void *user)
{
    int code = EXIT_CODE_OK;

    for (size_t i = 0; i < r->operand_count; i++) {
        int one = act(r, r->operands[i], user);

        code = code == EXIT_CODE_OK ? one : code;
        if (one == EXIT_CODE_UNAVAILABLE)
            break; /* the others would fare no better */
    }
    return code;
}

/* ---- lists ----------------------------------------------------------------------------------- */

/* What has been gathered of a list. All members are owned by remote_print_list. */
struct remote_rows {
    struct table table; /* cells for people; filled with --json as well */
    GString *json;      /* the rows' own JSON, comma-separated */
    int64_t count;      /* rows so far */
    char *cursor;       /* of the next page; NULL at the end */
};

/* Takes the rows and the cursor of one page. The rows' JSON is kept as the bytes they came in, for
 * the page's memory is reset afterwards. A page without the member gives no rows and no cursor,
 * which ends the list. */
static void remote_take_page(struct remote_rows *rows, const struct json_value *page,
                             const char *key)
{
    const struct json_value *list = json_get(page, slice_text(key));
    const struct json_value *row = list != NULL && list->type == JSON_ARRAY ? list->first : NULL;
    struct slice cursor = json_get_text(page, "next_cursor");

    for (; row != NULL; row = row->next) {
        g_string_append(rows->json, rows->json->len > 0 ? "," : "");
        g_string_append_len(rows->json, row->source.data, (gssize)row->source.size);
        table_add(&rows->table, row);
        rows->count++;
    }
    /* Copied, since the page that holds it ends before the next request. */
    g_free(rows->cursor);
    rows->cursor = cursor.size > 0 ? g_strndup(cursor.data, cursor.size) : NULL;
}

/* Asks for page after page until there are limit rows or no more. A page may hold more rows than
 * asked for (the matches of one event stay together); they are kept. The arena is reset after each
 * page, so a long list costs its rows only. */
static int remote_gather(struct remote *r, const struct remote_list *list, struct remote_rows *rows)
{
    /* 0 stands for all; negative values do not come through the flags' table. */
    int64_t limit = r->flags.limit > 0 ? r->flags.limit : INT64_MAX;
    struct arena a = {0};
    int code;

    do {
        g_autoptr(GString) path = g_string_new(list->path);
        g_autofree char *page_size = g_strdup_printf(
            "%" G_GINT64_FORMAT, MIN(limit - rows->count, (int64_t)REMOTE_PAGE_MAX));
        const struct json_value *page = NULL;

        /* The last page asks for no more than what is missing. */
        client_append_query(path, "limit", page_size);
        client_append_query(path, "cursor", rows->cursor);
        code = remote_get(r, path->str, &a, &page);
        if (code == EXIT_CODE_OK)
            remote_take_page(rows, page, list->key);
        arena_reset(&a);
    } while (code == EXIT_CODE_OK && rows->cursor != NULL && rows->count < limit);
    arena_done(&a);
    return code;
}

/* JSON has the shape of the server's own pages, so a script reads both in the same way. */
static void remote_print_rows(const struct remote *r, const struct remote_list *list,
                              const struct remote_rows *rows)
{
    g_autoptr(GString) out = g_string_new(NULL);
    struct json_writer w;

    json_writer_init(&w, out);
    if (r->flags.json) {
        json_open_object(&w);
        /* The rows are JSON already; the writer only frames them. At the end of the list the cursor
         * is null. */
        g_string_append_printf(out, "\"%s\":[%s],", list->key, rows->json->str);
        json_put_string(&w, "next_cursor", rows->cursor);
        json_close_object(&w);
        printf("%s\n", out->str);
        return;
    }
    table_print(&rows->table, "", out);
    printf("%s", out->str);
    if (rows->count == 0)
        printf("%s\n", list->nothing);
    else if (rows->cursor != NULL)
        printf("(there are more; --limit 0 shows all)\n");
}

/* Gathers first, prints then: the width of a column is known only after its last cell. */
int remote_print_list(struct remote *r, const struct remote_list *list)
{
    struct remote_rows rows = {.json = g_string_new(NULL)};
    int code;

    table_init(&rows.table, list->columns, list->column_count);
    code = remote_gather(r, list, &rows);
    if (code == EXIT_CODE_OK)
        remote_print_rows(r, list, &rows);
    table_done(&rows.table);
    g_string_free(rows.json, TRUE);
    g_free(rows.cursor);
    return code;
}

/* ---- the command ----------------------------------------------------------------------------- */

/* The action that the first operand names; NULL: it has been refused, with the nearest name as a
 * hint. What was typed is made safe first: it may come from a script's variable. */
static const struct remote_action *remote_action(const struct remote_command *command,
                                                 const struct options *options)
{
    /* More actions than any command has; the assertion notices the first that has more. */
    const char *names[8];
    const char *name = options->operands->len > 0 ? g_ptr_array_index(options->operands, 0) : NULL;
    const char *nearest;
    g_autofree char *safe = NULL;

    g_assert(command->action_count <= G_N_ELEMENTS(names));
    for (size_t i = 0; i < command->action_count; i++) {
        names[i] = command->actions[i].name;
        if (name != NULL && g_str_equal(name, names[i]))
            return &command->actions[i];
    }
    if (name == NULL) {
        options_refuse(options, "say what to do");
        return NULL;
    }
    nearest = config_nearest(name, names, command->action_count);
    safe = table_safe_text(slice_text(name));
    options_refuse(options, "unknown action '%s'%s%s%s", safe,
                   nearest != NULL ? " (did you mean '" : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "'?)" : "");
    return NULL;
}

/* Checks the number of operands, then runs the action. The client is made only now, but connects
 * with the first request: a refused command line never reaches the net. */
static int remote_act(struct remote *r, const struct remote_action *action)
{
    g_autoptr(GError) error = NULL;
    int code;

    /* Too few and too many are told apart: one names what is missing, the other what is too much.
     */
    if (r->operand_count < action->operands_min)
        return options_refuse(&r->options, "%s needs %s", action->name, action->operands_name);
    if (r->operand_count > action->operands_max)
        return options_refuse(&r->options, "%s has an argument too many: '%s'", action->name,
                              r->operands[action->operands_max]);
    r->client = client_new(r->flags.url, &error);
    if (r->client == NULL)
        return options_refuse(&r->options, "--url: %s", error->message);
    code = action->run(r);
    client_free(r->client);
    return code;
}

/* The frame of every such command. A list that could not be written must not end with 0. */
int remote_run(const struct remote_command *command, int argc, const char *const *argv)
{
    struct remote r = {.options = {.command = command->command,
                                   .table = command->flags,
                                   .count = command->flag_count,
                                   .notes = command->notes}};
    const struct remote_action *action;
    int code = EXIT_CODE_USAGE;

    r.options.settings = &r.flags;
    if (options_load(&r.options, argc, argv, &code)) {
        action = remote_action(command, &r.options);
        if (action != NULL) {
            /* Behind the action's name. */
            r.operands = (const char *const *)r.options.operands->pdata + 1;
            r.operand_count = r.options.operands->len - 1;
            code = remote_act(&r, action);
        }
    }
    options_done(&r.options);
    return exit_code_flushed(code);
}
