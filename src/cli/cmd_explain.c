/* "eventflow explain": why an event does not match a campaign, or how it does.
 *
 *    ✗ order-1 does not match credit-over-50 (version 2, active)
 *      payload.amount is 20; it must be more than 50
 *      expected  [{"numeric":[">",50]}]
 *      actual    20
 *      decided   not matched, 2026-11-21T10:00:00Z
 *
 * Without a campaign: a table, one line for each active one. The marks are for terminals; elsewhere
 * words stand alone, so that a log or a pipe has nothing but text.
 */
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/remote.h"
#include "cli/table.h"
#include "common/json.h"

#define PAGE_MAX 1000 /* rows the server gives at once */

/* The flags of all such commands and one of our own behind them. */
struct explain_flags {
    struct remote_flags common;
    int64_t version;
};

static const struct config_setting EXPLAIN_FLAGS[] = {
    REMOTE_COMMON_FLAGS,
    {.name = "source",
     .type = CONFIG_TEXT,
     .help = "The event of this source, where several have the id",
     .offset = REMOTE_FLAG(source)},
    {.name = "version",
     .type = CONFIG_INTEGER,
     .fallback = "0",
     .help = "Of the campaign; 0 = the newest",
     .offset = offsetof(struct explain_flags, version)},
    {.name = "limit",
     .type = CONFIG_INTEGER,
     .fallback = "50",
     .help = "How many campaigns to list; 0 = all",
     .offset = REMOTE_FLAG(limit)},
};

/* Made from the server's rows, see explain_add_row. */
static const struct table_column EXPLAIN_COLUMNS[] = {
    {"NOW", "now", TABLE_TEXT, 0},         {"CAMPAIGN", "campaign", TABLE_TEXT, 0},
    {"VERSION", "version", TABLE_TEXT, 0}, {"DECIDED", "decided", TABLE_TEXT, 0},
    {"WHY", "why", TABLE_TEXT, 0},
};

/* ---- words ----------------------------------------------------------------------------------- */

/* What a row says now. The server's null: it could not be judged. */
enum verdict { VERDICT_UNKNOWN, VERDICT_NO, VERDICT_YES };

static enum verdict explain_verdict(const struct json_value *judgement)
{
    const struct json_value *matches = json_get(judgement, SLICE("matches"));

    if (matches != NULL && matches->type == JSON_TRUE)
        return VERDICT_YES;
    return matches != NULL && matches->type == JSON_FALSE ? VERDICT_NO : VERDICT_UNKNOWN;
}

