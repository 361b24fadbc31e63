#include "api/http.h"

#define OK_HEAD "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#define LINE    "GET / HTTP/1.1\r\n"
#define HOST    "Host: x\r\n"

/* SLICE for static initialisers. */
#define BYTES(literal)                                                                             \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }

/* The outcome of parsing, with what two readers could disagree on. */
struct outcome {
    enum http_parse result;
    size_t used;
    const char *why;
    struct http_head head;
};

/* Gives the bytes in two steps, as a socket might. */
static struct outcome parse_split(struct slice bytes, size_t cut)
{
    struct outcome o = {0};
    size_t scanned = 0;

    o.result = http_parse_head(slice_of(bytes.data, cut), &scanned, &o.head, &o.used, &o.why);
    if (o.result == HTTP_PARSE_MORE) {
        g_assert_cmpuint(scanned, ==, cut);
        o.result = http_parse_head(bytes, &scanned, &o.head, &o.used, &o.why);
    }
    return o;
}

static struct outcome parse(struct slice bytes)
{
    return parse_split(bytes, bytes.size);
}

/* Parses whole and cut at every place, and one byte at a time: always the same outcome. */
static struct outcome parse_everywhere(struct slice bytes)
{
    struct outcome whole = parse(bytes);
    struct outcome slow = {0};
    size_t scanned = 0;

    for (size_t cut = 0; cut < bytes.size; cut++) {
        struct outcome o = parse_split(bytes, cut);

        g_assert_cmpint(o.result, ==, whole.result);
        g_assert_cmpstr(o.why, ==, whole.why);
        g_assert_cmpuint(o.used, ==, whole.used);
    }
    for (size_t size = 0; size <= bytes.size && slow.result != whole.result; size++)
        slow.result = http_parse_head(slice_of(bytes.data, size), &scanned, &slow.head, &slow.used,
                                      &slow.why);
    g_assert_cmpint(slow.result, ==, whole.result);
    g_assert_cmpstr(slow.why, ==, whole.why);
    return whole;
}

static struct outcome parse_text(const char *text)
{
    return parse_everywhere(slice_text(text));
}

static void assert_slice(struct slice s, const char *text)
{
    g_autofree char *copy = g_strndup(s.data != NULL ? s.data : "", s.size);

    g_assert_cmpstr(copy, ==, text);
}

static void test_reads_a_head(void)
{
    struct outcome o = parse_text("POST /events?atomic=true HTTP/1.1\r\nHost: example.org:8080\r\n"
                                  "Content-Type:application/json\r\nContent-Length: 12\r\n"
                                  "X-Odd:  \t two words \t\r\nX-Empty:\r\n\r\n{\"and\":1}");

    g_assert_cmpint(o.result, ==, HTTP_PARSE_DONE);
    g_assert_cmpint(o.head.method, ==, HTTP_POST);
    assert_slice(o.head.method_text, "POST");
    assert_slice(o.head.target, "/events?atomic=true");
    g_assert_cmpuint(o.head.header_count, ==, 5);
    assert_slice(http_find_header(&o.head, "content-TYPE"), "application/json");
    assert_slice(http_find_header(&o.head, "x-odd"), "two words");
    assert_slice(http_find_header(&o.head, "x-empty"), "");
    g_assert_null(http_find_header(&o.head, "x-absent").data);
    g_assert_true(o.head.has_length);
    g_assert_cmpint(o.head.content_length, ==, 12);
    g_assert_false(o.head.is_chunked);
    g_assert_true(o.head.is_keep_alive);
}

static void test_used_ends_behind_the_empty_line(void)
{
    struct outcome o = parse_text(OK_HEAD "GET /next HTTP/1.1\r\n");

    g_assert_cmpint(o.result, ==, HTTP_PARSE_DONE);
    g_assert_cmpuint(o.used, ==, strlen(OK_HEAD));
}

