/* The document at /openapi.json describes exactly the route table. */
#include "api/resources.h"
#include "api/routes.h"
#include "common/json.h"

struct fixture {
    GString *text;
    struct arena arena;
    const struct json_value *paths;
    const struct json_value *parameters;
    const struct json_value *schemas;
};

static void set_up(struct fixture *f, gconstpointer data)
{
    const struct json_value *document;
    g_autoptr(GError) error = NULL;

    (void)data;
    f->text = g_string_new(NULL);
    arena_init(&f->arena);
    resource_append(f->text, "openapi.json");
    document = json_parse(slice_of(f->text->str, f->text->len), &f->arena, &error);
    g_assert_no_error(error);
    f->paths = json_get(document, SLICE("paths"));
    f->parameters = json_get(json_get(document, SLICE("components")), SLICE("parameters"));
    f->schemas = json_get(json_get(document, SLICE("components")), SLICE("schemas"));
    g_assert_nonnull(f->paths);
}

static void tear_down(struct fixture *f, gconstpointer data)
{
    (void)data;
    arena_done(&f->arena);
    g_string_free(f->text, TRUE);
}

static const struct json_value *described(const struct fixture *f, const struct route *route)
{
    g_autofree char *method = g_ascii_strdown(http_method_name(route->method), -1);

    return json_get(json_get(f->paths, slice_text(route->path)), slice_text(method));
}

static void every_route_is_described(struct fixture *f, gconstpointer data)
{
    (void)data;
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        if (described(f, &ROUTES[i]) == NULL)
            g_error("openapi.json lacks %s %s", http_method_name(ROUTES[i].method), ROUTES[i].path);
}

static const struct route *find_route(struct slice path, struct slice method)
{
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        g_autofree char *name = g_ascii_strdown(http_method_name(ROUTES[i].method), -1);

        if (slice_equal(path, slice_text(ROUTES[i].path)) && slice_equal(method, slice_text(name)))
            return &ROUTES[i];
    }
    return NULL;
}

static void every_description_is_a_route(struct fixture *f, gconstpointer data)
{
    (void)data;
    for (const struct json_value *path = f->paths->first; path != NULL; path = path->next)
        for (const struct json_value *op = path->first; op != NULL; op = op->next)
            if (find_route(path->key, op->key) == NULL)
                g_error("no route for %.*s %.*s", SLICE_ARG(op->key), SLICE_ARG(path->key));
}

/* What stands there, or what it refers to: one of components, which are the document's under
 * prefix. */
static const struct json_value *resolve(const struct json_value *value,
                                        const struct json_value *components, struct slice prefix)
{
    struct slice ref = json_get_text(value, "$ref");

    if (ref.size == 0)
        return value;
    g_assert_true(slice_starts_with(ref, prefix));
    return json_get(components, slice_of(ref.data + prefix.size, ref.size - prefix.size));
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of an operation's query parameters, space-separated, sorted. */
static char *described_query(const struct fixture *f, const struct json_value *op)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const struct json_value *list = json_get(op, SLICE("parameters"));

    for (const struct json_value *p = list != NULL ? list->first : NULL; p != NULL; p = p->next) {
        const struct json_value *parameter =
            resolve(p, f->parameters, SLICE("#/components/parameters/"));
        struct slice name = json_get_text(parameter, "name");

        if (slice_equal(json_get_text(parameter, "in"), SLICE("query")))
            g_ptr_array_add(names, g_strndup(name.data, name.size));
    }
    g_ptr_array_sort(names, compare_text);
    g_ptr_array_add(names, NULL);
    return g_strjoinv(" ", (char **)names->pdata);
}

static void query_parameters_are_the_same(struct fixture *f, gconstpointer data)
{
    (void)data;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        g_auto(GStrv) known = g_strsplit(ROUTES[i].query != NULL ? ROUTES[i].query : "", " ", -1);
        g_autofree char *found = described_query(f, described(f, &ROUTES[i]));
        g_autofree char *wanted = NULL;

        qsort(known, g_strv_length(known), sizeof(char *), compare_text);
        wanted = g_strjoinv(" ", known);
        if (!g_str_equal(wanted, found))
            g_error("%s: the table has '%s', openapi.json '%s'", ROUTES[i].path, wanted, found);
    }
}