static bool is_terminal(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

/* In front of a line; nothing where it is no terminal. */
static const char *explain_mark(enum verdict verdict)
{
    static const char *const marks[] = {
        [VERDICT_UNKNOWN] = "? ", [VERDICT_NO] = "✗ ", [VERDICT_YES] = "✓ "};

    return is_terminal() ? marks[verdict] : "";
}

/* In a cell of its own. */
static const char *explain_now(enum verdict verdict)
{
    static const char *const marks[] = {
        [VERDICT_UNKNOWN] = "?", [VERDICT_NO] = "✗", [VERDICT_YES] = "✓"};
    static const char *const words[] = {
        [VERDICT_UNKNOWN] = "?", [VERDICT_NO] = "no", [VERDICT_YES] = "yes"};

    return is_terminal() ? marks[verdict] : words[verdict];
}

/* A member's text made safe for the terminal. Owned by caller. */
static char *explain_text(const struct json_value *object, const char *name)
{
    return table_cell(json_get(object, slice_text(name)), TABLE_TEXT, 0);
}

/* "matched by version 1", "not matched", "failed (invalid)", "waiting". Owned by caller. */
static char *explain_decision(const struct json_value *decided)
{
    g_autofree char *status = explain_text(decided, "status");
    g_autofree char *version = explain_text(decided, "campaign_version");
    g_autofree char *failure = explain_text(decided, "failure");

    if (g_str_equal(status, "matched"))
        return g_strdup_printf("matched by version %s", version);
    if (g_str_equal(status, "failed"))
        return g_strdup_printf("failed (%s)", failure);
    return g_str_equal(status, "not_matched") ? g_strdup("not matched") : g_steal_pointer(&status);
}

/* ---- one campaign ---------------------------------------------------------------------------- */

static void explain_append_line(GString *out, const char *name, const char *text)
{
    g_string_append_printf(out, "  %-9s %s\n", name, text);
}

/* The first line: who, whom, which version. */
static void explain_append_head(GString *out, const struct json_value *answer, enum verdict verdict)
{
    static const char *const words[] = {[VERDICT_UNKNOWN] = "cannot be judged against",
                                        [VERDICT_NO] = "does not match",
                                        [VERDICT_YES] = "matches"};
    const struct json_value *campaign = json_get(answer, SLICE("campaign"));
    const struct json_value *deleted = json_get(campaign, SLICE("deleted"));
    g_autofree char *event = explain_text(answer, "event_id");
    g_autofree char *id = explain_text(campaign, "id");
    g_autofree char *version = explain_text(campaign, "version");
    g_autofree char *status = explain_text(campaign, "status");
    bool is_deleted = deleted != NULL && deleted->type == JSON_TRUE;

    g_string_append_printf(out, "%s%s %s %s (version %s, %s)\n", explain_mark(verdict), event,
                           words[verdict], id, version, is_deleted ? "deleted" : status);
}

/* The leaf at fault. */
static void explain_append_reason(GString *out, const struct json_value *judged)
{
    const struct json_value *reason = json_get(judged, SLICE("reason"));
    const struct json_value *absent = json_get(reason, SLICE("absent"));
    g_autofree char *expected = explain_text(reason, "expected");
    g_autofree char *actual =
        table_safe_text(reason != NULL && json_get(reason, SLICE("actual")) != NULL
                            ? json_get(reason, SLICE("actual"))->source
                            : SLICE("-"));
    g_autofree char *failing = explain_text(judged, "failing");
    g_autofree char *conditions = explain_text(judged, "conditions");

    if (reason == NULL || reason->type != JSON_OBJECT)
        return;
    explain_append_line(out, "expected", expected);
    explain_append_line(out, "actual",
                        absent != NULL && absent->type == JSON_TRUE ? "(absent)" : actual);
    g_string_append_printf(out, "  %-9s %s of %s\n", "failing", failing, conditions);
}

/* With $or: which way through it was looked at. */
static void explain_append_branch(GString *out, const struct json_value *judged,
                                  enum verdict verdict)
{
    const struct json_value *branch = json_get(judged, SLICE("branch"));
    g_autofree char *number = explain_text(branch, "number");
    g_autofree char *count = explain_text(branch, "count");
    g_autofree char *conditions = explain_text(branch, "conditions");
    g_autofree char *more = explain_text(branch, "more");

    if (branch == NULL)
        return;
    g_string_append_printf(out, "  %-9s %s of %s%s: %s", "branch", number, count,
                           verdict == VERDICT_NO ? " comes nearest" : "", conditions);
    if (json_get(branch, SLICE("more")) != NULL)
        g_string_append_printf(out, " and %s more", more);
    g_string_append_c(out, '\n');
}

/* What was written down then, apart from what holds now. */
static void explain_append_decided(GString *out, const struct json_value *answer)
{
    const struct json_value *decided = json_get(answer, SLICE("decided"));
    const struct json_value *at = json_get(decided, SLICE("at"));
    g_autofree char *decision = explain_decision(decided);
    g_autofree char *time = table_cell(at, TABLE_TIME, 0);
    g_autofree char *text = g_strconcat(decision, ", ", time, NULL);
    g_autofree char *note = explain_text(decided, "note");

    explain_append_line(out, "decided", at != NULL && at->type == JSON_TEXT ? text : decision);
    if (json_get(decided, SLICE("note")) != NULL)
        explain_append_line(out, "", note);
}

static void explain_print_one(const struct json_value *answer)
{
    const struct json_value *judged = json_get(answer, SLICE("judged"));
    enum verdict verdict = explain_verdict(judged);
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *text = explain_text(judged, "text");

    explain_append_head(out, answer, verdict);
    g_string_append_printf(out, "  %s\n", text);
    explain_append_reason(out, judged);
    explain_append_branch(out, judged, verdict);
    explain_append_decided(out, answer);
    printf("%s", out->str);
}

/* "/events/ID/explain" with the source. Owned by caller. */
static GString *explain_path(const char *event, const char *source)
{
    GString *path = g_string_new("/events/");

    client_append_escaped(path, event);
    g_string_append(path, "/explain");
    client_append_query(path, "source", source);
    return path;
}

static int explain_one(struct remote *r, int64_t version)
{
    g_autoptr(GString) path = explain_path(r->operands[0], r->flags.source);
    g_autofree char *number = g_strdup_printf("%" G_GINT64_FORMAT, version);
    const struct json_value *answer = NULL;
    struct arena a = {0};
    int code;

    client_append_query(path, "campaign", r->operands[1]);
    client_append_query(path, "version", version > 0 ? number : NULL);
    code = remote_get(r, path->str, &a, &answer);
    if (code == EXIT_CODE_OK && r->flags.json)
        printf("%.*s\n", SLICE_ARG(answer->source));
    else if (code == EXIT_CODE_OK)
        explain_print_one(answer);
    arena_done(&a);
    return code;
}

/* ---- all active ones ------------------------------------------------------------------------- */

/* What has been gathered. */
struct explain_rows {
    struct table table;
    GString *head; /* the members of the first page before its rows, as JSON */
    GString *json; /* the rows' own JSON, comma-separated */
    GString *line; /* the event and its decision, for people */
    char *cursor;  /* of the next page; NULL at the end */
    int64_t count;
};

/* The cells of one row, from a row of the server's. */
static void explain_add_row(struct explain_rows *rows, const struct json_value *row)
{
    g_autofree char *decided = explain_decision(json_get(row, SLICE("decided")));
    g_autoptr(GString) cells = g_string_new(NULL);
    const struct json_value *version = json_get(row, SLICE("campaign_version"));
    struct arena a = {0};
    struct json_writer w;

    json_writer_init(&w, cells);
    json_open_object(&w);
    json_put_string(&w, "now", explain_now(explain_verdict(row)));
    json_put_text(&w, "campaign", json_get_text(row, "campaign_id"));
    json_put_raw(&w, "version", version != NULL ? version->source : SLICE("null"));
    json_put_string(&w, "decided", decided);
    json_put_text(&w, "why", json_get_text(row, "text"));
    json_close_object(&w);
    table_add(&rows->table, json_parse(slice_of(cells->str, cells->len), &a, NULL));
    arena_done(&a);
}

/* Everything but rows and cursor. */
static void explain_take_head(struct explain_rows *rows, const struct json_value *page)
{
    g_autofree char *event = explain_text(page, "event_id");
    g_autofree char *decision = explain_decision(json_get(page, SLICE("decided")));
    g_autofree char *time =
        table_cell(json_get(json_get(page, SLICE("decided")), SLICE("at")), TABLE_TIME, 0);
    struct json_writer w;

    g_string_printf(rows->line, "%s: %s%s%s\n\n", event, decision,
                    g_str_equal(time, "-") ? "" : " ", g_str_equal(time, "-") ? "" : time);
    json_writer_init(&w, rows->head);
    for (const struct json_value *m = page->first; m != NULL; m = m->next) {
        if (slice_equal(m->key, SLICE("campaigns")) || slice_equal(m->key, SLICE("next_cursor")))
            continue;
        json_key_slice(&w, m->key);
        json_add_raw(&w, m->source);
    }
}

static void explain_take_page(struct explain_rows *rows, const struct json_value *page)
{
    const struct json_value *list = json_get(page, SLICE("campaigns"));
    struct slice cursor = json_get_text(page, "next_cursor");

    if (rows->head->len == 0)
        explain_take_head(rows, page);
    for (const struct json_value *row = list != NULL ? list->first : NULL; row != NULL;
         row = row->next, rows->count++) {
        g_string_append(rows->json, rows->json->len > 0 ? "," : "");
        g_string_append_len(rows->json, row->source.data, (gssize)row->source.size);
        explain_add_row(rows, row);
    }
    g_free(rows->cursor);
    rows->cursor = cursor.size > 0 ? g_strndup(cursor.data, cursor.size) : NULL;
}

/* Page after page, up to the limit; the server may give short ones. */
static int explain_gather(struct remote *r, struct explain_rows *rows)
{
    int64_t limit = r->flags.limit > 0 ? r->flags.limit : INT64_MAX;
    struct arena a = {0};
    int code;

    do {
        g_autoptr(GString) path = explain_path(r->operands[0], r->flags.source);
        g_autofree char *size =
            g_strdup_printf("%" G_GINT64_FORMAT, MIN(limit - rows->count, (int64_t)PAGE_MAX));
        const struct json_value *page = NULL;

        client_append_query(path, "limit", size);
        client_append_query(path, "cursor", rows->cursor);
        code = remote_get(r, path->str, &a, &page);
        if (code == EXIT_CODE_OK)
            explain_take_page(rows, page);
        arena_reset(&a);
    } while (code == EXIT_CODE_OK && rows->cursor != NULL && rows->count < limit);
    arena_done(&a);
    return code;
}

static void explain_print_rows(const struct explain_rows *rows, bool as_json)
{
    g_autoptr(GString) out = g_string_new(NULL);
    struct json_writer w;

    if (as_json) {
        json_writer_init(&w, out);
        json_put_string(&w, "next_cursor", rows->cursor);
        printf("{%s,\"campaigns\":[%s],%s}\n", rows->head->str, rows->json->str, out->str);
        return;
    }
    table_print(&rows->table, "", out);
    printf("%s%s", rows->line->str, out->str);
    if (rows->count == 0)
        printf("no active campaigns\n");
    else if (rows->cursor != NULL)
        printf("(there are more; --limit 0 shows all)\n");
}

static int explain_all(struct remote *r)
{
    struct explain_rows rows = {
        .head = g_string_new(NULL), .json = g_string_new(NULL), .line = g_string_new(NULL)};
    int code;

    table_init(&rows.table, EXPLAIN_COLUMNS, G_N_ELEMENTS(EXPLAIN_COLUMNS));
    code = explain_gather(r, &rows);
    if (code == EXIT_CODE_OK)
        explain_print_rows(&rows, r->flags.json);
    table_done(&rows.table);
    g_string_free(rows.head, TRUE);
    g_string_free(rows.json, TRUE);
    g_string_free(rows.line, TRUE);
    g_free(rows.cursor);
    return code;
}

/* ---- the command ----------------------------------------------------------------------------- */

/* Connects and asks. There is no word for an action between the command and its operands, which is
 * why remote_run does not serve. */
static int explain_ask(struct remote *r, int64_t version)
{
    g_autoptr(GError) error = NULL;
    int code;

    if (r->operand_count == 0)
        return options_refuse(&r->options, "say which event");
    if (r->operand_count > 2)
        return options_refuse(&r->options, "an argument too many: '%s'", r->operands[2]);
    for (size_t i = 0; i < r->operand_count; i++)
        if (r->operands[i][0] == '\0')
            return options_refuse(&r->options, "the %s is empty", i == 0 ? "event" : "campaign");
    if (r->operand_count == 1 && version > 0)
        return options_refuse(&r->options, "--version needs the campaign it belongs to");
    r->client = client_new(r->flags.url, &error);
    if (r->client == NULL)
        return options_refuse(&r->options, "--url: %s", error->message);
    code = r->operand_count == 2 ? explain_one(r, version) : explain_all(r);
    client_free(r->client);
    return code;
}

static int run_explain(int argc, const char *const *argv)
{
    struct explain_flags flags = {.version = 0};
    struct remote r = {
        .options = {.command = &command_explain,
                    .table = EXPLAIN_FLAGS,
                    .count = G_N_ELEMENTS(EXPLAIN_FLAGS),
                    .settings = &flags,
                    .notes = "\"decided\" is what was recorded when the event was processed; the\n"
                             "rest is what the campaign's version says now.\n"
                             "Without a campaign: one line for each active one.\n"}};
    int code = EXIT_CODE_USAGE;

    if (options_load(&r.options, argc, argv, &code)) {
        r.flags = flags.common; /* borrowed: the options own the texts */
        r.operands = (const char *const *)r.options.operands->pdata;
        r.operand_count = r.options.operands->len;
        code = explain_ask(&r, flags.version);
    }
    options_done(&r.options);
    return exit_code_flushed(code);
}

const struct command command_explain = {
    .name = "explain",
    .summary = "Tell why an event matches a campaign, or why not",
    .run = run_explain,
    .usage = "EVENT [CAMPAIGN] [--source SOURCE] [--version N] [--json] [--url URL]",
};
