/* Skimming: reading no more of an event than patterns ask for. The names of all their paths make a
 * tree, and the text is walked along it: what stands under other names is skipped in wide steps,
 * and when all names of an object were seen the rest of it is not even looked at.
 *
 *   {"type":"a","context":{… 500 bytes …},"customer":{"tier":"b","id":7},"lines":[…]}
 *     ^read       ^skipped                 ^walked     ^read      ^left    ^left: type and tier
 *                                                                           were all there was
 *
 * The leaves are made as core/flat.c makes them, for the paths of patterns only, and each path's
 * chain is known without a look at a table of paths. Texts and numbers that are read are checked as
 * strictly as there: the text is trusted to be JSON, but not with memory. Whatever else is wrong
 * and noticed ends the walk, and then nothing matches.
 */
#include "common/json_plain.h"
#include "core/matcher/internal.h"

#define LEAVES_MIN 32
#define KEEP_ITEMS 16384 /* leaves; buffers that one event made larger are given back */
#define TEXT_MAX   INT32_MAX
#define WORK_MAX   ((size_t)32 * 1024 * 1024) /* bytes of steps; flat_parse refuses more, too */
#define BLOCK      16

/* As in core/flat.c: without this the compiler keeps calls in the innermost loop. */
#define HOT inline __attribute__((always_inline))

/* One event. */
struct skim {
    struct matcher_run *run;
    const struct matcher *m;
    const char *end;
    const struct flat_step *kept_steps; /* copy of steps for leaves, NULL when they changed */
    size_t work;
    unsigned depth;       /* of open brackets that are walked */
    uint32_t pending;     /* how many of those, but the innermost, are not done with */
    uint32_t array_count; /* arrays walked so far */
    uint32_t step_count;  /* open arrays */
    bool is_done;         /* all that is asked for was read */
    struct flat_step steps[JSON_DEPTH_MAX];
};

/* ---- the tree of names ----------------------------------------------------------------------- */

static uint64_t name_hash(const void *user, uint32_t value)
{
    const struct matcher *m = user;

    return matcher_name_hash(m->names[value].parent, m->names[value].name);
}

/* The name below parent; NULL when no path has it. */
static inline const struct matcher_name *
find_name(const struct matcher *m, const struct matcher_name *parent, struct slice name)
{
    const struct matcher_table *t = &m->name_table;
    uint64_t hash;

    if ((parent->sizes >> MIN(name.size, 63) & 1) == 0)
        return NULL;
    hash = matcher_name_hash(parent->number, name);
    for (size_t i = hash & t->mask; t->slots[i].value != 0; i = (i + 1) & t->mask) {
        const struct matcher_name *found = &m->names[t->slots[i].value - 1];

        if (t->slots[i].tag == (uint32_t)(hash >> 32) && found->parent == parent->number &&
            slice_equal(found->name, name))
            return found;
    }
    return NULL;
}

/* The name below parent, made when it is new. */
static uint32_t add_name(struct matcher *m, uint32_t parent, struct slice name)
{
    struct matcher_name *above = &m->names[parent];
    const struct matcher_name *found = find_name(m, above, name);

    if (found != NULL)
        return found->number;
    m->names[m->name_count] = (struct matcher_name){.name = name,
                                                    .number = m->name_count,
                                                    .parent = parent,
                                                    .path = NO_PATH,
                                                    .head = name_head_of(name)};
    above->count++;
    above->sizes |= UINT64_C(1) << MIN(name.size, 63);
    m->names[above->parent].is_deep |= parent > 0;
    matcher_table_put(&m->name_table, matcher_name_hash(parent, name), m->name_count, name_hash, m);
    return m->name_count++;
}

/* The part of a path before its first dot, which is taken from it; false: there is no dot. */
static bool cut_name(struct slice *path, struct slice *name)
{
    const char *dot = path->size > 0 ? memchr(path->data, '.', path->size) : NULL;

    if (dot == NULL)
        return false;
    *name = slice_of(path->data, (size_t)(dot - path->data));
    *path = slice_of(dot + 1, path->size - name->size - 1);
    return true;
}

static size_t count_names(const struct matcher *m)
{
    size_t count = 1;

    for (uint32_t i = 0; i < m->path_count; i++) {
        struct slice rest = m->paths[i].path, name;

        for (count++; cut_name(&rest, &name);)
            count++;
    }
    return count;
}

void matcher_name_paths(struct matcher *m)
{
    m->names = g_new(struct matcher_name, count_names(m));
    m->names[0] = (struct matcher_name){.path = NO_PATH, .head = {.bytes = 1}};
    m->name_count = 1;
    for (uint32_t i = 0; i < m->path_count; i++) {
        struct slice rest = m->paths[i].path, name;
        uint32_t at = 0;

        while (cut_name(&rest, &name))
            at = add_name(m, at, name);
        at = add_name(m, at, rest);
        m->names[at].path = i;
    }
    m->names = g_renew(struct matcher_name, m->names, m->name_count);
}

