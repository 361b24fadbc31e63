#include "core/campaign.h"

#include <glib.h>

#include "common/json.h"

#define RULES "\"rules\":{\"event_type\":[\"purchase\"]}"

static struct campaign *parse(const char *json, struct problems *problems)
{
    problems_init(problems);
    return campaign_parse(slice_text(json), SLICE(""), problems);
}

static bool has_problem(const struct problems *problems, const char *pointer, const char *words)
{
    for (size_t i = 0; i < problems->count; i++)
        if (strcmp(problems->items[i].pointer, pointer) == 0 &&
            strstr(problems->items[i].detail, words) != NULL)
            return true;
    return false;
}

static void assert_good(const char *json)
{
    struct problems problems;
    struct campaign *c = parse(json, &problems);

    if (c == NULL)
        g_error("%.200s: %s %s", json, problems.items[0].pointer, problems.items[0].detail);
    g_assert_cmpuint(problems.total, ==, 0);
    campaign_free(c);
    problems_done(&problems);
}

static void assert_problem_for(struct slice json, const char *default_id, const char *pointer,
                               const char *words)
{
    struct problems problems;

    problems_init(&problems);
    g_assert_null(campaign_parse(json, slice_text(default_id), &problems));
    if (!has_problem(&problems, pointer, words))
        g_error("no \"%s\" at %s, but %s %s in %.*s", words, pointer, problems.items[0].pointer,
                problems.items[0].detail, (int)MIN(json.size, 300), json.data);
    problems_done(&problems);
}

static void assert_problem(const char *json, const char *pointer, const char *words)
{
    assert_problem_for(slice_text(json), "", pointer, words);
}

/* A document with a name, rules and more. Owned by caller. */
static char *with(const char *more)
{
    return g_strdup_printf("{\"name\":\"n\"," RULES ",%s}", more);
}

static void assert_field_good(const char *more)
{
    g_autofree char *json = with(more);

    assert_good(json);
}

static void assert_field_problem(const char *more, const char *pointer, const char *words)
{
    g_autofree char *json = with(more);

    assert_problem(json, pointer, words);
}

static void assert_slice(struct slice s, const char *text)
{
    g_assert_cmpmem(s.data, s.size, text, strlen(text));
}

static void test_only_name_and_rules_are_required(void)
{
    struct problems problems;
    struct campaign *c = parse("{\"name\":\"Big spender\"," RULES "}", &problems);

    g_assert_nonnull(c);
    assert_slice(campaign_id(c), "big-spender");
    assert_slice(campaign_name(c), "Big spender");
    g_assert_cmpint(campaign_status(c), ==, CAMPAIGN_ACTIVE);
    assert_slice(campaign_then(c), "[]");
    campaign_free(c);
    problems_done(&problems);
    assert_problem("{" RULES "}", "#/name", "required");
    assert_problem("{\"name\":\"n\"}", "#/rules", "required");
    assert_problem("[]", "#", "must be an object, not an array");
    assert_problem("{\"name\":\"n\",", "#", "line 1, column 13");
}

static void test_document_is_canonical(void)
{
    struct problems problems;
    struct campaign *c = parse(
        " { \"then\" : [ {\"unit\":\"USD\",\"type\":\"credit\",\"amount\":10.50} ],\n"
        "  \"rules\":{ \"payload\":{\"b\":[2.0],\"a\":[\"\\u0041\"]}}, \"labels\":{\"z\":\"1\",\"a\":\"2\"},\n"
        "  \"name\":\"N\",\"$schema\":\"s\" } ",
        &problems);

    g_assert_nonnull(c);
    assert_slice(
        campaign_document(c),
        "{\"$schema\":\"s\",\"id\":\"n\",\"name\":\"N\",\"labels\":{\"z\":\"1\",\"a\":\"2\"},"
        "\"status\":\"active\",\"rules\":{\"payload\":{\"b\":[2.0],\"a\":[\"A\"]}},"
        "\"then\":[{\"unit\":\"USD\",\"type\":\"credit\",\"amount\":10.50}]}");
    assert_slice(campaign_then(c), "[{\"unit\":\"USD\",\"type\":\"credit\",\"amount\":10.50}]");
    campaign_free(c);
    problems_done(&problems);
}

