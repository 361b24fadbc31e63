/* What a campaign document may look like. Checks add problems and go on; none of them stops at the
 * first, and none changes the tree. */
#include "core/campaign_schema.h"

#include <glib.h>

#include "core/campaign.h"
#include "core/unknown_field.h"

/* One checker for all closed objects of a document: it walks the members, finds each in the table
 * of its object, compares the type and calls the field's own check. The tables (this one at the
 * end, the rewards' in campaign_reward.c) are the schema; supporting another field of the language
 * means changing its row. */

#define SCHEMA_FIELDS_MAX 32 /* of one object, for the list of valid names */
/* Characters of texts; how many labels. Enough for people, small enough for lists of campaigns. */
#define SCHEMA_NAME_MAX        200
#define SCHEMA_DESCRIPTION_MAX 4000
#define SCHEMA_LABELS_MAX      32

/* The outermost names of an event (core/event.c): the only ones a rule can speak of. */
static const char *const EVENT_ROOTS[] = {"event_type", "customer_id", "source",
                                          "event_id",   "timestamp",   "payload"};

/* "a string", "an array or an object" … of a set of types. Owned by caller. */
static char *schema_types_name(unsigned types)
{
    GString *names = g_string_new(NULL);

    for (int type = JSON_NULL; type <= JSON_OBJECT; type++)
        if (types & SCHEMA_TYPE(type))
            g_string_append_printf(names, "%s%s", names->len > 0 ? " or " : "",
                                   json_type_name((enum json_type)type));
    return g_string_free(names, FALSE);
}

/* The field with that name, NULL when the schema has none. Names are case-sensitive, as in JSON. */
static const struct schema_field *schema_find(const struct schema_field *fields, size_t count,
                                              struct slice name)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal(name, slice_text(fields[i].name)))
            return &fields[i];
    return NULL;
}

/* Names that only the server sets are no help to somebody who mistyped, so they are not offered;
 * those that come later are, and get their own answer when they are tried. */
static void schema_add_unknown(const struct schema_field *fields, size_t count, struct slice name,
                               const char *pointer, struct problems *problems)
{
    const char *names[SCHEMA_FIELDS_MAX];
    size_t valid = 0;

    g_assert(count <= SCHEMA_FIELDS_MAX);
    for (size_t i = 0; i < count; i++)
        if (fields[i].kind != SCHEMA_SERVER)
            names[valid++] = fields[i].name;
    unknown_field_add(problems, pointer, name, names, valid);
}

/* A check sees values of the right type only. */
static void schema_check_value(const struct schema_field *field, const struct json_value *value,
                               const char *pointer, struct problems *problems)
{
    if (field->types != 0 && !(field->types & SCHEMA_TYPE(value->type))) {
        g_autofree char *wanted = schema_types_name(field->types);

        problems_add(problems, pointer, "must be %s, not %s", wanted, json_type_name(value->type));
    } else if (field->check != NULL) {
        field->check(value, pointer, problems);
    }
}

/* What each kind of known name is answered. parent: the object's pointer; the member's is made
 * here, as every outcome but success needs it. */
static void schema_check_field(const struct schema_field *field, const struct json_value *value,
                               const char *parent, struct problems *problems)
{
    g_autofree char *pointer = problem_pointer(parent, value->key);

    if (field->kind == SCHEMA_LATER)
        problems_add(problems, pointer, "\"%s\" is not supported yet; leave it out", field->name);
    else if (field->kind == SCHEMA_SERVER)
        problems_add(problems, pointer, "is set by the server; leave it out");
    else
        schema_check_value(field, value, pointer, problems);
}

/* A missing member is reported where it should stand, so that a form can mark the empty field. */
static void schema_check_present(const struct json_value *object, const char *name,
                                 const char *parent, struct problems *problems)
{
    g_autofree char *pointer = problem_pointer(parent, slice_text(name));

    if (json_get(object, slice_text(name)) == NULL)
        problems_add(problems, pointer, "is required");
}

/* In the document's order first, then what is missing in the table's. */
void schema_check_object(const struct schema_field *fields, size_t count,
                         const struct json_value *object, const char *pointer,
                         struct problems *problems)
{
    for (const struct json_value *v = object->first; v != NULL; v = v->next) {
        const struct schema_field *field = schema_find(fields, count, v->key);

        if (field == NULL)
            schema_add_unknown(fields, count, v->key, pointer, problems);
        else
            schema_check_field(field, v, pointer, problems);
    }
    for (size_t i = 0; i < count; i++)
        if (fields[i].is_required)
            schema_check_present(object, fields[i].name, pointer, problems);
}

/* Code points of checked UTF-8: every byte that does not continue one. */
static size_t schema_characters(struct slice text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.size; i++)
        count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return count;
}

