/* Many wildcards against much text: one walk over the text for all of them.
 *
 * A wildcard alone is an automaton that remembers how many of its literal bytes it has found (the
 * pieces are found leftmost first, with the failure function of Knuth, Morris and Pratt). All
 * wildcards of a path together are one automaton whose state is the list of their states. Such
 * lists are far too many to be made beforehand, so they are made when the text leads to them, and
 * remembered with what each byte leads to: after a while a byte costs one look into a table. When a
 * text leads to new ones all the time, it is given up, and each wildcard is tried by itself. Of
 * very long wildcards only the beginning is looked for, which few texts have. Source: Knuth,
 * Morris, Pratt, SIAM J. Comput. 6 (1977); Thompson, CACM 11 (1968), for states that are lists,
 * made on the way.
 */
#include "core/matcher/internal.h"

#ifndef WILD_WORK_MIN
/* All are walked when those that were tried had to look at so many bytes in all, and at so many for
 * each test of the index, as its tests are looked through. */
#define WILD_WORK_MIN      (UINT64_C(2) << 20)
#define WILD_WORK_PER_TEST 4
#endif
#ifndef LITERALS_MAX
#define LITERALS_MAX 4096 /* bytes of one wildcard */
#define LITERALS_CUT 256  /* of a longer one; what has them is tried alone */
#endif
#define LITERALS_ALL (1 << 20)         /* of all of them */
#define ATOMS_MAX    4096              /* wildcards of a path */
#define ROOM_MAX     ((size_t)8 << 20) /* bytes of all lists */
#define STEPS_MAX    ((size_t)4 << 20) /* of single wildcards, to make lists; then it is given up */
#define BYTES        256

#define DEAD   UINT16_MAX /* a state: whatever comes, there is no match */
#define STRICT UINT16_MAX /* in begin: the next byte must be the next literal */

/* One wildcard. Its states are 0 to size: how many literal bytes were found. */
struct atom {
    uint32_t first; /* of its states in the arrays below */
    uint16_t size;
    bool is_open; /* ends with a star: what was found stays found */
};

/* A test of the path: one wildcard, or none of several. */
struct answer {
    uint32_t text;         /* in matcher->texts */
    uint32_t first, count; /* its atoms */
    bool is_none_of;
    bool is_cut; /* an atom is: that it was found says nothing */
};

struct matcher_wild {
    GArray *atoms;   /* struct atom */
    GArray *answers; /* struct answer */
    /* By state of an atom. */
    GByteArray *literals;   /* the byte that leads on */
    GArray *fails;          /* uint16_t: where to go on when it does not come */
    GArray *begins;         /* uint16_t: state at the beginning of the piece; STRICT */
    uint8_t classes[BYTES]; /* bytes that no wildcard tells apart have one number */
    uint32_t class_count;
    /* Lists, by number. */
    GArray *lists;   /* uint16_t: as many as there are atoms, for each */
    GArray *passing; /* uint64_t: a bit for each answer, for each */
    GArray *next;    /* uint32_t: by class, for each: number + 1; 0: not known yet */
    struct matcher_table table;
    uint32_t list_count, list_max, passing_words;
    size_t steps;
    uint64_t *passed; /* a bit for each answer: some text passed */
};

/* ---- one wildcard ---------------------------------------------------------------------------- */

/* The state behind one more byte. */
static inline uint16_t step(const struct matcher_wild *w, const struct atom *a, uint16_t state,
                            uint8_t byte)
{
    const uint8_t *literals = w->literals->data + a->first;
    const uint16_t *fails, *begins;

    if (state >= a->size && (state == DEAD || a->is_open))
        return state;
    if (state < a->size && literals[state] == byte)
        return (uint16_t)(state + 1);
    begins = &g_array_index(w->begins, uint16_t, a->first);
    fails = &g_array_index(w->fails, uint16_t, a->first);
    if (begins[state] == STRICT)
        return DEAD;
    while (state != begins[state]) {
        state = fails[state];
        if (literals[state] == byte)
            return (uint16_t)(state + 1);
    }
    return state;
}

/* Enters the states of a piece. Those of the first one are strict; behind the last byte of a piece
 * the next piece begins. */
