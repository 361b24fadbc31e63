/* What a test on strings accepts: one small function for each kind, chosen by a table.
 *
 * Texts are checked UTF-8 of known length (U+0000 may stand in them), so bytes may be compared
 * where characters are meant: a piece of valid UTF-8 can only be found at a character's start.
 * Only ignoring case has to look at characters, since the two cases of one letter may differ in
 * length (ⱥ has three bytes, Ⱥ has two).
 */
#include "core/pattern_internal.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define PIECE_SHORT 64 /* bytes of a wildcard's piece that is looked for sixteen places at once */

/* The way up and down again picks the letters whose cases belong together one to one; of such a
 * pair the lower-case letter stands for both. */
gunichar pattern_fold(gunichar c)
{
    gunichar lower = g_unichar_tolower(c);

    return g_unichar_toupper(lower) == c ? lower : c;
}

/* Reads one character of checked UTF-8 and moves p behind it. The text must not be
 * at its end: GLib would read on. */
static gunichar next_character(const char **p)
{
    gunichar c = g_utf8_get_char(*p);

    *p += g_utf8_skip[(guchar) * *p];
    return c;
}

struct slice pattern_fold_text(struct slice text, struct arena *a, size_t *characters)
{
    GString *folded = g_string_sized_new(text.size);
    const char *p = text.data, *end = text.data + text.size;
    struct slice copy;

    for (*characters = 0; p < end; (*characters)++)
        g_string_append_unichar(folded, pattern_fold(next_character(&p)));
    copy = arena_copy(a, slice_of(folded->str, folded->len));
    g_string_free(folded, TRUE);
    return copy;
}

/* Whether text begins with the folded text; *rest is then what follows. Folding never leads from
 * ASCII to a character beyond it or back, so bytes below 0x80 are compared as they are. A character
 * that differs ends it: nothing is folded that need not be. */
static bool skip_folded(struct slice text, struct slice folded, struct slice *rest)
{
    const char *p = text.data, *end = text.data + text.size;
    const char *f = folded.data, *folded_end = folded.data + folded.size;

    while (f < folded_end) {
        if (p >= end)
            return false;
        if ((unsigned char)*p < 0x80) {
            if (g_ascii_tolower(*p++) != *f++)
                return false;
        } else if (pattern_fold(next_character(&p)) != next_character(&f)) {
            return false;
        }
    }
    *rest = slice_of(p, (size_t)(end - p));
    return true;
}

/* exactly, and members of anything-but. Plain values do not come here: they are searched sorted. */
static bool is_equal(const struct pattern_text_test *test, struct slice text)
{
    return slice_equal(test->text, text);
}

/* By bytes: a prefix that ends inside a character is no valid UTF-8 and cannot be written. */
static bool has_prefix(const struct pattern_text_test *test, struct slice text)
{
    return slice_starts_with(text, test->text);
}

static bool ends_with(struct slice text, struct slice suffix)
{
    return text.size >= suffix.size &&
           slice_equal(slice_of(text.data + (text.size - suffix.size), suffix.size), suffix);
}

static bool has_suffix(const struct pattern_text_test *test, struct slice text)
{
    return ends_with(text, test->text);
}

/* cidr, and plain values that are addresses. */
static bool is_in_network(const struct pattern_text_test *test, struct slice text)
{
    return pattern_network_contains(&test->network, text);
}

/* The three that ignore case differ in what may be left over, and where. Here nothing may. */
static bool is_equal_folded(const struct pattern_text_test *test, struct slice text)
{
    struct slice rest;

    return skip_folded(text, test->text, &rest) && rest.size == 0;
}

/* What follows the prefix does not matter. */
static bool has_prefix_folded(const struct pattern_text_test *test, struct slice text)
{
    struct slice rest;

    return skip_folded(text, test->text, &rest);
}

/* Upper and lower case may differ in bytes, so the suffix is found by counting characters back from
 * the end; a text with fewer of them cannot match. */
static bool has_suffix_folded(const struct pattern_text_test *test, struct slice text)
{
    const char *p = text.data + text.size;
    struct slice rest;

    for (size_t i = 0; i < test->characters; i++) {
        if (p == text.data)
            return false;
        p = g_utf8_prev_char(p);
    }
    return skip_folded(slice_of(p, (size_t)(text.data + text.size - p)), test->text, &rest);
}

/* Where the piece stands first, NULL: nowhere. Sixteen places are tried at once by the piece's
 * first and last byte, which is what texts made against the library's own search differ in most.
 * The length is bounded because each place may then cost a comparison. */