static void media_types_are_the_same(struct fixture *f, gconstpointer data)
{
    (void)data;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        g_auto(GStrv) known = g_strsplit(ROUTES[i].media != NULL ? ROUTES[i].media : "", " ", -1);
        const struct json_value *content =
            json_get(json_get(described(f, &ROUTES[i]), SLICE("requestBody")), SLICE("content"));

        g_assert_cmpuint(content != NULL ? content->count : 0, ==, g_strv_length(known));
        for (char **m = known; *m != NULL; m++)
            g_assert_nonnull(json_get(content, slice_text(*m)));
    }
}

/* ---- examples -------------------------------------------------------------------------------- */

/* Whether the schema's type, if it is one word, is that of the value. */
static bool has_type(const struct json_value *schema, const struct json_value *value)
{
    static const struct {
        const char *name;
        enum json_type type;
    } TYPES[] = {{"object", JSON_OBJECT},
                 {"array", JSON_ARRAY},
                 {"string", JSON_TEXT},
                 {"number", JSON_NUMBER},
                 {"integer", JSON_NUMBER}};
    struct slice type = json_get_text(schema, "type");

    for (size_t i = 0; i < G_N_ELEMENTS(TYPES); i++)
        if (slice_equal(type, slice_text(TYPES[i].name)))
            return value->type == TYPES[i].type;
    return true;
}

/* The members of an object, as far as "required", "properties" and "additionalProperties" go. Each
 * level is one object or array of an example. */
static void check_value(const struct fixture *f, const struct json_value *schema,
                        const struct json_value *value)
{
    const struct json_value *s = resolve(schema, f->schemas, SLICE("#/components/schemas/"));
    const struct json_value *required = json_get(s, SLICE("required"));
    const struct json_value *properties = json_get(s, SLICE("properties"));
    const struct json_value *others = json_get(s, SLICE("additionalProperties"));
    const struct json_value *items = json_get(s, SLICE("items"));

    g_assert_nonnull(s);
    if (!has_type(s, value))
        g_error("an example has %.*s of a wrong type", SLICE_ARG(value->source));
    for (const struct json_value *r = required != NULL ? required->first : NULL; r != NULL;
         r = r->next)
        if (json_get(value, r->text) == NULL)
            g_error("an example lacks %.*s: %.*s", SLICE_ARG(r->text), SLICE_ARG(value->source));
    for (const struct json_value *m = value->first; m != NULL; m = m->next) {
        const struct json_value *of =
            value->type == JSON_ARRAY ? items : json_get(properties, m->key);

        if (of != NULL)
            check_value(f, of, m);
        else if (others != NULL && others->type == JSON_FALSE)
            g_error("an example has %.*s: %.*s", SLICE_ARG(m->key), SLICE_ARG(value->source));
    }
}

static void examples_fit_their_schemas(struct fixture *f, gconstpointer data)
{
    size_t checked = 0;

    (void)data;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        const struct json_value *content =
            json_get(json_get(described(f, &ROUTES[i]), SLICE("requestBody")), SLICE("content"));

        for (const struct json_value *media = content != NULL ? content->first : NULL;
             media != NULL; media = media->next) {
            const struct json_value *example = json_get(media, SLICE("example"));

            if (example == NULL)
                continue;
            check_value(f, json_get(media, SLICE("schema")), example);
            checked++;
        }
    }
    g_assert_cmpuint(checked, >=, 5);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/openapi/every_route_is_described", struct fixture, NULL, set_up,
               every_route_is_described, tear_down);
    g_test_add("/openapi/every_description_is_a_route", struct fixture, NULL, set_up,
               every_description_is_a_route, tear_down);
    g_test_add("/openapi/query_parameters_are_the_same", struct fixture, NULL, set_up,
               query_parameters_are_the_same, tear_down);
    g_test_add("/openapi/media_types_are_the_same", struct fixture, NULL, set_up,
               media_types_are_the_same, tear_down);
    g_test_add("/openapi/examples_fit_their_schemas", struct fixture, NULL, set_up,
               examples_fit_their_schemas, tear_down);
    return g_test_run();
}