static void add_piece(struct matcher_wild *w, struct slice piece, uint16_t start, bool is_strict)
{
    uint32_t first = w->literals->len;

    for (size_t i = 0; i < piece.size; i++) {
        uint16_t begin = is_strict ? STRICT : start, fail = start;

        if (i > 1 && !is_strict) {
            uint16_t k = (uint16_t)(g_array_index(w->fails, uint16_t, first + i - 1) - start);

            while (k > 0 && piece.data[k] != piece.data[i - 1])
                k = (uint16_t)(g_array_index(w->fails, uint16_t, first + k) - start);
            fail = (uint16_t)(start + k + (piece.data[k] == piece.data[i - 1]));
        }
        g_array_append_val(w->fails, fail);
        g_array_append_val(w->begins, begin);
        g_byte_array_append(w->literals, (const guint8 *)piece.data + i, 1);
    }
}

/* The state in which everything was found; it goes on only from a last piece, which may be found
 * again further on. */
static void add_end(struct matcher_wild *w, struct slice tail, uint16_t size, bool is_strict)
{
    uint16_t start = (uint16_t)(size - tail.size), fail = start;
    uint16_t begin = is_strict ? STRICT : start;
    guint8 none = 0;

    if (tail.size > 1 && begin != STRICT) {
        uint32_t first = w->literals->len - (uint32_t)tail.size;
        uint16_t k = (uint16_t)(g_array_index(w->fails, uint16_t, first + tail.size - 1) - start);

        while (k > 0 && tail.data[k] != tail.data[tail.size - 1])
            k = (uint16_t)(g_array_index(w->fails, uint16_t, first + k) - start);
        fail = (uint16_t)(start + k + (tail.data[k] == tail.data[tail.size - 1]));
    }
    g_array_append_val(w->fails, fail);
    g_array_append_val(w->begins, begin);
    g_byte_array_append(w->literals, &none, 1);
}

