/* The document of a campaign and what is made of it; a campaign is built once and never changed.
 * Nothing here knows where documents come from or where they are kept. A new version of a campaign
 * is a new struct; sharing it between threads is campaign_set's business. */
#include "core/campaign.h"

#include <glib.h>

#include "core/campaign_schema.h"

/* From text to campaign:
 *
 *   document ─▶ tree ─▶ schema check ─▶ pattern compiled ─▶ canonical document
 *
 * The tree lives in an arena for the length of the call. The steps go on after problems, so that
 * one answer names all of them; only what they would build is built at the end. */

/* Four times the pattern's own limit: descriptions and the rewards' data need room too. It bounds
 * what one PUT may cost, and every canonical document stays below it (see campaign_check). */
#define CAMPAIGN_DOCUMENT_MAX ((size_t)256 * 1024) /* bytes */

const struct pattern_limits CAMPAIGN_LIMITS_STORED = {
    .text_max = PATTERN_TEXT_MOST,
    .values_max = PATTERN_VALUES_MOST,
    .depth_max = PATTERN_DEPTH_MOST,
    .conjunctions_max = PATTERN_CONJUNCTIONS_MOST,
    .stars_max = PATTERN_STARS_MOST,
};

struct campaign {
    struct arena arena; /* the slices below */
    struct slice id;    /* 1 to CAMPAIGN_ID_MAX bytes */
    struct slice name;
    struct slice then;     /* compact JSON array */
    struct slice document; /* canonical JSON, what the store keeps */
    enum campaign_status status;
    struct pattern *rules; /* owned; has an arena of its own */
};

/* As documents and the API spell them. */
static const char *const STATUS_NAMES[] = {
    [CAMPAIGN_DRAFT] = "draft",
    [CAMPAIGN_ACTIVE] = "active",
    [CAMPAIGN_PAUSED] = "paused",
    [CAMPAIGN_ENDED] = "ended",
};

const char *campaign_status_name(enum campaign_status status)
{
    g_assert((size_t)status < G_N_ELEMENTS(STATUS_NAMES));
    return STATUS_NAMES[status];
}

bool campaign_status_parse(struct slice name, enum campaign_status *status)
{
    for (size_t i = 0; i < G_N_ELEMENTS(STATUS_NAMES); i++) {
        if (slice_equal(name, slice_text(STATUS_NAMES[i]))) {
            *status = (enum campaign_status)i;
            return true;
        }
    }
    return false;
}

/* Whether the document is short enough; a problem when it is not. */
static bool campaign_check_size(struct slice document, struct problems *problems)
{
    if (document.size <= CAMPAIGN_DOCUMENT_MAX)
        return true;
    problems_add(problems, "#", "has %zu bytes; a campaign may have at most %zu", document.size,
                 CAMPAIGN_DOCUMENT_MAX);
    return false;
}

/* The document's tree in the arena, NULL with a problem when it is no JSON. */
static struct json_value *campaign_read(struct slice document, struct arena *a,
                                        struct problems *problems)
{
    g_autoptr(GError) error = NULL;
    struct json_value *tree;

    if (!campaign_check_size(document, problems))
        return NULL;
    tree = json_parse(document, a, &error);
    if (tree == NULL)
        problems_add(problems, "#", "%s", error->message);
    return tree;
}

bool campaign_id_is_valid(struct slice id)
{
    return schema_is_id(id);
}

/* The address of a PUT names the campaign, so a document may not name another one. An id in the
 * document that is no string is reported by the schema check, not twice. */
static void campaign_check_id(const struct json_value *tree, struct slice default_id,
                              struct problems *problems)
{
    const struct json_value *id = json_get(tree, SLICE("id"));

    if (default_id.size == 0)
        return;
    if (!schema_is_id(default_id))
        problems_add(problems, "#/id",
                     "the id in the address must have 1 to %d lower-case letters, digits and '-', "
                     "and not begin with '-'",
                     CAMPAIGN_ID_MAX);
    else if (id != NULL && id->type == JSON_TEXT && !slice_equal(id->text, default_id))
        problems_add(problems, "#/id", "must be \"%.*s\", as in the address, or be left out",
                     SLICE_ARG(default_id));
}

/* A value as compact JSON. Freed by the caller. */
static GString *campaign_compact(const struct json_value *value)
{
    GString *text = g_string_new(NULL);
    struct json_writer w;

    json_writer_init(&w, text);
    json_add_value(&w, value);
    return text;
}

/* The pattern is read from the text that the canonical document will have, so that a limit passed
 * now is passed again when the stored document is read. NULL with problems; owned by caller. */
static struct pattern *campaign_compile(const struct json_value *tree,
                                        const struct pattern_limits *limits,
                                        struct problems *problems)
{
    const struct json_value *rules = json_get(tree, SLICE("rules"));
    struct pattern *pattern;
    GString *text;