/* A name with dots in it stands for names below each other. */
static const struct matcher_name *find_dotted(const struct matcher *m,
                                              const struct matcher_name *parent, struct slice path)
{
    struct slice name;

    if (!parent->is_deep || !cut_name(&path, &name))
        return NULL;
    do {
        parent = find_name(m, parent, name);
    } while (parent != NULL && cut_name(&path, &name));
    return parent != NULL ? find_name(m, parent, path) : NULL;
}

/* ---- leaves ---------------------------------------------------------------------------------- */

static void grow_leaves(struct matcher_run *run)
{
    run->skimmed_room = MAX(run->skimmed_room * 2, LEAVES_MIN);
    run->skimmed.leaves = g_renew(struct flat_leaf, run->skimmed.leaves, run->skimmed_room);
}

/* The steps of a leaf that is read now; leaves of one element share them. */
static const struct flat_step *keep_steps(struct skim *s)
{
    size_t size = s->step_count * sizeof(s->steps[0]);

    if (size > 0 && s->kept_steps == NULL) {
        s->work += size;
        s->kept_steps = memcpy(arena_alloc(&s->run->skim_arena, size), s->steps, size);
    }
    return s->kept_steps;
}

/* Behind the earlier leaves of its path. */
static inline void file_leaf(struct matcher_run *run, uint32_t path, int32_t leaf)
{
    struct matcher_presence *presence = &run->presences[path];

    if (presence->is_there) {
        run->skimmed.leaves[presence->last].next = leaf;
    } else {
        run->touched[run->touched_count++] = path;
        presence->is_there = true;
        presence->leaf = leaf;
    }
    presence->last = leaf;
    presence->count++;
}

/* A new leaf without its value. */
static inline struct flat_leaf *add_leaf(struct skim *s, uint32_t path)
{
    struct matcher_run *run = s->run;
    struct flat_leaf *leaf;

    if (run->skimmed.leaf_count == run->skimmed_room)
        grow_leaves(run);
    leaf = &run->skimmed.leaves[run->skimmed.leaf_count];
    leaf->path = s->m->paths[path].path;
    leaf->path_hash = s->m->paths[path].hash;
    leaf->steps = keep_steps(s);
    leaf->step_count = s->step_count;
    leaf->next = -1;
    file_leaf(run, path, (int32_t)run->skimmed.leaf_count++);
    run->presences[path].is_in_array |= s->step_count > 0;
    return leaf;
}

/* ---- scalars --------------------------------------------------------------------------------- */

/* A string that is not plain ASCII: checked, and unescaped into the arena. */
static const char *read_rich_text(struct skim *s, const char *p, struct slice *text)
{
    const char *bad, *why, *after;
    bool has_escape;
    char *plain;

    after = json_scan_text(p, s->end, &has_escape, &bad, &why);
    if (after == NULL)
        return NULL;
    *text = slice_of(p, (size_t)(after - p) - 1);
    if (has_escape) {
        plain = arena_alloc(&s->run->skim_arena, text->size);
        *text = slice_of(plain, json_unescape(*text, plain));
    }
    return after;
}

/* p is behind an opening quote. */
static HOT const char *read_text(struct skim *s, const char *p, struct slice *text)
{
    const char *after = json_scan_plain(p, s->end);

    if (after == s->end || *after != '"') {
        struct slice rich = {0}; /* of its own, so that text can stay in registers */

        after = read_rich_text(s, p, &rich);
        *text = rich;
        return after;
    }
    *text = slice_of(p, (size_t)(after - p));
    return after + 1;
}

static HOT const char *read_number(struct skim *s, const char *p, struct slice *text)
{
    const char *bad, *why, *after = json_scan_number(p, s->end, &bad, &why);

    if (after != NULL)
        *text = slice_of(p, (size_t)(after - p));
    return after;
}

static const char *read_word(struct skim *s, const char *p, enum json_type *type)
{
    static const struct slice WORDS[] = {
        [JSON_NULL] = {"null", 4}, [JSON_FALSE] = {"false", 5}, [JSON_TRUE] = {"true", 4}};

    for (*type = JSON_NULL; *type <= JSON_TRUE; ++*type)
        if (slice_starts_with(slice_of(p, (size_t)(s->end - p)), WORDS[*type]))
            return p + WORDS[*type].size;
    return NULL;
}