/* false: there are too many. */
static bool add_atom(struct matcher_wild *w, const struct pattern_text_test *test, bool *is_cut)
{
    struct slice tail = test->pieces[test->piece_count - 1];
    struct atom a = {.first = w->literals->len, .is_open = test->piece_count > 1 && tail.size == 0};
    size_t size = 0;

    for (uint32_t i = 0; i < test->piece_count; i++)
        size += test->pieces[i].size;
    if (size > LITERALS_MAX) {
        *is_cut = a.is_open = true;
        size = LITERALS_CUT;
        tail.size = 0;
    }
    if (w->literals->len + size > LITERALS_ALL)
        return false;
    for (uint32_t i = 0; i < test->piece_count; i++) {
        struct slice piece = test->pieces[i];

        piece.size = MIN(piece.size, size - a.size);
        add_piece(w, piece, a.size, i == 0);
        a.size = (uint16_t)(a.size + piece.size);
    }
    add_end(w, tail, a.size, test->piece_count == 1);
    g_array_append_val(w->atoms, a);
    return true;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static uint16_t *list_at(const struct matcher_wild *w, uint32_t list)
{
    return &g_array_index(w->lists, uint16_t, (size_t)list * w->atoms->len);
}

static uint64_t *passing_at(const struct matcher_wild *w, uint32_t list)
{
    return &g_array_index(w->passing, uint64_t, (size_t)list * w->passing_words);
}

static uint64_t hash_list(const void *user, uint32_t list)
{
    const struct matcher_wild *w = user;

    return hash64(slice_of((const char *)list_at(w, list), w->atoms->len * sizeof(uint16_t)));
}

/* Which answers a text that ends in the list gets. */
static void note_passing(struct matcher_wild *w, uint32_t list)
{
    const uint16_t *states = list_at(w, list);
    uint64_t *passing = passing_at(w, list);

    for (uint32_t i = 0; i < w->answers->len; i++) {
        const struct answer *answer = &g_array_index(w->answers, struct answer, i);
        bool is_found = false;

        for (uint32_t k = answer->first; k < answer->first + answer->count; k++)
            is_found |= states[k] == g_array_index(w->atoms, struct atom, k).size;
        passing[i / 64] |= (uint64_t)(is_found != answer->is_none_of) << i % 64;
    }
}

/* The number of the list that stands behind all others, which may be one of them. */
static uint32_t keep_list(struct matcher_wild *w)
{
    uint32_t list = w->list_count;
    uint64_t hash = hash_list(w, list);
    size_t size = w->atoms->len * sizeof(uint16_t);

    for (size_t i = hash & w->table.mask; w->table.slots != NULL && w->table.slots[i].value != 0;
         i = (i + 1) & w->table.mask) {
        uint32_t other = w->table.slots[i].value - 1;

        if (w->table.slots[i].tag == (uint32_t)(hash >> 32) &&
            memcmp(list_at(w, other), list_at(w, list), size) == 0)
            return other;
    }
    g_array_set_size(w->passing, (list + 1) * w->passing_words);
    g_array_set_size(w->next, (list + 1) * w->class_count);
    g_array_set_size(w->lists, (list + 2) * w->atoms->len);
    memset(passing_at(w, list), 0, w->passing_words * sizeof(uint64_t));
    memset(&g_array_index(w->next, uint32_t, (size_t)list * w->class_count), 0,
           w->class_count * sizeof(uint32_t));
    note_passing(w, list);
    matcher_table_put(&w->table, hash, list, hash_list, w);
    w->list_count++;
    return list;
}

/* The list that the byte leads to, for the first time. false: there were too many. */
static bool make_next(struct matcher_wild *w, uint32_t list, uint8_t byte, uint32_t *out)
{
    const uint16_t *from = list_at(w, list);
    const struct atom *atoms = (const struct atom *)(const void *)w->atoms->data;
    uint16_t *to = list_at(w, w->list_count);

    w->steps += w->atoms->len;
    if (w->list_count == w->list_max || w->steps > STEPS_MAX)
        return false;
    for (uint32_t i = 0, count = w->atoms->len; i < count; i++)
        to[i] = step(w, &atoms[i], from[i], byte);
    *out = keep_list(w);
    g_array_index(w->next, uint32_t, (size_t)list * w->class_count + w->classes[byte]) = *out + 1;
    return true;
}

static bool walk(struct matcher_wild *w, struct slice text)
{
    uint32_t list = 0;
    const uint64_t *passing;

    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        uint32_t next =
            g_array_index(w->next, uint32_t, (size_t)list * w->class_count + w->classes[byte]);

        if (next != 0)
            list = next - 1;
        else if (!make_next(w, list, byte, &list))
            return false;
    }
    passing = passing_at(w, list);
    for (uint32_t i = 0; i < w->passing_words; i++)
        w->passed[i] |= passing[i];
    return true;
}

/* ---- a path ---------------------------------------------------------------------------------- */

/* Takes the test in, when it can be walked. */
static void add_answer(struct matcher_wild *w, const struct matcher *m, uint32_t text)
{
    const struct pattern_text_test *test = &m->texts[text].test;
    struct answer answer = {.text = text, .first = w->atoms->len, .is_none_of = true};

    if (test->kind == TEXT_WILDCARD) {
        answer.is_none_of = false;
        answer.count = add_atom(w, test, &answer.is_cut);
    }
    for (uint32_t i = 0; test->kind == TEXT_NONE_OF && i < test->member_count; i++) {
        if (test->members[i].kind != TEXT_WILDCARD ||
            !add_atom(w, &test->members[i], &answer.is_cut))
            return; /* atoms that nobody asks for do no harm */
        answer.count++;
    }
    if (answer.count > 0)
        g_array_append_val(w->answers, answer);
}

/* Bytes that are literals get numbers of their own, all others share one. Literals are UTF-8, in
 * which some bytes never come, so the numbers suffice. */
static void number_classes(struct matcher_wild *w)
{
    bool is_literal[BYTES] = {false};

    for (guint i = 0; i < w->literals->len; i++)
        is_literal[w->literals->data[i]] = true;
    w->class_count = 1;
    for (unsigned i = 0; i < BYTES; i++)
        w->classes[i] = is_literal[i] ? (uint8_t)w->class_count++ : 0;
}

static int compare_answers(const void *a, const void *b)
{
    const struct answer *x = a, *y = b;

    return (x->text > y->text) - (x->text < y->text);
}