static void test_canonical_document_parses_to_itself(void)
{
    struct problems problems;
    struct campaign *first =
        parse("{" RULES ",\"name\":\"\\u00c9t\\u00e9\",\"status\":\"paused\"}", &problems);
    struct slice document = campaign_document(first);
    struct campaign *second = campaign_parse(document, SLICE(""), &problems);

    g_assert_nonnull(second);
    g_assert_true(slice_equal(document, campaign_document(second)));
    g_assert_cmpint(campaign_status(second), ==, CAMPAIGN_PAUSED);
    assert_slice(campaign_id(second), "ete");
    campaign_free(first);
    campaign_free(second);
    problems_done(&problems);
}

static void test_unknown_fields_are_named_with_the_nearest(void)
{
    assert_field_problem("\"descripton\":\"x\"", "#/descripton", "\"description\"");
    assert_field_problem("\"zzzzzzzzzzzzzz\":1", "#/zzzzzzzzzzzzzz", "unknown field");
    assert_field_problem("\"then\":[{\"typ\":\"c\"}]", "#/then/0/typ", "\"type\"");
}

static void test_fields_of_later_versions_are_not_supported_yet(void)
{
    static const char *const LATER[] = {"priority", "group",  "schedule",   "customer", "history",
                                        "unless",   "limits", "experiment", "undo"};

    for (size_t i = 0; i < G_N_ELEMENTS(LATER); i++) {
        g_autofree char *more = g_strdup_printf("\"%s\":1", LATER[i]);
        g_autofree char *pointer = g_strdup_printf("#/%s", LATER[i]);

        assert_field_problem(more, pointer, "not supported yet");
    }
    assert_field_problem("\"status\":\"shadow\"", "#/status", "not supported yet");
}

static void test_server_fields_are_refused(void)
{
    static const char *const SERVER[] = {"version", "created_at", "updated_at", "exhausted_at"};

    for (size_t i = 0; i < G_N_ELEMENTS(SERVER); i++) {
        g_autofree char *more = g_strdup_printf("\"%s\":1", SERVER[i]);
        g_autofree char *pointer = g_strdup_printf("#/%s", SERVER[i]);

        assert_field_problem(more, pointer, "set by the server; leave it out");
    }
}

static void test_ids_are_checked(void)
{
    g_autofree char *most = g_strnfill(CAMPAIGN_ID_MAX, 'a');
    g_autofree char *good = g_strdup_printf("\"id\":\"%s\"", most);
    g_autofree char *bad = g_strdup_printf("\"id\":\"%sa\"", most);

    assert_field_good("\"id\":\"0-a-\"");
    assert_field_good(good);
    assert_field_problem(bad, "#/id", "1 to 63");
    assert_field_problem("\"id\":\"X bad\"", "#/id", "lower-case");
    assert_field_problem("\"id\":\"-a\"", "#/id", "not begin with");
    assert_field_problem("\"id\":\"\"", "#/id", "1 to 63");
    assert_field_problem("\"id\":\"a_b\"", "#/id", "lower-case");
    assert_field_problem("\"id\":5", "#/id", "must be a string, not a number");
}

static void test_address_gives_the_id(void)
{
    static const struct slice PLAIN = {"{\"name\":\"n\"," RULES "}",
                                       sizeof("{\"name\":\"n\"," RULES "}") - 1};
    static const struct slice NAMED = {"{\"id\":\"a\",\"name\":\"n\"," RULES "}",
                                       sizeof("{\"id\":\"a\",\"name\":\"n\"," RULES "}") - 1};
    struct problems problems;
    struct campaign *c;

    problems_init(&problems);
    c = campaign_parse(PLAIN, SLICE("from-path"), &problems);
    assert_slice(campaign_id(c), "from-path");
    campaign_free(c);
    c = campaign_parse(NAMED, SLICE("a"), &problems);
    assert_slice(campaign_id(c), "a");
    campaign_free(c);
    problems_done(&problems);
    assert_problem_for(NAMED, "b", "#/id", "must be \"b\"");
    assert_problem_for(PLAIN, "No Id", "#/id", "lower-case");
}

