/* "campaign apply": one comparison and at most one write for each document.
 *
 * The ETag of the document that was compared goes back as the condition of the write, so whatever
 * somebody else does in between makes the server refuse, and nothing is overwritten unseen.
 *
 * Deliberately missing: deleting what is in no file. A forgotten file must not end a campaign.
 */
#include "cli/campaign_apply.h"

#include <stdio.h>

#include "cli/exit_code.h"
#include "core/campaign.h"

/* ---- comparing ------------------------------------------------------------------------------- */

/* Walks both lists side by side; their counts are equal, so they end together. Members are found by
 * name instead. 1.0 and 1 differ, which costs a version too many and never hides a change. */
bool campaign_json_equal(const struct json_value *a, const struct json_value *b)
{
    const struct json_value *other;

    /* The counts decide before the members do, so a member missing on either side is found. */
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

/* What the server answers beside the document itself. */
static bool campaign_is_server_made(struct slice name)
{
    static const char *const names[] = {"version", "created_at", "updated_at"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        if (slice_equal(name, slice_text(names[i])))
            return true;
    return false;
}

/* What the server fills in where the document is silent: an id, and the status "active". A stored
 * status that is another one counts as a difference, so applying sets it back. */
static bool campaign_is_default(const struct json_value *member)
{
    return slice_equal(member->key, SLICE("id")) ||
           (slice_equal(member->key, SLICE("status")) &&
            slice_equal(member->text, slice_text(campaign_status_name(CAMPAIGN_ACTIVE))));
}

/* Both ways: what the document says must be stored, and nothing else may be stored that applying
 * would take away. */
bool campaign_is_applied(const struct json_value *document, const struct json_value *stored)
{
    if (document->type != JSON_OBJECT || stored->type != JSON_OBJECT)
        return false;
    for (const struct json_value *m = document->first; m != NULL; m = m->next)
        if (!campaign_json_equal(m, json_get(stored, m->key)))
            return false;
    for (const struct json_value *m = stored->first; m != NULL; m = m->next)
        /* Stored but not in the document: applying would drop it, unless it comes back by itself.
         */
        if (json_get(document, m->key) == NULL && !campaign_is_server_made(m->key) &&
            !campaign_is_default(m))
            return false;
    return true;
}

/* ---- one document ---------------------------------------------------------------------------- */

/* A document on its way to the server. Everything but id, path and a is borrowed for the call. */
struct apply {
    struct remote *r;
    const char *file;                  /* as the user named it; for messages */
    const struct json_value *document; /* in the arena of apply_file */
    char *id;                          /* owned; the document's, or made from its name */
    GString *path;                     /* "/campaigns/{id}" */
    GString *json;                     /* results for --json, comma-separated */
    struct arena a;                    /* the server's present document */
};

/* Prints what became of the document: a line for people, an object into p->json for programs.
 * answer is the server's; the version in it is 0 when it cannot be read. */
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
    /* Another object into the same array. */
    json_writer_init(&w, p->json);
    w.needs_comma = p->json->len > 0;
    json_open_object(&w);
    json_put_string(&w, "id", p->id);
    json_put_string(&w, "result", result);
    json_put_integer(&w, "version", version);
    json_put_string(&w, "file", p->file);
    json_close_object(&w);
}

/* Writes the document if the server's one is still what we saw: etag, or NULL for none. The bytes
 * of the file go out as they are, not a re-written form. Returns an exit code; trouble is printed.
 */
static int apply_put(struct apply *p, const char *etag)
{
    g_autofree char *condition =
        etag != NULL ? g_strconcat("If-Match: ", etag, NULL) : g_strdup("If-None-Match: *");
    /* "*": only if there is none, so that two first applies cannot both create. */
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
    /* 201 is the server's word: the campaign may have been deleted since we asked for it. */
    apply_print(p, response.status == 201 ? "created" : "updated",
                slice_of(response.body->str, response.body->len));
    client_response_done(&response);
    return code;
}

/* Compares with what the server has, and writes where it differs. A stored document that cannot be
 * read counts as different: the condition of the write still protects it. */
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

/* Asks for the present document. Not through remote_send: a 404 is no trouble here, it means that
 * the campaign is new. */
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

/* The whole way of one document. Its result is appended to json; trouble is printed. Returns the
 * exit code for this document alone. */
static int apply_document(struct remote *r, const char *file, const struct json_value *document,
                          GString *json)
{
    struct apply p = {.r = r, .file = file, .document = document, .json = json};
    int code;

    /* A document that is no object has no members and so no id either. */
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

/* Joins the codes of two documents. The first trouble decides, unless the server goes away later:
 * then the rest was not tried, and a script should know that above all. */
static int apply_worse(int code, int one)
{
    return code == EXIT_CODE_OK || one == EXIT_CODE_UNAVAILABLE ? one : code;
}

/* The file as a whole cannot be used. */
static int apply_fail(const char *file, const GError *error)
{
    fprintf(stderr, "eventflow: %s: %s\n", file, error->message);
    return exit_code_of(error);
}

/* All documents of a file: one object, or an array of them. One that is refused does not stop the
 * others; a server that is away does. */
static int apply_file(struct remote *r, const char *file, GString *json)
{
    struct arena a = {0};
    const struct json_value *root = NULL;
    const struct json_value *document;
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    gsize size;
    int code = EXIT_CODE_OK;

    /* The documents stay borrowed from text and arena until the last of them is done. */
    if (g_file_get_contents(g_str_equal(file, "-") ? "/dev/stdin" : file, &text, &size, &error))
        root = json_parse(slice_of(text, size), &a, &error);
    if (root == NULL)
        code = apply_fail(file, error);
    /* An array is walked; anything else is the one document, and apply_document judges it. */
    document = root != NULL && root->type == JSON_ARRAY ? root->first : root;
    while (document != NULL && code != EXIT_CODE_UNAVAILABLE) {
        int one = apply_document(r, file, document, json);

        code = apply_worse(code, one);
        document = document == root ? NULL : document->next;
    }
    arena_done(&a);
    return code;
}

/* JSON comes out even after trouble: it lists what was done before. */
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