/* Takes all tests of the path in that can be walked. false: there are none, or too many. */
static bool add_all(struct matcher_wild *w, const struct matcher *m, uint32_t path)
{
    for (uint32_t i = 0; i < m->test_count && w->atoms->len <= ATOMS_MAX; i++)
        if (TEST_KIND(m->tests[i].head) == TEST_TEXT && m->tests[i].b == path)
            add_answer(w, m, m->tests[i].a);
    g_array_sort(w->answers, compare_answers);
    return w->answers->len > 0 && w->atoms->len <= ATOMS_MAX;
}

/* The list in which nothing was found yet. */
static void begin(struct matcher_wild *w)
{
    size_t size;

    number_classes(w);
    w->passing_words = (w->answers->len + 63) / 64;
    size = w->atoms->len * sizeof(uint16_t) + w->passing_words * sizeof(uint64_t) +
           w->class_count * sizeof(uint32_t);
    w->list_max = (uint32_t)(ROOM_MAX / size);
    w->passed = g_new0(uint64_t, w->passing_words);
    g_array_set_size(w->lists, w->atoms->len);
    memset(list_at(w, 0), 0, w->atoms->len * sizeof(uint16_t));
    keep_list(w);
}

static struct matcher_wild *wild_new(void)
{
    struct matcher_wild *w = g_new0(struct matcher_wild, 1);

    w->atoms = g_array_new(FALSE, FALSE, sizeof(struct atom));
    w->answers = g_array_new(FALSE, FALSE, sizeof(struct answer));
    w->literals = g_byte_array_new();
    w->fails = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    w->begins = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    w->lists = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    w->passing = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    w->next = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    return w;
}

void matcher_wild_free(struct matcher_wild *w)
{
    if (w == NULL)
        return;
    g_array_unref(w->atoms);
    g_array_unref(w->answers);
    g_byte_array_unref(w->literals);
    g_array_unref(w->fails);
    g_array_unref(w->begins);
    g_array_unref(w->lists);
    g_array_unref(w->passing);
    g_array_unref(w->next);
    g_free(w->table.slots);
    g_free(w->passed);
    g_free(w);
}

/* NULL: it was given up. */
static struct matcher_wild *walk_all(const struct matcher_run *run, uint32_t path)
{
    struct matcher_wild *w = wild_new();
    bool is_good = add_all(w, run->matcher, path);

    if (is_good)
        begin(w);
    for (int32_t i = run->presences[path].leaf; i >= 0 && is_good; i = run->event->leaves[i].next)
        if (run->event->leaves[i].type == JSON_TEXT)
            is_good = walk(w, run->event->leaves[i].text);
    if (is_good)
        return w;
    matcher_wild_free(w);
    return NULL;
}

/* What the walk over the texts found. */
static enum matcher_wild_answer recall(const struct matcher_wild *w, uint32_t text)
{
    struct answer key = {.text = text};
    const struct answer *answer;
    bool passes;
    guint at;

    if (w == NULL || !g_array_binary_search(w->answers, &key, compare_answers, &at))
        return WILD_UNKNOWN;
    passes = w->passed[at / 64] >> at % 64 & 1;
    answer = &g_array_index(w->answers, struct answer, at);
    if (answer->is_cut && passes != answer->is_none_of)
        return WILD_UNKNOWN;
    return passes ? WILD_PASSES : WILD_FAILS;
}

enum matcher_wild_answer matcher_wild_ask(struct matcher_run *run, uint32_t path, uint32_t text)
{
    const struct matcher *m = run->matcher;
    struct matcher_grams *g = matcher_grams_of(run, path);
    enum matcher_wild_answer known = WILD_UNKNOWN;

    if (g == NULL)
        return WILD_UNKNOWN;
    if (g->is_walked)
        known = recall(g->wild, text);
    if (known != WILD_UNKNOWN)
        return known;
    if (matcher_grams_refuse(g, &m->texts[text].test))
        return WILD_FAILS;
    g->work += g->size;
    if (g->is_walked || g->work < MAX(WILD_WORK_MIN, (uint64_t)m->test_count * WILD_WORK_PER_TEST))
        return WILD_UNKNOWN;
    g->is_walked = true;
    g->wild = walk_all(run, path);
    return recall(g->wild, text);
}
