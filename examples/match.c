/* Which of three rules match each line of standard input, with libeventflow-match.
 *
 *   cc match.c -o match $(pkg-config --cflags --libs eventflow-match)
 *   echo '{"type":"purchase","amount":75,"customer":{"tags":["vip"]}}' | ./match
 *   1: big-purchase vip
 *
 * Without the shared library, GLib's aside:
 *
 *   cc match.c -o match $(pkg-config --cflags eventflow-match) \
 *       "$(pkg-config --variable=libdir eventflow-match)/libeventflow-match.a" \
 *       $(pkg-config --libs glib-2.0 libxxhash) -lm
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <eventflow-match.h>

static const struct {
    const char *id;
    const char *pattern;
} RULES[] = {
    {"big-purchase", "{\"type\": [\"purchase\"], \"amount\": [{\"numeric\": [\">\", 50]}]}"},
    {"vip", "{\"customer\": {\"tags\": [\"vip\"]}}"},
    {"test-account", "{\"customer\": {\"email\": [{\"suffix\": \"@example.com\"}]}}"},
};

static struct ef_match_bytes bytes_of(const char *text)
{
    struct ef_match_bytes bytes = {text, strlen(text)};

    return bytes;
}

/* The rules as a set; ends the program when one of them is wrong. */
static struct ef_match_set *compile_rules(void)
{
    struct ef_match_error error;
    struct ef_match_compiler *compiler = ef_match_compiler_new(NULL, &error);
    struct ef_match_set *set;

    for (size_t i = 0; i < sizeof(RULES) / sizeof(RULES[0]); i++)
        if (ef_match_compiler_add(compiler, bytes_of(RULES[i].id), bytes_of(RULES[i].pattern),
                                  &error) != EF_MATCH_OK) {
            fprintf(stderr, "rule %s: %s\n", RULES[i].id, error.text);
            exit(1);
        }
    set = ef_match_compile(compiler, &error); /* cannot fail: memory has no limit here */
    ef_match_compiler_free(compiler);
    return set;
}

/* One line of output for one event. Returns 0 when the event could be read. */
static int show_matches(struct ef_match_reader *reader, unsigned long line,
                        struct ef_match_bytes event)
{
    const struct ef_match_bytes *ids;
    struct ef_match_error error;
    size_t count;

    if (ef_match_find(reader, event, &ids, &count, &error) != EF_MATCH_OK) {
        fprintf(stderr, "event %lu: %s\n", line, error.text);
        return 1;
    }
    printf("%lu:", line);
    for (size_t i = 0; i < count; i++)
        printf(" %.*s", (int)ids[i].size, ids[i].data);
    printf("\n");
    return 0;
}

int main(void)
{
    struct ef_match_set *set = compile_rules();
    struct ef_match_reader *reader = ef_match_reader_new(set); /* each thread would have its own */
    static char line[1 << 20];                                 /* the usual limit of an event */
    unsigned long number = 0;
    int failed = 0;

    ef_match_set_unref(set); /* the reader holds a reference */
    while (fgets(line, sizeof(line), stdin) != NULL)
        failed |= show_matches(reader, ++number, bytes_of(line));
    ef_match_reader_free(reader);
    return failed;
}