/* Limits are in characters, as people count. These texts end in text columns and terminals, which a
 * NUL would cut short. */
static void schema_check_text(struct slice text, size_t min, size_t max, const char *pointer,
                              struct problems *problems)
{
    size_t count = schema_characters(text);

    if (count < min || count > max)
        problems_add(problems, pointer, "must have %zu to %zu characters, not %zu", min, max,
                     count);
    else if (count > 0 && memchr(text.data, '\0', text.size) != NULL)
        problems_add(problems, pointer, "must not contain the character U+0000");
}

void schema_check_size(const struct json_value *text, size_t max, const char *pointer,
                       struct problems *problems)
{
    schema_check_text(text->text, 1, max, pointer, problems);
}

/* The name before the first dot: a dotted name means the same as nested ones. Borrowed from path.
 */
static struct slice schema_root(struct slice path)
{
    const char *dot = path.size > 0 ? memchr(path.data, '.', path.size) : NULL;

    return dot != NULL ? slice_of(path.data, (size_t)(dot - path.data)) : path;
}

/* Whether events have an outermost field of that name that rules may use. */
static bool schema_is_root(struct slice name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(EVENT_ROOTS); i++)
        if (slice_equal(name, slice_text(EVENT_ROOTS[i])))
            return true;
    return false;
}

/* At most 64 bytes of the wrong name are repeated: a document chooses its length. */
void schema_check_root(struct slice path, const char *pointer, struct problems *problems)
{
    struct slice root = schema_root(path);
    g_autofree char *shown = NULL;

    if (schema_is_root(root))
        return;
    shown = problem_show(root);
    problems_add(problems, pointer,
                 "must begin with a field of an event, such as \"payload.\"; \"%s\" is none",
                 shown);
}

bool schema_is_id(struct slice text)
{
    if (text.size == 0 || text.size > CAMPAIGN_ID_MAX || text.data[0] == '-')
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (!g_ascii_isdigit(text.data[i]) && !g_ascii_islower(text.data[i]) && text.data[i] != '-')
            return false;
    return true;
}

/* Ids stand in addresses and log lines: no form of quoting is ever needed. */
static void schema_check_id(const struct json_value *value, const char *pointer,
                            struct problems *problems)
{
    if (!schema_is_id(value->text))
        problems_add(problems, pointer,
                     "must have 1 to %d lower-case letters, digits and '-', and not begin with "
                     "'-'",
                     CAMPAIGN_ID_MAX);
}

/* Any text: the name is for people. What needs a key uses the id. */
static void schema_check_name(const struct json_value *value, const char *pointer,
                              struct problems *problems)
{
    schema_check_text(value->text, 1, SCHEMA_NAME_MAX, pointer, problems);
}

/* May be empty, unlike a name: a form sends it so when nothing was written. */
static void schema_check_description(const struct json_value *value, const char *pointer,
                                     struct problems *problems)
{
    schema_check_text(value->text, 0, SCHEMA_DESCRIPTION_MAX, pointer, problems);
}

/* Label names are free; only their number and their values' type are checked. They are for people
 * who sort campaigns, and no rule looks at them. */
static void schema_check_labels(const struct json_value *value, const char *pointer,
                                struct problems *problems)
{
    if (value->count > SCHEMA_LABELS_MAX)
        problems_add(problems, pointer, "must have at most %d labels, not %u", SCHEMA_LABELS_MAX,
                     value->count);
    for (const struct json_value *v = value->first; v != NULL; v = v->next) {
        g_autofree char *label = unknown_field_pointer(pointer, v->key);

        if (v->type != JSON_TEXT)
            problems_add(problems, label, "must be a string, not %s", json_type_name(v->type));
    }
}

/* "shadow" is a word of the language, so it gets the answer of a thing to come, not of a typo. */
static void schema_check_status(const struct json_value *value, const char *pointer,
                                struct problems *problems)
{
    enum campaign_status status;

    if (slice_equal(value->text, SLICE("shadow")))
        problems_add(problems, pointer, "\"shadow\" is not supported yet");
    else if (!campaign_status_parse(value->text, &status))
        problems_add(problems, pointer,
                     "must be one of \"draft\", \"active\", \"paused\", \"ended\"");
}

/* "$or" with an array of objects offers alternatives; in any other shape it is a plain name. */
static bool schema_is_or(const struct json_value *value)
{
    return slice_equal(value->key, SLICE("$or")) && value->type == JSON_ARRAY && value->count > 0 &&
           value->first->type == JSON_OBJECT;
}

static void schema_check_roots(const struct json_value *rules, const char *pointer,
                               struct problems *problems);

