#include "cli/campaign_apply.h"

#include <stdio.h>

#include "cli/exit_code.h"
#include "core/campaign.h"

/* ---- comparing ------------------------------------------------------------------------------- */

bool campaign_json_equal(const struct json_value *a, const struct json_value *b)
{
    const struct json_value *other;

    if (a == NULL || b == NULL || a->type != b->type || a->count != b->count)
        return false;
    if (a->type == JSON_TEXT || a->type == JSON_NUMBER)
        return slice_equal(a->text, b->text);
    other = b->first;
    for (const struct json_value *m = a->first; m != NULL; m = m->next) {
        if (!campaign_json_equal(m, a->type == JSON_OBJECT ? json_get(b, m->key) : other))
            return false;
        other = other->next;
    }
    return true;
}

/* What the server answers beside the document itself, and what it fills in where it is missing. */
static bool campaign_is_server_made(struct slice name)
{
    static const char *const names[] = {"version", "created_at", "updated_at"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if (slice_equal(name, slice_text(names[i])))
            return true;
    return false;
}

static bool campaign_is_default(const struct json_value *member)
{
    return slice_equal(member->key, SLICE("id")) ||
           (slice_equal(member->key, SLICE("status")) &&
            slice_equal(member->text, slice_text(campaign_status_name(CAMPAIGN_ACTIVE))));
}

bool campaign_is_applied(const struct json_value *document, const struct json_value *stored)
{
    if (document->type != JSON_OBJECT || stored->type != JSON_OBJECT)
        return false;
    for (const struct json_value *m = document->first; m != NULL; m = m->next)
        if (!campaign_json_equal(m, json_get(stored, m->key)))
            return false;
    for (const struct json_value *m = stored->first; m != NULL; m = m->next)
        if (json_get(document, m->key) == NULL && !campaign_is_server_made(m->key) &&
            !campaign_is_default(m))
            return false;
    return true;
}

/* ---- one document ---------------------------------------------------------------------------- */

/* A document on its way to the server. */
struct apply {
    struct remote *r;
    const char *file;
    const struct json_value *document;
    char *id;
    GString *path;  /* "/campaigns/{id}" */
    GString *json;  /* results for --json, comma-separated */
    struct arena a; /* the server's present document */
};

static void apply_print(struct apply *p, const char *result, struct slice answer)
{
    struct arena a = {0};
    int64_t version = 0;
    struct json_writer w;

    json_integer(json_get(json_parse(answer, &a, NULL), SLICE("version")), 0, INT64_MAX, &version);
    arena_done(&a);
    if (!p->r->flags.json) {
        g_autofree char *id = table_safe_text(slice_text(p->id));

        printf("%-10s %s (version %" G_GINT64_FORMAT ")\n", result, id, version);
        return;
    }
    json_writer_init(&w, p->json);
    w.needs_comma = p->json->len > 0;
    json_open_object(&w);
    json_put_string(&w, "id", p->id);
    json_put_string(&w, "result", result);
    json_put_integer(&w, "version", version);
    json_put_string(&w, "file", p->file);
    json_close_object(&w);
}

/* Writes the document if the server's one is still what we saw: etag, or NULL for none. */
static int apply_put(struct apply *p, const char *etag)
{
    g_autofree char *condition =
        etag != NULL ? g_strconcat("If-Match: ", etag, NULL) : g_strdup("If-None-Match: *");
    const char *headers[] = {condition, NULL};
    struct client_request request = {.method = "PUT",
                                     .path = p->path->str,
                                     .content_type = "application/json",
                                     .body = p->document->source,
                                     .headers = headers};
    struct client_response response;
    int code = remote_send(p->r, &request, &response);

    if (code != EXIT_CODE_OK)
        return code;
    apply_print(p, response.status == 201 ? "created" : "updated",
                slice_of(response.body->str, response.body->len));
    client_response_done(&response);
    return code;
}

/* Compares with what the server has, and writes where it differs. */
static int apply_compare(struct apply *p, const struct client_response *present)
{
    struct slice text = slice_of(present->body->str, present->body->len);
    const struct json_value *stored;

    if (present->status == 404)
        return apply_put(p, NULL);
    if (present->status != 200) {
        remote_print_problem(p->path->str, present);
        return remote_exit_code(present->status);
    }
    stored = json_parse(text, &p->a, NULL);
    if (stored == NULL || !campaign_is_applied(p->document, stored))
        return apply_put(p, present->etag);
    apply_print(p, "unchanged", text);
    return EXIT_CODE_OK;
}

static int apply_fetch(struct apply *p)
{
    struct client_request request = {.method = "GET", .path = p->path->str};
    struct client_response present;
    g_autoptr(GError) error = NULL;
    int code;

    if (!client_send(p->r->client, &request, &present, &error)) {
        fprintf(stderr, "eventflow: %s\n", error->message);
        return exit_code_of(error);
    }
    code = apply_compare(p, &present);
    client_response_done(&present);
    return code;
}

/* The id a document has, or the one the server would make from its name. NULL when it has
 * neither. Owned by caller. */
static char *apply_id(const struct json_value *document)
{
    struct slice id = json_get_text(document, "id");
    struct slice name = json_get_text(document, "name");

    if (id.size > 0)
        return g_strndup(id.data, id.size);
    return name.size > 0 ? campaign_slug(name) : NULL;
}

static int apply_document(struct remote *r, const char *file, const struct json_value *document,
                          GString *json)
{
    struct apply p = {.r = r, .file = file, .document = document, .json = json};
    int code;

    p.id = apply_id(document);
    if (p.id == NULL) {
        fprintf(stderr, "eventflow: %s: a campaign is an object with a \"name\"%s\n", file,
                document->type == JSON_OBJECT ? " or an \"id\"" : "");
        return EXIT_CODE_DATA;
    }
    p.path = g_string_new("/campaigns/");
    client_append_escaped(p.path, p.id);
    code = apply_fetch(&p);
    g_string_free(p.path, TRUE);
    g_free(p.id);
    arena_done(&p.a);
    return code;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* The first trouble decides the exit code, unless the server goes away later. */
static int apply_worse(int code, int one)
{
    return code == EXIT_CODE_OK || one == EXIT_CODE_UNAVAILABLE ? one : code;
}

static int apply_fail(const char *file, const GError *error)
{
    fprintf(stderr, "eventflow: %s: %s\n", file, error->message);
    return exit_code_of(error);
}

static int apply_file(struct remote *r, const char *file, GString *json)
{
    struct arena a = {0};
    const struct json_value *root = NULL;
    const struct json_value *document;
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    gsize size;
    int code = EXIT_CODE_OK;

    if (g_file_get_contents(g_str_equal(file, "-") ? "/dev/stdin" : file, &text, &size, &error))
        root = json_parse(slice_of(text, size), &a, &error);
    if (root == NULL)
        code = apply_fail(file, error);
    document = root != NULL && root->type == JSON_ARRAY ? root->first : root;
    while (document != NULL && code != EXIT_CODE_UNAVAILABLE) {
        int one = apply_document(r, file, document, json);

        code = apply_worse(code, one);
        document = document == root ? NULL : document->next;
    }
    arena_done(&a);
    return code;
}

int campaign_apply(struct remote *r)
{
    g_autoptr(GString) json = g_string_new(NULL);
    int code = EXIT_CODE_OK;

    for (size_t i = 0; i < r->operand_count && code != EXIT_CODE_UNAVAILABLE; i++) {
        int one = apply_file(r, r->operands[i], json);

        code = apply_worse(code, one);
    }
    if (r->flags.json)
        printf("[%s]\n", json->str);
    return code;
}