    if (rules == NULL || rules->type != JSON_OBJECT || rules->count == 0)
        return NULL; /* the schema check has said so */
    text = campaign_compact(rules);
    pattern = pattern_parse(slice_of(text->str, text->len), limits, "#/rules", problems);
    g_string_free(text, TRUE);
    return pattern;
}

/* The document's id, else the one of the address, else one made from the name. All three have the
 * form of an id by now: the first two were checked, and a slug has it by its making. */
static struct slice campaign_choose_id(const struct json_value *tree, struct slice default_id,
                                       struct arena *a)
{
    const struct json_value *id = json_get(tree, SLICE("id"));
    g_autofree char *slug = NULL;

    if (id != NULL)
        return arena_copy(a, id->text);
    if (default_id.size > 0)
        return arena_copy(a, default_id);
    slug = campaign_slug(json_get_text(tree, "name"));
    return arena_copy(a, slice_text(slug));
}

/* The rewards apart from the document: every match records them, and nobody should have to take a
 * document to pieces for each. */
static struct slice campaign_copy_then(const struct json_value *tree, struct arena *a)
{
    const struct json_value *then = json_get(tree, SLICE("then"));
    struct slice copy = SLICE("[]");

    if (then != NULL) {
        GString *text = campaign_compact(then);

        copy = arena_copy(a, slice_of(text->str, text->len));
        g_string_free(text, TRUE);
    }
    return copy;
}

/* The canonical document. c has its id and status already: they are filled in where the writer
 * left them out, so that what is stored says everything. */
static struct slice campaign_copy_document(const struct json_value *tree, const struct campaign *c,
                                           struct arena *a)
{
    GString *text = g_string_new(NULL);
    struct json_writer w;
    struct slice copy;

    json_writer_init(&w, text);
    campaign_schema_write(&w, tree, c->id, slice_text(campaign_status_name(c->status)));
    copy = arena_copy(a, slice_of(text->str, text->len));
    g_string_free(text, TRUE);
    return copy;
}

/* Makes the campaign of a tree without problems. Takes rules. Everything is copied: the tree and
 * its text end with the call. */
static struct campaign *campaign_build(const struct json_value *tree, struct slice default_id,
                                       struct pattern *rules)
{
    struct campaign *c = g_new0(struct campaign, 1);

    arena_init(&c->arena);
    c->rules = rules;
    c->status = CAMPAIGN_ACTIVE;
    /* Leaves the default in place when the document has no status. */
    campaign_status_parse(json_get_text(tree, "status"), &c->status);
    c->id = campaign_choose_id(tree, default_id, &c->arena);
    c->name = arena_copy(&c->arena, json_get_text(tree, "name"));
    c->then = campaign_copy_then(tree, &c->arena);
    c->document = campaign_copy_document(tree, c, &c->arena);
    return c;
}

struct campaign *campaign_check(struct slice document, struct slice default_id,
                                const struct pattern_limits *limits, struct problems *problems)
{
    size_t before = problems->total;
    struct campaign *campaign = NULL;
    struct pattern *rules = NULL;
    struct json_value *tree;
    struct arena arena;

    arena_init(&arena);
    /* Text that is no JSON is the one problem after which there is nothing more to say. */
    tree = campaign_read(document, &arena, problems);
    if (tree == NULL)
        goto out;
    campaign_schema_check(tree, problems);
    campaign_check_id(tree, default_id, problems);
    rules = campaign_compile(tree, limits, problems);
    if (problems->total == before)
        campaign = campaign_build(tree, default_id, g_steal_pointer(&rules));
    /* id and status were added: what is stored must be readable again. */
    if (campaign != NULL && !campaign_check_size(campaign->document, problems))
        g_clear_pointer(&campaign, campaign_free);
out:
    pattern_free(rules);
    arena_done(&arena);
    return campaign;
}

struct campaign *campaign_parse(struct slice document, struct slice default_id,
                                struct problems *problems)
{
    return campaign_check(document, default_id, &CAMPAIGN_LIMITS_STORED, problems);
}

void campaign_free(struct campaign *c)
{
    if (c == NULL)
        return;
    pattern_free(c->rules);
    arena_done(&c->arena);
    g_free(c);
}

struct slice campaign_id(const struct campaign *c)
{
    return c->id;
}

struct slice campaign_name(const struct campaign *c)
{
    return c->name;
}

enum campaign_status campaign_status(const struct campaign *c)
{
    return c->status;
}

struct slice campaign_then(const struct campaign *c)
{
    return c->then;
}

struct slice campaign_document(const struct campaign *c)
{
    return c->document;
}

const struct pattern *campaign_rules(const struct campaign *c)
{
    return c->rules;
}

struct pattern *campaign_take_rules(struct campaign *c)
{
    return g_steal_pointer(&c->rules);
}

bool campaign_matches(const struct campaign *c, const struct flat *event)
{
    return pattern_matches(c->rules, event);
}