static void test_texts_have_limits_in_characters(void)
{
    g_autoptr(GString) name = g_string_new(NULL);
    g_autofree char *description = g_strnfill(4000, 'd');
    g_autofree char *good = NULL;
    g_autofree char *bad = NULL;
    g_autofree char *long_text = NULL;
    g_autofree char *longer_text = NULL;

    for (int i = 0; i < 200; i++)
        g_string_append(name, "\xC3\xA9");
    good = g_strdup_printf("{\"name\":\"%s\"," RULES "}", name->str);
    bad = g_strdup_printf("{\"name\":\"%sx\"," RULES "}", name->str);
    long_text = g_strdup_printf("\"description\":\"%s\"", description);
    longer_text = g_strdup_printf("\"description\":\"%sx\"", description);
    assert_good(good);
    assert_problem(bad, "#/name", "1 to 200 characters, not 201");
    assert_problem("{\"name\":\"\"," RULES "}", "#/name", "not 0");
    assert_problem("{\"name\":\"a\\u0000b\"," RULES "}", "#/name", "U+0000");
    assert_problem("{\"name\":7," RULES "}", "#/name", "must be a string");
    assert_field_good(long_text);
    assert_field_good("\"description\":\"\"");
    assert_field_problem(longer_text, "#/description", "0 to 4000");
}

static void test_labels_are_few_and_strings(void)
{
    g_autoptr(GString) labels = g_string_new("\"labels\":{\"l0\":\"\"");
    g_autofree char *good = NULL;
    g_autofree char *bad = NULL;

    for (int i = 1; i < 32; i++)
        g_string_append_printf(labels, ",\"l%d\":\"x\"", i);
    good = g_strconcat(labels->str, "}", NULL);
    bad = g_strconcat(labels->str, ",\"more\":\"x\"}", NULL);
    assert_field_good(good);
    assert_field_problem(bad, "#/labels", "at most 32");
    assert_field_problem("\"labels\":{\"a\":1}", "#/labels/a", "must be a string, not a number");
    assert_field_problem("\"labels\":[]", "#/labels", "must be an object");
}

static void test_status_is_one_of_four(void)
{
    enum campaign_status status;

    assert_field_good("\"status\":\"draft\"");
    assert_field_good("\"status\":\"ended\"");
    assert_field_problem("\"status\":\"Active\"", "#/status", "one of");
    assert_field_problem("\"status\":null", "#/status", "must be a string, not null");
    for (int i = CAMPAIGN_DRAFT; i <= CAMPAIGN_ENDED; i++) {
        const char *name = campaign_status_name((enum campaign_status)i);

        g_assert_true(campaign_status_parse(slice_text(name), &status));
        g_assert_cmpint(status, ==, i);
    }
}

static void test_rules_begin_with_event_fields(void)
{
    assert_good("{\"name\":\"n\",\"rules\":{\"payload.amount\":[1],\"source\":[\"web\"],"
                "\"event_id\":[{\"prefix\":\"a\"}],\"timestamp\":[{\"exists\":true}],"
                "\"customer_id\":[{\"exists\":true}]}}");
    assert_problem("{\"name\":\"n\",\"rules\":{\"evnt_type\":[\"a\"]}}", "#/rules/evnt_type",
                   "\"event_type\"");
    assert_problem("{\"name\":\"n\",\"rules\":{\"amount\":[5]}}", "#/rules/amount", "unknown");
    assert_problem("{\"name\":\"n\",\"rules\":{\"pay.load\":[5]}}", "#/rules/pay.load", "unknown");
}

static void test_alternatives_begin_with_event_fields_too(void)
{
    assert_good("{\"name\":\"n\",\"rules\":{\"$or\":[{\"source\":[\"a\"]},"
                "{\"$or\":[{\"event_id\":[\"b\"]},{\"payload\":{\"x\":[1]}}]}]}}");
    assert_problem(
        "{\"name\":\"n\",\"rules\":{\"$or\":[{\"source\":[\"a\"]},{\"sorce\":[\"b\"]}]}}",
        "#/rules/$or/1/sorce", "\"source\"");
    assert_problem("{\"name\":\"n\",\"rules\":{\"$or\":[{\"source\":[\"a\"]},"
                   "{\"$or\":[{\"x\":[\"b\"]},{\"payload\":{\"x\":[1]}}]}]}}",
                   "#/rules/$or/1/$or/0/x", "unknown");
    assert_problem("{\"name\":\"n\",\"rules\":{\"$or\":{\"x\":[1]}}}", "#/rules/$or", "unknown");
}