/* A value of a path. Stands in an array itself when is_element, not in an object there. */
static HOT const char *read_scalar(struct skim *s, uint32_t path, const char *p, bool is_element)
{
    enum json_type type = JSON_TEXT;
    struct slice text = {0};
    struct flat_leaf *leaf;

    if (*p == '"') {
        p = read_text(s, p + 1, &text);
    } else if (*p == '-' || g_ascii_isdigit(*p)) {
        type = JSON_NUMBER;
        p = read_number(s, p, &text);
    } else {
        p = read_word(s, p, &type);
    }
    if (p == NULL)
        return NULL;
    leaf = add_leaf(s, path);
    leaf->type = type;
    leaf->text = text;
    leaf->is_element = is_element;
    return p;
}

/* Most strings end within a block. */
static inline const char *skip_text(const struct skim *s, const char *p)
{
#ifdef __SSE2__
    if (s->end - p >= BLOCK) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i special = _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')),
                                       _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
        unsigned mask = (unsigned)_mm_movemask_epi8(special);

        if (mask != 0 && p[__builtin_ctz(mask)] == '"')
            return p + __builtin_ctz(mask) + 1;
    }
#endif
    return s->run->skip->text(p, s->end);
}

/* A number or a word ends before what stands behind values. */
static inline const char *skip_plain(const struct skim *s, const char *p)
{
    while (p < s->end && *p != ',' && *p != '}' && *p != ']')
        p++;
    return p;
}

static inline const char *skip_value(const struct skim *s, const char *p)
{
    if (p == s->end)
        return NULL;
    if (*p == '"')
        return skip_text(s, p + 1);
    if (*p == '{' || *p == '[')
        return s->run->skip->brackets(p + 1, s->end);
    return skip_plain(s, p);
}

/* ---- the walk -------------------------------------------------------------------------------- */

static const char *read_object(struct skim *s, const struct matcher_name *name, const char *p);
static const char *read_array(struct skim *s, const struct matcher_name *name, const char *p);

/* A value under a name of the tree. Returns the byte behind it; NULL: the walk ends. */
static HOT const char *read_value(struct skim *s, const struct matcher_name *name, const char *p,
                                  bool is_element)
{
    if (p == s->end)
        return NULL;
    if (*p == '[')
        return read_array(s, name, p + 1);
    if (*p == '{')
        return name->count > 0 ? read_object(s, name, p + 1) : skip_value(s, p);
    return name->path != NO_PATH ? read_scalar(s, name->path, p, is_element) : skip_value(s, p);
}

/* p is at the first element or the closing bracket. */
static const char *read_elements(struct skim *s, const struct matcher_name *name, const char *p)
{
    if (p < s->end && *p == ']')
        return p + 1;
    for (;;) {
        p = read_value(s, name, p, true);
        if (p == NULL)
            return NULL;
        p = json_skip_space(p, s->end);
        if (p == s->end || *p != ',')
            return p < s->end && *p == ']' ? p + 1 : NULL;
        p = json_skip_space(p + 1, s->end);
        s->steps[s->step_count - 1].index++;
        s->kept_steps = NULL;
        if (s->work > WORK_MAX)
            return NULL;
    }
}

/* Elements stand under the array's own name. All of them count: whatever was seen, the walk does
 * not end inside of it. */
static const char *read_array(struct skim *s, const struct matcher_name *name, const char *p)
{
    if (s->depth == JSON_DEPTH_MAX)
        return NULL;
    s->depth++;
    s->pending++;
    s->steps[s->step_count++] = (struct flat_step){.array = s->array_count++};
    s->kept_steps = NULL;
    p = read_elements(s, name, json_skip_space(p, s->end));
    s->step_count--; /* a kept copy stays good: the outer steps are its beginning */
    s->pending--;
    s->depth--;
    return p;
}

/* An object that is walked. */
struct members {
    const struct matcher_name *name; /* of the object */
    const struct matcher_name *next; /* perhaps of the next member that is asked for */
    uint32_t *guess;                 /* where that is remembered */
    uint32_t left;                   /* names below that were not seen yet */
};

/* Programs write the members of an object in the same order again and again, so each name remembers
 * which one came first below it, and which one behind it. What another event, or another matcher,
 * left there is only a guess. */
static inline void guess_next(const struct skim *s, struct members *o, uint32_t *guess)
{
    const struct matcher_name *names = s->m->names;

    o->guess = guess;
    o->next = *guess < s->m->name_count ? &names[*guess] : names;
    if (o->next->parent != o->name->number)
        o->next = names; /* which is never met */
}

/* p is behind the opening quote of a name that was not guessed. Sets *below, NULL: nobody asks for
 * it. Of dotted names more may come than one, so they do not count as seen. */