static void test_knows_the_methods(void)
{
    static const enum http_method METHODS[] = {HTTP_GET,   HTTP_HEAD,   HTTP_POST,   HTTP_PUT,
                                               HTTP_PATCH, HTTP_DELETE, HTTP_OPTIONS};

    for (size_t i = 0; i < G_N_ELEMENTS(METHODS); i++) {
        g_autofree char *text =
            g_strdup_printf("%s / HTTP/1.1\r\n" HOST "\r\n", http_method_name(METHODS[i]));

        g_assert_cmpint(parse_text(text).head.method, ==, METHODS[i]);
    }
    g_assert_cmpint(parse_text("BREW / HTTP/1.1\r\n" HOST "\r\n").head.method, ==, HTTP_OTHER);
    g_assert_cmpint(parse_text("get / HTTP/1.1\r\n" HOST "\r\n").head.method, ==, HTTP_OTHER);
}

static void test_reduces_absolute_targets(void)
{
    struct outcome o = parse_text("GET http://example.org:80/a?b HTTP/1.1\r\n" HOST "\r\n");

    g_assert_cmpint(o.result, ==, HTTP_PARSE_DONE);
    assert_slice(o.head.target, "/a?b");
    o = parse_text("OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
    assert_slice(o.head.target, "*");
}

static void test_keep_alive_follows_version_and_connection(void)
{
    static const struct {
        const char *head;
        bool is_keep_alive;
    } CASES[] = {
        {LINE HOST "\r\n", true},
        {LINE HOST "Connection: close\r\n\r\n", false},
        {LINE HOST "Connection: foo , CLOSE\r\n\r\n", false},
        {LINE HOST "Connection: keep-alive\r\nConnection: close\r\n\r\n", false},
        {LINE HOST "Connection: closed\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        struct outcome o = parse_text(CASES[i].head);

        g_assert_cmpint(o.result, ==, HTTP_PARSE_DONE);
        g_assert_cmpint(o.head.is_keep_alive, ==, CASES[i].is_keep_alive);
    }
    g_assert_true(parse_text("GET / HTTP/1.0\r\n\r\n").head.is_http_10);
    g_assert_false(parse_text(OK_HEAD).head.is_http_10);
}

static void test_reads_framing_headers(void)
{
    struct outcome o = parse_text(LINE HOST "Transfer-Encoding: Chunked\r\n"
                                            "Expect: 100-Continue\r\n\r\n");

    g_assert_cmpint(o.result, ==, HTTP_PARSE_DONE);
    g_assert_true(o.head.is_chunked);
    g_assert_true(o.head.expects_continue);
    g_assert_false(o.head.has_length);
    o = parse_text("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 00\r\n\r\n");
    g_assert_false(o.head.expects_continue);
    g_assert_true(o.head.has_length);
    g_assert_cmpint(o.head.content_length, ==, 0);
}

static void test_forgets_the_head_before(void)
{
    struct http_head head;
    size_t scanned = 0;
    size_t used;
    const char *why;

    memset(&head, 0xAA, sizeof(head));
    g_assert_cmpint(http_parse_head(SLICE(OK_HEAD), &scanned, &head, &used, &why), ==,
                    HTTP_PARSE_DONE);
    g_assert_cmpuint(head.header_count, ==, 1);
    g_assert_false(head.is_chunked);
    g_assert_false(head.has_length);
    g_assert_false(head.expects_continue);
    g_assert_cmpint(head.content_length, ==, 0);
}

static void test_an_enormous_length_does_not_wrap(void)
{
    struct outcome o = parse_text(LINE HOST "Content-Length: 99999999999999999999999\r\n\r\n");

    g_assert_cmpint(o.result, ==, HTTP_PARSE_DONE);
    g_assert_cmpint(o.head.content_length, >, INT64_MAX / 16);
    o = parse_text(LINE HOST "Content-Length: 18446744073709551617\r\n\r\n");
    g_assert_cmpint(o.head.content_length, >, INT64_MAX / 16);
}

static const struct refusal {
    const char *name;
    struct slice bytes;
} REFUSALS[] = {
    {"empty_first_line", {"\r\n\r\n", 4}},
    {"no_target", BYTES("GET HTTP/1.1\r\n" HOST "\r\n")},
    {"no_version", BYTES("GET /\r\n" HOST "\r\n")},
    {"garbage", BYTES("\x16\x03\x01\x02\r\n\r\n")},
    {"no_method", BYTES(" / HTTP/1.1\r\n" HOST "\r\n")},
    {"bad_method", BYTES("GE(T / HTTP/1.1\r\n" HOST "\r\n")},
    {"two_spaces_before_target", BYTES("GET  / HTTP/1.1\r\n" HOST "\r\n")},
    {"two_spaces_after_target", BYTES("GET /  HTTP/1.1\r\n" HOST "\r\n")},
    {"tab_in_request_line", BYTES("GET\t/\tHTTP/1.1\r\n" HOST "\r\n")},
    {"space_after_version", BYTES("GET / HTTP/1.1 \r\n" HOST "\r\n")},
    {"relative_target", BYTES("GET events HTTP/1.1\r\n" HOST "\r\n")},
    {"authority_target", BYTES("CONNECT example.org:443 HTTP/1.1\r\n" HOST "\r\n")},
    {"star_with_get", BYTES("GET * HTTP/1.1\r\n" HOST "\r\n")},
    {"absolute_without_path", BYTES("GET http://example.org HTTP/1.1\r\n" HOST "\r\n")},
    {"absolute_without_host", BYTES("GET http:///a HTTP/1.1\r\n" HOST "\r\n")},
    {"fragment_in_target", BYTES("GET /a#b HTTP/1.1\r\n" HOST "\r\n")},
    {"nul_in_target", BYTES("GET /a\0b HTTP/1.1\r\n" HOST "\r\n")},
    {"high_byte_in_target", BYTES("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n")},
    {"lower_case_version", BYTES("GET / http/1.1\r\n" HOST "\r\n")},
    {"long_version", BYTES("GET / HTTP/1.10\r\n" HOST "\r\n")},
    {"no_host", BYTES(LINE "\r\n")},
    {"two_hosts", BYTES(LINE HOST HOST "\r\n")},
    {"two_hosts_in_1_0", BYTES("GET / HTTP/1.0\r\n" HOST HOST "\r\n")},
    {"length_and_chunked",
     BYTES(LINE HOST "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"chunked_and_length",
     BYTES(LINE HOST "Transfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n")},
    {"two_lengths", BYTES(LINE HOST "Content-Length: 7\r\nContent-Length: 8\r\n\r\n")},
    {"two_equal_lengths", BYTES(LINE HOST "Content-Length: 7\r\ncontent-length: 7\r\n\r\n")},
    {"length_list", BYTES(LINE HOST "Content-Length: 7, 7\r\n\r\n")},
    {"length_plus", BYTES(LINE HOST "Content-Length: +7\r\n\r\n")},
    {"length_minus", BYTES(LINE HOST "Content-Length: -7\r\n\r\n")},
    {"length_hex", BYTES(LINE HOST "Content-Length: 0x7\r\n\r\n")},
    {"length_empty", BYTES(LINE HOST "Content-Length:\r\n\r\n")},
    {"length_inner_space", BYTES(LINE HOST "Content-Length: 7 7\r\n\r\n")},
    {"space_before_colon", BYTES(LINE HOST "Content-Length : 7\r\n\r\n")},
    {"tab_before_colon", BYTES(LINE HOST "Content-Length\t: 7\r\n\r\n")},
    {"unknown_coding", BYTES(LINE HOST "Transfer-Encoding: gzip\r\n\r\n")},
    {"coding_list", BYTES(LINE HOST "Transfer-Encoding: gzip, chunked\r\n\r\n")},
    {"coding_twice", BYTES(LINE HOST "Transfer-Encoding: chunked, chunked\r\n\r\n")},
    {"two_codings",
     BYTES(LINE HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"coding_identity", BYTES(LINE HOST "Transfer-Encoding: identity\r\n\r\n")},
    {"coding_quoted", BYTES(LINE HOST "Transfer-Encoding: \"chunked\"\r\n\r\n")},
    {"coding_vertical_tab", BYTES(LINE HOST "Transfer-Encoding: \x0b"
                                            "chunked\r\n\r\n")},
    {"coding_in_1_0", BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"no_colon", BYTES(LINE HOST "Content-Length 7\r\n\r\n")},
    {"no_name", BYTES(LINE HOST ": 7\r\n\r\n")},
    {"bad_name", BYTES(LINE HOST "X(: 7\r\n\r\n")},
    {"folded", BYTES(LINE HOST "X: 1\r\n  2\r\n\r\n")},
    {"folded_with_tab", BYTES(LINE HOST "X: 1\r\n\t2\r\n\r\n")},
    {"folded_first", BYTES(LINE " Host: x\r\n\r\n")},
    {"nul_in_value", BYTES(LINE HOST "X: a\0b\r\n\r\n")},
    {"nul_in_name", BYTES(LINE HOST "X\0: ab\r\n\r\n")},
    {"bell_in_value", BYTES(LINE HOST "X: a\ab\r\n\r\n")},
    {"delete_in_value", BYTES(LINE HOST "X: a\x7f\r\n\r\n")},
    {"cr_in_value", BYTES(LINE HOST "X: a\rb\r\n\r\n")},
    {"cr_after_colon", BYTES(LINE HOST "X:\ra\r\n\r\n")},
    {"cr_in_name", BYTES(LINE HOST "X\r: a\r\n\r\n")},
    {"two_crs", BYTES(LINE HOST "X: a\r\r\n\r\n")},
    {"cr_lf_cr_x", BYTES(LINE HOST "\rX: y\r\n\r\n")},
    {"bare_lf", BYTES("GET / HTTP/1.1\nHost: x\n\n")},
    {"bare_lf_in_headers", BYTES(LINE "Host: x\nY: z\r\n\r\n")},
    {"bare_lf_at_end", BYTES(LINE HOST "\n")},
    {"bare_lf_first", BYTES("\nGET / HTTP/1.1\r\n" HOST "\r\n")},
};

static void test_refuses(const void *data)
{
    const struct refusal *r = data;
    struct outcome o = parse_everywhere(r->bytes);

    g_assert_cmpint(o.result, ==, HTTP_PARSE_BAD);
    g_assert_nonnull(o.why);
}

static void test_other_versions_are_told_apart(void)
{
    static const char *const LINES[] = {"GET / HTTP/2.0", "GET / HTTP/0.9", "GET / HTTP/1.2",
                                        "PRI /x HTTP/2.0"};

    for (size_t i = 0; i < G_N_ELEMENTS(LINES); i++) {
        g_autofree char *text = g_strdup_printf("%s\r\n" HOST "\r\n", LINES[i]);

        g_assert_cmpint(parse_text(text).result, ==, HTTP_PARSE_VERSION);
    }
}

/* A head of exactly that many bytes. */
static char *make_head(size_t size)
{
    GString *head = g_string_new(LINE HOST "X: ");

    while (head->len + 4 < size)
        g_string_append_c(head, 'y');
    g_string_append(head, "\r\n\r\n");
    return g_string_free(head, FALSE);
}

static void test_the_size_limit_is_exact(void)
{
    g_autofree char *most = make_head(HTTP_HEAD_MAX);
    g_autofree char *over = make_head(HTTP_HEAD_MAX + 1);
    g_autofree char *much = make_head(64 * 1024);
    struct outcome o = parse(slice_text(most));

    g_assert_cmpint(o.result, ==, HTTP_PARSE_DONE);
    g_assert_cmpuint(o.used, ==, HTTP_HEAD_MAX);
    g_assert_cmpint(parse(slice_text(over)).result, ==, HTTP_PARSE_LARGE);
    g_assert_cmpint(parse_split(slice_text(over), HTTP_HEAD_MAX).result, ==, HTTP_PARSE_LARGE);
    g_assert_cmpint(parse(slice_text(much)).result, ==, HTTP_PARSE_LARGE);
}

static void test_too_many_headers_are_refused(void)
{
    GString *head = g_string_new(LINE);

    for (int i = 1; i < HTTP_HEADERS_MAX; i++)
        g_string_append_printf(head, "X-%d: y\r\n", i);
    g_string_append(head, HOST "\r\n");
    g_assert_cmpint(parse(slice_of(head->str, head->len)).result, ==, HTTP_PARSE_DONE);
    g_string_insert(head, (gssize)strlen(LINE), "X-0: y\r\n");
    g_assert_cmpint(parse(slice_of(head->str, head->len)).result, ==, HTTP_PARSE_LARGE);
    g_string_free(head, TRUE);
}

/* ---- chunks ---------------------------------------------------------------------------------- */

struct decoded {
    enum http_parse result;
    size_t used;
    GString *data;
};

/* Feeds the bytes cut at two places, each piece in a buffer of its exact size. */
static struct decoded decode_split(struct slice bytes, size_t first, size_t second)
{
    struct decoded d = {HTTP_PARSE_MORE, 0, g_string_new(NULL)};
    const size_t cuts[] = {0, first, second, bytes.size};
    struct http_chunked c = {0};

    for (size_t i = 0; i < 3 && d.result == HTTP_PARSE_MORE; i++) {
        size_t size = cuts[i + 1] - cuts[i];
        g_autofree char *piece = g_memdup2(bytes.data + cuts[i], size);
        const char *why = NULL;
        size_t used = 0;
        size_t written = 0;

        d.result = http_chunked_decode(&c, piece, size, &used, &written, &why);
        if (d.result == HTTP_PARSE_BAD)
            g_assert_nonnull(why);
        else
            g_string_append_len(d.data, piece, (gssize)written);
        d.used += used;
    }
    return d;
}

static void check_chunks(struct slice bytes, enum http_parse result, const char *data, size_t used)
{
    for (size_t first = 0; first <= bytes.size; first++) {
        for (size_t second = first; second <= bytes.size; second++) {
            struct decoded d = decode_split(bytes, first, second);

            g_assert_cmpint(d.result, ==, result);
            if (result == HTTP_PARSE_DONE) {
                g_assert_cmpstr(d.data->str, ==, data);
                g_assert_cmpuint(d.used, ==, used);
            }
            g_string_free(d.data, TRUE);
        }
    }
}

static void test_decodes_chunks(void)
{
    static const struct {
        const char *bytes;
        const char *data;
        size_t rest; /* bytes behind the body */
    } CASES[] = {
        {"0\r\n\r\n", "", 0},
        {"3\r\nabc\r\n0\r\n\r\n", "abc", 0},
        {"3\r\nabc\r\n0A\r\n0123456789\r\n000\r\n\r\nGET ", "abc0123456789", 4},
        {"a\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0},
        {"1;ext\r\na\r\n1;a=b;c=\"d e\"\r\nb\r\n0;last\r\n\r\n", "ab", 0},
        {"1 ;ext\r\na\r\n0\t;x\r\n\r\n", "a", 0},
        {"1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", "\r\n", 0},
        {"1\r\na\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\nZ", "a", 1},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        struct slice bytes = slice_text(CASES[i].bytes);

        check_chunks(bytes, HTTP_PARSE_DONE, CASES[i].data, bytes.size - CASES[i].rest);
    }
}

static void test_waits_for_the_last_chunk(void)
{
    check_chunks(SLICE(""), HTTP_PARSE_MORE, NULL, 0);
    check_chunks(SLICE("3\r\nabc\r\n0\r\n"), HTTP_PARSE_MORE, NULL, 0);
    check_chunks(SLICE("3\r\nabc\r\n0\r\nX: y\r\n\r"), HTTP_PARSE_MORE, NULL, 0);
}

static void test_refuses_bad_chunks(void)
{
    static const struct slice CASES[] = {
        BYTES("x\r\n"),
        BYTES("\r\n"),
        BYTES("-1\r\n"),
        BYTES("+1\r\n"),
        BYTES("0x1\r\n"),
        BYTES(" 1\r\n"),
        BYTES("1 \r\na\r\n"),
        BYTES("1 2\r\n"),
        BYTES("1;\0\r\n"),
        BYTES("1;a\nb\r\n"),
        BYTES("1\na\r\n0\r\n\r\n"),
        BYTES("1\rx"),
        BYTES("1\r\nab\r\n"),
        BYTES("1\r\na\nX"),
        BYTES("1\r\na\rX"),
        BYTES("ffffffffffffffffff\r\n"),
        BYTES("0\r\n folded\r\n\r\n"),
        BYTES("0\r\nno-colon\r\n\r\n"),
        BYTES("0\r\nX: \0\r\n\r\n"),
        BYTES("0\r\nX: y\n\r\n"),
        BYTES("0\r\nX: y\rz"),
        BYTES("0\r\n\rX"),
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        check_chunks(CASES[i], HTTP_PARSE_BAD, NULL, 0);
}

static void test_bounds_what_chunks_carry_besides_data(void)
{
    GString *extension = g_string_new("1;");
    GString *trailers = g_string_new("0\r\n");
    struct decoded d;

    while (extension->len < 4096)
        g_string_append_c(extension, 'x');
    g_string_append(extension, "\r\na\r\n0\r\n\r\n");
    d = decode_split(slice_of(extension->str, extension->len), 100, 200);
    g_assert_cmpint(d.result, ==, HTTP_PARSE_BAD);
    g_string_free(d.data, TRUE);
    while (trailers->len < HTTP_HEAD_MAX + 100)
        g_string_append(trailers, "X: y\r\n");
    g_string_append(trailers, "\r\n");
    d = decode_split(slice_of(trailers->str, trailers->len), 100, 200);
    g_assert_cmpint(d.result, ==, HTTP_PARSE_LARGE);
    g_string_free(d.data, TRUE);
    g_string_free(extension, TRUE);
    g_string_free(trailers, TRUE);
}

/* ---- percent-decoding ------------------------------------------------------------------------ */

static void test_decodes_percent(void)
{
    static const struct {
        const char *in;
        bool plus_is_space;
        const char *out; /* NULL: refused */
    } CASES[] = {
        {"", false, ""},         {"abc", false, "abc"},
        {"a%20b", false, "a b"}, {"%C3%a9", false, "\xc3\xa9"},
        {"a+b", false, "a+b"},   {"a+b", true, "a b"},
        {"a%2Bb", true, "a+b"},  {"%2F", false, "/"},
        {"%", false, NULL},      {"%2", false, NULL},
        {"a%zz", false, NULL},   {"%2g", false, NULL},
        {"%00", false, NULL},    {"%%20", false, NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        size_t room = strlen(CASES[i].in);
        g_autofree char *out = g_malloc(room + 1);
        size_t size = 0;
        bool is_good = http_decode(slice_text(CASES[i].in), CASES[i].plus_is_space, out, &size);

        g_assert_cmpint(is_good, ==, CASES[i].out != NULL);
        if (is_good)
            assert_slice(slice_of(out, size), CASES[i].out);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/http/reads_a_head", test_reads_a_head);
    g_test_add_func("/http/used_ends_behind_the_empty_line", test_used_ends_behind_the_empty_line);
    g_test_add_func("/http/knows_the_methods", test_knows_the_methods);
    g_test_add_func("/http/reduces_absolute_targets", test_reduces_absolute_targets);
    g_test_add_func("/http/keep_alive_follows_version_and_connection",
                    test_keep_alive_follows_version_and_connection);
    g_test_add_func("/http/reads_framing_headers", test_reads_framing_headers);
    g_test_add_func("/http/forgets_the_head_before", test_forgets_the_head_before);
    g_test_add_func("/http/an_enormous_length_does_not_wrap",
                    test_an_enormous_length_does_not_wrap);
    for (size_t i = 0; i < G_N_ELEMENTS(REFUSALS); i++) {
        g_autofree char *path = g_strdup_printf("/http/refuses/%s", REFUSALS[i].name);

        g_test_add_data_func(path, &REFUSALS[i], test_refuses);
    }
    g_test_add_func("/http/other_versions_are_told_apart", test_other_versions_are_told_apart);
    g_test_add_func("/http/the_size_limit_is_exact", test_the_size_limit_is_exact);
    g_test_add_func("/http/too_many_headers_are_refused", test_too_many_headers_are_refused);
    g_test_add_func("/http/decodes_chunks", test_decodes_chunks);
    g_test_add_func("/http/waits_for_the_last_chunk", test_waits_for_the_last_chunk);
    g_test_add_func("/http/refuses_bad_chunks", test_refuses_bad_chunks);
    g_test_add_func("/http/bounds_what_chunks_carry_besides_data",
                    test_bounds_what_chunks_carry_besides_data);
    g_test_add_func("/http/decodes_percent", test_decodes_percent);
    return g_test_run();
}