/* Each branch of "$or" is a pattern of its own, so its names are outermost ones too. A branch that
 * is no object is left to the pattern parser. */
static void schema_check_branches(const struct json_value *branches, const char *pointer,
                                  struct problems *problems)
{
    size_t i = 0;

    for (const struct json_value *v = branches->first; v != NULL; v = v->next) {
        g_autofree char *branch = problem_pointer_index(pointer, i++);

        if (v->type == JSON_OBJECT)
            schema_check_roots(v, branch, problems);
    }
}

/* The pattern language knows no field names; an event's outermost ones are fixed, so another name
 * there could never match. Recursion ends with the depth that the JSON reader allows. */
static void schema_check_roots(const struct json_value *rules, const char *pointer,
                               struct problems *problems)
{
    for (const struct json_value *v = rules->first; v != NULL; v = v->next) {
        g_autofree char *place = unknown_field_pointer(pointer, v->key);

        if (schema_is_or(v))
            schema_check_branches(v, place, problems);
        else if (!schema_is_root(schema_root(v->key)))
            unknown_field_add(problems, pointer, v->key, EVENT_ROOTS, G_N_ELEMENTS(EVENT_ROOTS));
    }
}

/* Only what concerns campaigns; the pattern language itself is checked by pattern_parse. An empty
 * object would match every event, which nobody should get by leaving something out. */
static void schema_check_rules(const struct json_value *value, const char *pointer,
                               struct problems *problems)
{
    if (value->count == 0)
        problems_add(problems, pointer,
                     "must name at least one field, such as {\"event_type\":[\"purchase\"]}");
    schema_check_roots(value, pointer, problems);
}

/* Source: docs/campaigns.md. The order is that of the canonical document. */
static const struct schema_field CAMPAIGN_FIELDS[] = {
    {"$schema", SCHEMA_KNOWN, false, SCHEMA_TEXT, NULL},
    {"id", SCHEMA_KNOWN, false, SCHEMA_TEXT, schema_check_id},
    {"name", SCHEMA_KNOWN, true, SCHEMA_TEXT, schema_check_name},
    {"description", SCHEMA_KNOWN, false, SCHEMA_TEXT, schema_check_description},
    {"labels", SCHEMA_KNOWN, false, SCHEMA_OBJECT, schema_check_labels},
    {"status", SCHEMA_KNOWN, false, SCHEMA_TEXT, schema_check_status},
    {"priority", SCHEMA_LATER, false, 0, NULL},
    {"group", SCHEMA_LATER, false, 0, NULL},
    {"schedule", SCHEMA_LATER, false, 0, NULL},
    {"rules", SCHEMA_KNOWN, true, SCHEMA_OBJECT, schema_check_rules},
    {"customer", SCHEMA_LATER, false, 0, NULL},
    {"history", SCHEMA_LATER, false, 0, NULL},
    {"unless", SCHEMA_LATER, false, 0, NULL},
    {"limits", SCHEMA_LATER, false, 0, NULL},
    {"experiment", SCHEMA_LATER, false, 0, NULL},
    {"then", SCHEMA_KNOWN, false, SCHEMA_ARRAY, schema_check_rewards},
    {"undo", SCHEMA_LATER, false, 0, NULL},
    {"version", SCHEMA_SERVER, false, 0, NULL},
    {"created_at", SCHEMA_SERVER, false, 0, NULL},
    {"updated_at", SCHEMA_SERVER, false, 0, NULL},
    {"exhausted_at", SCHEMA_SERVER, false, 0, NULL},
    {"counters", SCHEMA_SERVER, false, 0, NULL},
};

void campaign_schema_check(const struct json_value *document, struct problems *problems)
{
    if (document->type != JSON_OBJECT)
        problems_add(problems, "#", "must be an object, not %s", json_type_name(document->type));
    else
        schema_check_object(CAMPAIGN_FIELDS, G_N_ELEMENTS(CAMPAIGN_FIELDS), document, "#",
                            problems);
}

void campaign_schema_write(struct json_writer *w, const struct json_value *document,
                           struct slice id, struct slice status)
{
    json_open_object(w);
    for (size_t i = 0; i < G_N_ELEMENTS(CAMPAIGN_FIELDS); i++) {
        struct slice name = slice_text(CAMPAIGN_FIELDS[i].name);
        const struct json_value *value = json_get(document, name);

        if (slice_equal(name, SLICE("id"))) {
            json_put_text(w, "id", id);
        } else if (slice_equal(name, SLICE("status"))) {
            json_put_text(w, "status", status);
        } else if (value != NULL) {
            json_key_slice(w, name);
            json_add_value(w, value);
        }
    }
    json_close_object(w);
}