static const char *find_piece(const char *p, const char *end, struct slice piece)
{
#ifdef __SSE2__
    const __m128i first = _mm_set1_epi8(piece.size > 0 ? piece.data[0] : 0);
    const __m128i last = _mm_set1_epi8(piece.size > 0 ? piece.data[piece.size - 1] : 0);

    if (piece.size < 2 || piece.size > PIECE_SHORT)
        return memmem(p, (size_t)(end - p), piece.data, piece.size);
    for (; (size_t)(end - p) >= piece.size - 1 + sizeof(first); p += sizeof(first)) {
        __m128i heads = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i tails = _mm_loadu_si128((const __m128i *)(const void *)(p + piece.size - 1));
        unsigned places = (unsigned)_mm_movemask_epi8(
            _mm_and_si128(_mm_cmpeq_epi8(heads, first), _mm_cmpeq_epi8(tails, last)));

        for (; places != 0; places &= places - 1) {
            const char *at = p + __builtin_ctz(places);

            if (slice_equal(slice_of(at, piece.size), piece))
                return at;
        }
    }
#endif
    return memmem(p, (size_t)(end - p), piece.data, piece.size);
}

/* The first piece is fixed at the start, the last at the end; each one between is taken where it
 * occurs first, which leaves the most room for the rest, so nothing is ever tried twice. The time
 * is that of as many searches as there are pieces. */
static bool matches_wildcard(const struct pattern_text_test *test, struct slice text)
{
    struct slice head = test->pieces[0], tail = test->pieces[test->piece_count - 1];
    const char *p = text.data, *end = text.data + text.size;

    if (test->piece_count == 1)
        return slice_equal(head, text);
    if (text.size < head.size + tail.size || !slice_starts_with(text, head) ||
        !ends_with(text, tail))
        return false;
    p += head.size;
    end -= tail.size;
    for (uint32_t i = 1; i + 1 < test->piece_count; i++) {
        struct slice piece = test->pieces[i];

        p = find_piece(p, end, piece);
        if (p == NULL)
            return false;
        p += piece.size;
    }
    return true;
}

/* anything-but: a text passes when no member accepts it. Other types pass by the field's types.
 * Members are never NONE_OF themselves, so the call below goes one level deep. */
static bool passes_no_member(const struct pattern_text_test *test, struct slice text)
{
    for (uint32_t i = 0; i < test->member_count; i++) {
        if (pattern_text_passes(&test->members[i], text))
            return false;
    }
    return true;
}

/* One row for each enum pattern_text_kind. */
typedef bool (*text_check)(const struct pattern_text_test *test, struct slice text);

static const text_check CHECKS[] = {
    [TEXT_EQUAL] = is_equal,
    [TEXT_PREFIX] = has_prefix,
    [TEXT_SUFFIX] = has_suffix,
    [TEXT_NETWORK] = is_in_network,
    [TEXT_EQUAL_FOLD] = is_equal_folded,
    [TEXT_PREFIX_FOLD] = has_prefix_folded,
    [TEXT_SUFFIX_FOLD] = has_suffix_folded,
    [TEXT_WILDCARD] = matches_wildcard,
    [TEXT_NONE_OF] = passes_no_member,
};

/* A call through a table: its rows are checked by the compiler, and no kind can be forgotten in a
 * chain of comparisons. */
bool pattern_text_passes(const struct pattern_text_test *test, struct slice text)
{
    return CHECKS[test->kind](test, text);
}

/* Ends the piece being written and begins the next one behind it. Pieces at the ends may be empty:
 * then the wildcard begins or ends with a star. */
static void end_piece(GArray *pieces, char *out, size_t *start, size_t size)
{
    struct slice piece = slice_of(out + *start, size - *start);

    g_array_append_val(pieces, piece);
    *start = size;
}

/* Splits at the stars and undoes the escapes. NULL, or what is wrong. out takes text.size bytes at
 * most; the pieces point into it. Two stars together would mean the same as one, and cost more. */
static const char *split_wildcard(struct slice text, char *out, GArray *pieces)
{
    size_t start = 0, size = 0;

    for (size_t i = 0; i < text.size; i++) {
        char next = i + 1 < text.size ? text.data[i + 1] : '\0';

        if (text.data[i] == '*' && next == '*')
            return "must not have two stars in a row: one matches any run already";
        if (text.data[i] == '*') {
            end_piece(pieces, out, &start, size);
            continue;
        }
        if (text.data[i] == '\\') {
            if (next != '*' && next != '\\')
                return "has a backslash that escapes nothing: write \\\\* for a star and \\\\\\\\ for a backslash in JSON";
            i++;
        }
        out[size++] = text.data[i];
    }
    end_piece(pieces, out, &start, size);
    return NULL;
}

const char *pattern_wildcard_parse(struct slice text, struct arena *a,
                                   struct pattern_text_test *test)
{
    GArray *pieces = g_array_new(FALSE, FALSE, sizeof(struct slice));
    const char *wrong = split_wildcard(text, arena_alloc(a, text.size), pieces);

    if (wrong == NULL) {
        struct slice *copy = ARENA_NEW(a, struct slice, pieces->len);

        memcpy(copy, pieces->data, pieces->len * sizeof(*copy));
        *test = (struct pattern_text_test){
            .kind = TEXT_WILDCARD, .pieces = copy, .piece_count = pieces->len};
    }
    g_array_free(pieces, TRUE);
    return wrong;
}