static void test_rules_are_a_pattern(void)
{
    assert_problem("{\"name\":\"n\",\"rules\":{}}", "#/rules", "at least one field");
    assert_problem("{\"name\":\"n\",\"rules\":[]}", "#/rules", "must be an object");
    assert_problem("{\"name\":\"n\",\"rules\":{\"payload\":{\"amount\":50}}}",
                   "#/rules/payload/amount", "");
    assert_problem("{\"name\":\"n\",\"rules\":{\"event_type\":[{\"prefx\":\"a\"}]}}",
                   "#/rules/event_type/0/prefx", "");
    assert_problem("{\"id\":\"x\",\"name\":\"x\",\"rules\":{\"event_type\":[\"a\"],\"were\":{}}}",
                   "#/rules/were", "unknown");
}

static void test_rewards_are_a_closed_schema(void)
{
    assert_field_good("\"then\":[{\"type\":\"badge\",\"data\":{\"badge\":\"gold\"}},"
                      "{\"type\":\"e-mail.v_2\",\"to\":\"mailer\"}]");
    assert_field_problem("\"then\":[]", "#/then", "at least one");
    assert_field_problem("\"then\":{}", "#/then", "must be an array");
    assert_field_problem("\"then\":[5]", "#/then/0", "must be an object");
    assert_field_problem("\"then\":[{\"type\":\"a\"},{}]", "#/then/1/type", "required");
    assert_field_problem("\"then\":[{\"type\":\"9a\"}]", "#/then/0/type", "lower-case");
    assert_field_problem("\"then\":[{\"type\":\"\"}]", "#/then/0/type", "lower-case");
    assert_field_problem("\"then\":[{\"type\":\"a b\"}]", "#/then/0/type", "lower-case");
    assert_field_problem("\"then\":[{\"type\":\"a\",\"unit\":\"\"}]", "#/then/0/unit", "1 to 200");
    assert_field_problem("\"then\":[{\"type\":\"a\",\"to\":5}]", "#/then/0/to", "a string");
    assert_field_problem("\"then\":[{\"type\":\"a\",\"data\":[]}]", "#/then/0/data", "an object");
}

static void test_at_most_eight_rewards(void)
{
    assert_field_good("\"then\":[{\"type\":\"a\"},{\"type\":\"a\"},{\"type\":\"a\"},"
                      "{\"type\":\"a\"},{\"type\":\"a\"},{\"type\":\"a\"},{\"type\":\"a\"},"
                      "{\"type\":\"a\"}]");
    assert_field_problem("\"then\":[{\"type\":\"a\"},{\"type\":\"a\"},{\"type\":\"a\"},"
                         "{\"type\":\"a\"},{\"type\":\"a\"},{\"type\":\"a\"},{\"type\":\"a\"},"
                         "{\"type\":\"a\"},{\"type\":\"a\"}]",
                         "#/then", "at most 8");
}

static char *reward(const char *amount)
{
    return g_strdup_printf("\"then\":[{\"type\":\"a\",\"unit\":\"USD\",\"amount\":%s}]", amount);
}

static void test_amounts_are_exact_and_positive(void)
{
    static const char *const GOOD[] = {"10",
                                       "0.5",
                                       "0.000001",
                                       "123456789.123456",
                                       "999999999999999",
                                       "1.50000000000",
                                       "1e14",
                                       "1.5e-5",
                                       "100e-8",
                                       "1E+2",
                                       "0.1e1",
                                       "10.0",
                                       "12e0",
                                       "0.0001e2",
                                       "100.0100"};
    static const char *const BAD[] = {"0.0000001",
                                      "1000000000000000",
                                      "1234567890.1234567",
                                      "1e15",
                                      "1e-7",
                                      "1e400",
                                      "1e-400",
                                      "1e99999999999",
                                      "1e-99999999999",
                                      "1234567890.123456"};
    static const char *const NOT_POSITIVE[] = {"0", "-1", "0.0", "-0.5", "0e5", "-0"};

    for (size_t i = 0; i < G_N_ELEMENTS(GOOD); i++) {
        g_autofree char *more = reward(GOOD[i]);

        assert_field_good(more);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autofree char *more = reward(BAD[i]);

        assert_field_problem(more, "#/then/0/amount", "at most 15 digits");
    }
    for (size_t i = 0; i < G_N_ELEMENTS(NOT_POSITIVE); i++) {
        g_autofree char *more = reward(NOT_POSITIVE[i]);

        assert_field_problem(more, "#/then/0/amount", "greater than 0");
    }
}