static const char *find_member(struct skim *s, struct members *o, const char *p,
                               const struct matcher_name **below)
{
    struct slice key;

    p = read_text(s, p, &key);
    if (p == NULL)
        return NULL;
    *below = find_name(s->m, o->name, key);
    if (*below == NULL) {
        *below = find_dotted(s->m, o->name, key);
        return p;
    }
    *o->guess = (*below)->number;
    o->next = *below;
    return p;
}

/* p is where a name must begin. Returns the byte behind the colon. */
static HOT const char *read_name(struct skim *s, struct members *o, const char *p,
                                 const struct matcher_name **below)
{
    if (p == s->end || *p != '"')
        return NULL;
    p++;
    *below = o->next;
    if (name_is_at(o->next->head, o->next->name, p, s->end))
        p += o->next->name.size + 1;
    else
        p = find_member(s, o, p, below);
    if (p == NULL)
        return NULL;
    if (*below == o->next) {
        o->left--;
        guess_next(s, o, &s->run->guesses[2 * (size_t)o->next->number + 1]);
    }
    p = json_skip_space(p, s->end);
    return p < s->end && *p == ':' ? json_skip_space(p + 1, s->end) : NULL;
}

static HOT const char *read_member(struct skim *s, struct members *o, const char *p)
{
    const struct matcher_name *below;

    p = read_name(s, o, p, &below);
    if (p == NULL)
        return NULL;
    if (below == NULL)
        return skip_value(s, p);
    s->pending += o->left > 0;
    p = read_value(s, below, p, false);
    s->pending -= o->left > 0;
    return p;
}

/* All names were seen: of this object nothing more is needed, of those around it perhaps. */
static inline const char *leave_object(struct skim *s, const char *p)
{
    s->is_done = s->pending == 0;
    if (s->is_done)
        return NULL;
    return p < s->end && *p == '}' ? p + 1 : s->run->skip->brackets(p, s->end);
}

/* p is at the first name or the closing bracket. */
static inline const char *read_members(struct skim *s, const struct matcher_name *name,
                                       const char *p)
{
    struct members o = {.name = name, .left = name->count};

    if (p < s->end && *p == '}')
        return p + 1;
    guess_next(s, &o, &s->run->guesses[2 * (size_t)name->number]);
    while ((p = read_member(s, &o, p)) != NULL) {
        if (o.left == 0)
            return leave_object(s, p);
        p = json_skip_space(p, s->end);
        if (p == s->end || *p != ',')
            return p < s->end && *p == '}' ? p + 1 : NULL;
        p = json_skip_space(p + 1, s->end);
    }
    return NULL;
}

static const char *read_object(struct skim *s, const struct matcher_name *name, const char *p)
{
    if (s->depth == JSON_DEPTH_MAX)
        return NULL;
    s->depth++;
    p = read_members(s, name, json_skip_space(p, s->end));
    s->depth--;
    return p;
}

/* ---- the event ------------------------------------------------------------------------------- */

/* false: it is no object, or something else is wrong and was met. */
static bool walk(struct skim *s, struct slice text)
{
    const char *p = json_skip_space(text.data, s->end);

    if (p == s->end || *p != '{' || text.size > TEXT_MAX)
        return false;
    if (s->m->names[0].count == 0)
        return true;
    return read_object(s, &s->m->names[0], p + 1) != NULL || s->is_done;
}

/* Empties what the last event filled. */
static void start(struct matcher_run *run, const struct matcher *m)
{
    matcher_prepare(run, m);
    run->event = &run->skimmed;
    run->skimmed.leaf_count = 0;
    if (run->skim_arena.blocks != NULL)
        arena_reset(&run->skim_arena);
    if (run->guess_room < m->name_count) {
        g_free(run->guesses);
        run->guess_room = m->name_count;
        run->guesses = g_new0(uint32_t, 2 * run->guess_room);
    }
    if (run->skimmed_room <= KEEP_ITEMS)
        return;
    g_clear_pointer(&run->skimmed.leaves, g_free);
    run->skimmed_room = 0;
    arena_done(&run->skim_arena);
}

size_t matcher_find_trusted(const struct matcher *m, struct matcher_run *run, struct slice text,
                            const uint32_t **places)
{
    struct skim s;

    if (text.data == NULL)
        text = SLICE("");
    /* One by one: steps are written before they are read. */
    s.run = run;
    s.m = m;
    s.end = text.data + text.size;
    s.kept_steps = NULL;
    s.work = 0;
    s.depth = s.pending = s.array_count = s.step_count = 0;
    s.is_done = false;
    start(run, m);
    if (walk(&s, text)) {
        for (uint32_t i = 0; i < run->touched_count; i++)
            matcher_read_leaves(run, run->touched[i]);
        return matcher_answer(run, places);
    }
    matcher_forget(run);
    run->tried = 0;
    *places = run->places;
    return 0;
}