static void test_amounts_need_a_unit(void)
{
    assert_field_problem("\"then\":[{\"type\":\"credit\",\"amount\":10}]", "#/then/0/unit",
                         "required with \"amount\"");
    assert_field_problem("\"then\":[{\"type\":\"a\",\"unit\":\"x\",\"amount\":\"10\"}]",
                         "#/then/0/amount", "must be a number or an object, not a string");
}

static void assert_amount_problem(const char *amount, const char *member, const char *words)
{
    g_autofree char *more = reward(amount);
    g_autofree char *pointer = g_strdup_printf("#/then/0/amount/%s", member);

    assert_field_problem(more, pointer, words);
}

static void test_percent_amounts_are_checked(void)
{
    g_autofree char *full = reward("{\"percent\":5,\"of\":\"payload.amount\",\"min\":0,\"max\":20,"
                                   "\"scale\":6}");
    g_autofree char *most = reward("{\"percent\":1000.0,\"of\":\"payload.amount\"}");

    assert_field_good(full);
    assert_field_good(most);
    assert_amount_problem("{\"of\":\"payload.a\"}", "percent", "required");
    assert_amount_problem("{\"percent\":5}", "of", "required");
    assert_amount_problem("{\"percent\":0,\"of\":\"payload.a\"}", "percent", "greater than 0");
    assert_amount_problem("{\"percent\":1000.1,\"of\":\"payload.a\"}", "percent", "at most 1000");
    assert_amount_problem("{\"percent\":5,\"of\":\"pyload.a\"}", "of", "a field of an event");
    assert_amount_problem("{\"percent\":5,\"of\":\"\"}", "of", "a field of an event");
    assert_amount_problem("{\"percent\":5,\"of\":\"payload.a\",\"scale\":7}", "scale", "0 to 6");
    assert_amount_problem("{\"percent\":5,\"of\":\"payload.a\",\"scale\":1.5}", "scale", "whole");
    assert_amount_problem("{\"percent\":5,\"of\":\"payload.a\",\"min\":2,\"max\":1.99}", "min",
                          "\"max\"");
    assert_amount_problem("{\"percent\":5,\"of\":\"payload.a\",\"max\":\"1\"}", "max", "a number");
    assert_amount_problem("{\"percent\":5,\"of\":\"payload.a\",\"mx\":1}", "mx", "\"max\"");
    assert_amount_problem("{\"percent\":1e-9,\"of\":\"payload.a\"}", "percent", "15 digits");
}

static void test_huge_documents_are_refused(void)
{
    g_autofree char *space = g_strnfill(256 * 1024, ' ');
    g_autofree char *json = g_strconcat("{\"name\":\"n\"," RULES "}", space, NULL);

    assert_problem(json, "#", "at most 262144");
    json[256 * 1024] = '\0';
    assert_good(json);
}

/* A document of exactly the limit grows by its id and status when it is stored. */
static void test_stored_documents_stay_readable(void)
{
    g_autofree char *filler = g_strnfill(256 * 1024, 'x');
    g_autofree char *json =
        g_strdup_printf("{\"name\":\"n\"," RULES ",\"labels\":{\"a\":\"%s", filler);
    struct slice most = {json, (size_t)256 * 1024};
    struct problems problems;
    struct campaign *c;

    memcpy(json + most.size - 3, "\"}}", 3);
    assert_problem_for(most, "", "#", "at most 262144");
    memmove(json + most.size - 103, "\"}}", 3);
    most.size -= 100;
    problems_init(&problems);
    c = campaign_parse(most, SLICE(""), &problems);
    g_assert_nonnull(c);
    g_assert_cmpuint(campaign_document(c).size, >, most.size);
    campaign_free(c);
    problems_done(&problems);
}

static void test_all_problems_are_named_at_once(void)
{
    struct problems problems;

    g_assert_null(
        parse("{\"id\":\"X\",\"rules\":{\"x\":5},\"then\":[{}],\"limits\":[]}", &problems));
    g_assert_true(has_problem(&problems, "#/id", ""));
    g_assert_true(has_problem(&problems, "#/name", "required"));
    g_assert_true(has_problem(&problems, "#/rules/x", "unknown"));
    g_assert_true(has_problem(&problems, "#/then/0/type", "required"));
    g_assert_true(has_problem(&problems, "#/limits", "not supported yet"));
    problems_done(&problems);
}

static void assert_slug(const char *name, const char *slug)
{
    g_autofree char *made = campaign_slug(slice_text(name));

    g_assert_cmpstr(made, ==, slug);
}

static void test_slugs_are_readable_ids(void)
{
    g_autofree char *longest = g_strnfill(70, 'a');
    g_autofree char *expected = g_strnfill(63, 'a');
    g_autofree char *dashed = g_strnfill(62, 'a');
    g_autofree char *cut = g_strconcat(dashed, " b", NULL);

    assert_slug("$10 credit for every purchase over $50", "10-credit-for-every-purchase-over-50");
    assert_slug("  Gold -- members!  ", "gold-members");
    assert_slug("\xC3\x89t\xC3\xA9 \xC3\xA0 la plage, \xC3\x85r", "ete-a-la-plage-ar");
    assert_slug("\xE5\xA4\x8F", "campaign");
    assert_slug("", "campaign");
    assert_slug("---", "campaign");
    assert_slug(longest, expected);
    assert_slug(cut, dashed);
}

/* Whether the program understands every field of a document of the whole language. */
static bool uses_supported_fields_only(const struct json_value *document)
{
    static const char *const LATER[] = {"priority", "group",  "schedule",   "customer", "history",
                                        "unless",   "limits", "experiment", "undo"};

    for (size_t i = 0; i < G_N_ELEMENTS(LATER); i++)
        if (json_get(document, slice_text(LATER[i])) != NULL)
            return false;
    return !slice_equal(json_get_text(document, "status"), SLICE("shadow"));
}

static void check_example(const char *text, bool is_bad)
{
    struct arena arena = {0};
    struct json_value *document = json_parse(slice_text(text), &arena, NULL);
    struct problems problems;
    struct campaign *c = parse(text, &problems);

    g_assert_nonnull(document);
    g_assert_cmpint(c != NULL, ==, !is_bad && uses_supported_fields_only(document));
    if (c == NULL) {
        g_assert_cmpint(problems.items[0].pointer[0], ==, '#');
        g_assert_cmpuint(strlen(problems.items[0].detail), >, 0);
    }
    campaign_free(c);
    problems_done(&problems);
    arena_done(&arena);
}

/* Returns how many documents there were. */
static int check_folder(const char *root, const char *name, bool is_bad)
{
    g_autofree char *folder = g_build_filename(root, "campaigns", name, NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *file;
    int count = 0;

    while (dir != NULL && (file = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, file, NULL);
        g_autofree char *text = NULL;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        g_test_message("%s", path);
        check_example(text, is_bad);
        count++;
    }
    return count;
}

/* The folder of the language's own examples: EVENTFLOW_SHARED, else a folder "shared" beside the
 * project or beside one of the folders around it. NULL when there is none. Owned by caller. */
static char *find_shared(void)
{
    g_autofree char *folder = g_canonicalize_filename(__FILE__, NULL);

    if (g_getenv("EVENTFLOW_SHARED") != NULL)
        return g_strdup(g_getenv("EVENTFLOW_SHARED"));
    while (strlen(folder) > 1) {
        char *parent = g_path_get_dirname(folder);
        g_autofree char *shared = g_build_filename(parent, "shared", NULL);
        g_autofree char *campaigns = g_build_filename(shared, "campaigns", NULL);

        g_free(folder);
        folder = parent;
        if (g_file_test(campaigns, G_FILE_TEST_IS_DIR))
            return g_steal_pointer(&shared);
    }
    return NULL;
}

static void test_shared_examples_are_judged_right(void)
{
    g_autofree char *root = find_shared();

    if (root == NULL) {
        g_test_skip("no shared/campaigns beside the project, and EVENTFLOW_SHARED is not set");
        return;
    }
    g_assert_cmpint(check_folder(root, "examples", false), >, 0);
    g_assert_cmpint(check_folder(root, "bad", true), >, 0);
}

/* A document of each kind that the language's examples show, in our own words. */
static void test_examples_of_this_version_are_accepted(void)
{
    assert_good("{\"id\":\"credit-over-50\",\"name\":\"$10 credit over $50\",\"rules\":{"
                "\"event_type\":[\"purchase\"],\"payload\":{\"amount\":[{\"numeric\":[\">\",50]}],"
                "\"currency\":[\"USD\"]}},\"status\":\"active\",\"then\":[{\"type\":\"credit\","
                "\"amount\":10,\"unit\":\"USD\"}]}");
    assert_good(
        "{\"name\":\"Mail for signups\",\"rules\":{\"event_type\":[\"signup\"]},\"then\":[{"
        "\"type\":\"email\",\"to\":\"mailer\",\"data\":{\"name\":\"{{event.payload.n}}\"}}],"
        "\"labels\":{\"team\":\"crm\"}}");
    assert_good(
        "{\"name\":\"5 % cashback\",\"rules\":{\"event_type\":[\"purchase\"]},\"then\":[{"
        "\"type\":\"credit\",\"amount\":{\"percent\":5,\"of\":\"payload.amount\",\"max\":20},"
        "\"unit\":\"EUR\"}]}");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } TESTS[] = {
        {"/campaign/only_name_and_rules_are_required", test_only_name_and_rules_are_required},
        {"/campaign/document_is_canonical", test_document_is_canonical},
        {"/campaign/canonical_document_parses_to_itself", test_canonical_document_parses_to_itself},
        {"/campaign/unknown_fields_are_named_with_the_nearest",
         test_unknown_fields_are_named_with_the_nearest},
        {"/campaign/fields_of_later_versions_are_not_supported_yet",
         test_fields_of_later_versions_are_not_supported_yet},
        {"/campaign/server_fields_are_refused", test_server_fields_are_refused},
        {"/campaign/ids_are_checked", test_ids_are_checked},
        {"/campaign/address_gives_the_id", test_address_gives_the_id},
        {"/campaign/texts_have_limits_in_characters", test_texts_have_limits_in_characters},
        {"/campaign/labels_are_few_and_strings", test_labels_are_few_and_strings},
        {"/campaign/status_is_one_of_four", test_status_is_one_of_four},
        {"/campaign/rules_begin_with_event_fields", test_rules_begin_with_event_fields},
        {"/campaign/alternatives_begin_with_event_fields_too",
         test_alternatives_begin_with_event_fields_too},
        {"/campaign/rules_are_a_pattern", test_rules_are_a_pattern},
        {"/campaign/rewards_are_a_closed_schema", test_rewards_are_a_closed_schema},
        {"/campaign/at_most_eight_rewards", test_at_most_eight_rewards},
        {"/campaign/amounts_are_exact_and_positive", test_amounts_are_exact_and_positive},
        {"/campaign/amounts_need_a_unit", test_amounts_need_a_unit},
        {"/campaign/percent_amounts_are_checked", test_percent_amounts_are_checked},
        {"/campaign/huge_documents_are_refused", test_huge_documents_are_refused},
        {"/campaign/stored_documents_stay_readable", test_stored_documents_stay_readable},
        {"/campaign/all_problems_are_named_at_once", test_all_problems_are_named_at_once},
        {"/campaign/slugs_are_readable_ids", test_slugs_are_readable_ids},
        {"/campaign/shared_examples_are_judged_right", test_shared_examples_are_judged_right},
        {"/campaign/examples_of_this_version_are_accepted",
         test_examples_of_this_version_are_accepted},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(TESTS); i++)
        g_test_add_func(TESTS[i].name, TESTS[i].run);
    return g_test_run();
}
