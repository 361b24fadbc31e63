/* The flattener: every event passes here first, so this is the code whose speed decides. It makes
 * one pass, allocates nothing once its buffers have grown, and has a bound for everything that a
 * sender chooses: nesting (frames), work (WORK_MAX), memory kept between events (KEEP_ITEMS).
 * Deliberately missing: a tree, a second pass, and any reading of numbers. */
#include "core/flat.h"

#include <string.h>

#include "common/error.h"
#include "common/hash.h"
#include "common/json_plain.h"
#include "core/flat_names.h"

/* How an event is read: one loop over the text with a stack of open brackets (frames). The name
 * of the value being read (its path) is built at the tip of a chunk of arena memory and stays
 * there only when a leaf or an open object needs it; a path seen before is not stored again.
 *
 *   tip ─▶ payload.items.price.      the '.' behind a kept path makes it the prefix of its members
 *
 * Most names were met in an earlier event (core/flat_names.h): their paths are not even built.
 *
 * Paths are filed in an open-addressing table: hash -> first and last leaf with that path. Slots
 * carry the number of the event that wrote them, so the table is never cleared. */

/* Without this the compiler keeps calls in the inner loop, at a fifth of the whole time. */
#define HOT inline __attribute__((always_inline))

/* Where the buffers begin (items, bytes), and the block that copies of short texts are made in. */
#define SLOTS_MIN 64 /* a power of two */
#define ITEMS_MIN 32
#define CHUNK_MIN 2048
#define TEXT_MAX  INT32_MAX /* leaves are numbered with 31 bits */
#define COPY_PAD  16

/* What one event may cost beyond its own bytes: an event of deep arrays or long names repeats
 * steps and paths many times over its size, and chosen names may collide in the table. Counted in
 * bytes of paths and steps. An honest event of 1 MiB stays below a third of it. */
#define WORK_MAX       ((size_t)32 * 1024 * 1024)
#define WORK_PER_PROBE 16

/* Buffers that one huge event made larger than this are given back before the next event. */
#define KEEP_ITEMS 16384

struct flat_slot {
    uint32_t event; /* the slot is free unless this is the number of the current event */
    uint32_t tag;   /* upper half of the hash */
    int32_t first;  /* index of the first leaf with the path */
    int32_t last;   /* of the newest one; its next is set when another comes */
};

/* One open bracket. A closing bracket must be its partner, which is_array tells. */
struct flat_frame {
    struct slice path;      /* of the object itself, kept; not used for an array */
    struct flat_name *name; /* of the object or array; NULL: none that is remembered */
    bool is_array;
    bool is_outermost; /* the event itself, an object: its members are noted */
};

/* What a parse needs besides its result. The buffers live on from event to event, the state of the
 * reader is set anew by start_event. */
struct flat_private {
    struct arena arena; /* paths, steps, unescaped texts of the current event */
    struct flat_names *names;
    bool owns_names;
    char *tip;               /* where the next path is built */
    char *tip_end;           /* one past the chunk that the tip lies in */
    struct flat_slot *slots; /* NULL until the first leaf */
    size_t slot_mask;        /* number of slots - 1 */
    size_t path_count;       /* slots taken */
    size_t path_room;        /* slots that may be */
    size_t leaf_room;        /* leaves that fit into f->leaves */
    size_t member_room;      /* members that fit into f->members */
    size_t work;             /* spent on this event; bytes, see WORK_MAX */
    uint32_t event;          /* number of the current event, from 1 on */
    /* the state of the reader */
    const char *end;         /* one past the text */
    const char *bad;         /* after a failure: the byte */
    const char *why;         /* and the reason, without a place */
    const char *value_start; /* of the member that is being read */
    /* The name of that value. Elements of an array share the name of the array, so it may serve
     * many leaves. One that is not remembered is in fresh: its path is at the tip until it is kept.
     */
    struct flat_name *name;
    struct flat_name fresh;
    bool fresh_is_kept;                 /* it will not move, and a '.' stands behind it */
    bool fresh_is_hashed;               /* paths without a leaf are never hashed */
    const struct flat_step *kept_steps; /* copy of steps for leaves, NULL when they changed */
    uint32_t array_count;               /* arrays opened so far: the number of the next one */
    uint32_t step_count;                /* open arrays: how many of steps are valid */
    unsigned depth;                     /* of open brackets */
    unsigned depth_max;                 /* what is left of JSON_DEPTH_MAX */
    bool has_opened;                    /* a bracket that is not empty: a value comes next */
    struct flat_frame *frame;           /* the innermost */
    struct flat_frame frames[JSON_DEPTH_MAX + 1]; /* the first is around everything */
    struct flat_step steps[JSON_DEPTH_MAX];       /* the open arrays and their current elements */
};

void flat_init(struct flat *f)
{
    flat_init_with(f, flat_names_new());
    f->private->owns_names = true;
}

void flat_init_with(struct flat *f, struct flat_names *names)
{
    *f = (struct flat){.private = g_new0(struct flat_private, 1)};
    f->private->names = names;
}

/* Gives all buffers back; the struct can be used again and grows new ones. */
static void drop_buffers(struct flat *f)
{
    struct flat_private *pr = f->private;

    g_clear_pointer(&f->leaves, g_free);
    g_clear_pointer(&f->members, g_free);
    g_clear_pointer(&pr->slots, g_free);
    arena_done(&pr->arena);
    pr->leaf_room = 0;
    pr->member_room = 0;
    pr->path_room = 0;
}

void flat_done(struct flat *f)
{
    if (f == NULL || f->private == NULL)
        return;
    drop_buffers(f);
    if (f->private->owns_names)
        flat_names_free(f->private->names);
    g_free(f->private);
    *f = (struct flat){0};
}

/* Patterns hash their paths with this when they are compiled; both sides must agree. */
uint64_t flat_path_hash(struct slice path)
{
    return hash64(path);
}

/* ---- the table of paths ---------------------------------------------------------------------- */

/* The slot of the path, or the free one where it belongs (half of the slots are free). Counts the
 * slots passed by: the hash has no secret, so a sender can make paths collide, and pays for it out
 * of WORK_MAX; a lookup by a pattern passes no more slots than the last of those insertions. The
 * tag saves looking at the leaf of nearly every slot that is another path's. */
static inline struct flat_slot *find_slot(const struct flat *f, struct slice path, uint64_t hash,
                                          size_t *passed)
{
    const struct flat_private *pr = f->private;
    size_t i = hash & pr->slot_mask;

    for (; pr->slots[i].event == pr->event; i = (i + 1) & pr->slot_mask) {
        if (pr->slots[i].tag == (uint32_t)(hash >> 32) &&
            slice_equal(f->leaves[pr->slots[i].first].path, path))
            break;
        *passed += 1;
    }
    return &pr->slots[i];
}

/* Doubles the table, so that at least half of the slots stay free. Slots of earlier events are not
 * taken along. */
static void grow_slots(struct flat *f)
{
    struct flat_private *pr = f->private;
    struct flat_slot *old = pr->slots;
    size_t old_count = old != NULL ? pr->slot_mask + 1 : 0;
    size_t count = MAX(old_count * 2, SLOTS_MIN);
    size_t passed = 0;

    pr->slots = g_new0(struct flat_slot, count);
    pr->slot_mask = count - 1;
    pr->path_room = count / 2;
    for (size_t i = 0; i < old_count; i++) {
        const struct flat_leaf *leaf;

        if (old[i].event != pr->event)
            continue;
        leaf = &f->leaves[old[i].first];
        *find_slot(f, leaf->path, leaf->path_hash, &passed) = old[i];
    }
    g_free(old);
}

const struct flat_leaf *flat_find(const struct flat *f, struct slice path, uint64_t path_hash)
{
    const struct flat_slot *slot;
    size_t passed = 0;

    if (f->leaf_count == 0)
        return NULL;
    slot = find_slot(f, path, path_hash, &passed);
    return slot->event == f->private->event ? &f->leaves[slot->first] : NULL;
}

/* ---- paths and steps ------------------------------------------------------------------------- */

/* Notes the failure and returns NULL, for "return fail(...)". */
static const char *fail(struct flat_private *pr, const char *bad, const char *why)
{
    pr->bad = bad;
    pr->why = bad == pr->end ? "the text ends too early" : why;
    return NULL;
}

/* Whether too much was spent is looked at once per name and element, not here. */
static inline void spend(struct flat_private *pr, size_t work)
{
    pr->work += work;
}

/* Makes room for size bytes at the tip; what stood there and was not kept is lost. The rest of the
 * old chunk is given up: kept paths are short against a chunk. */
static inline void reserve_tip(struct flat_private *pr, size_t size)
{
    if ((size_t)(pr->tip_end - pr->tip) >= size)
        return;
    size = MAX(size, CHUNK_MIN);
    pr->tip = arena_alloc(&pr->arena, size);
    pr->tip_end = pr->tip + size;
}

/* The path at the tip stays, with a '.' behind it: names of members are built right behind that, so
 * an object's path is written once. */
static inline void keep_name(struct flat_private *pr)
{
    if (pr->name != &pr->fresh || pr->fresh_is_kept)
        return;
    pr->tip += pr->fresh.path.size;
    *pr->tip++ = '.';
    pr->fresh_is_kept = true;
}

/* The value that is read has a name that is not remembered. */
static inline void use_fresh(struct flat_private *pr, struct slice path, bool is_kept)
{
    flat_name_init(pr->names, &pr->fresh, path);
    pr->fresh_is_kept = is_kept;
    pr->fresh_is_hashed = false;
    pr->name = &pr->fresh;
}

/* Copies whole blocks: up to COPY_PAD - 1 bytes more than size are read and written, which both
 * sides must have. Names are short, and a block costs less than the call of memcpy. What is read
 * too much may be where it is written to (a prefix often ends at the tip), so each block goes
 * through a register. */
static inline void copy_blocks(char *to, const char *from, size_t size)
{
    char block[COPY_PAD];

    for (size_t i = 0; i < size; i += COPY_PAD) {
        memcpy(block, from + i, COPY_PAD);
        memcpy(to + i, block, COPY_PAD);
    }
}

/* Builds the path of the value that comes next: the object's, a '.', and the key. is_padded:
 * COPY_PAD bytes may be read behind the key. Only written at the tip: a name whose leaf has a known
 * path, or which has no leaf, is simply written over. The '.' comes with the prefix, which
 * keep_name ended. */
static inline void build_name(struct flat_private *pr, struct slice key, bool is_padded)
{
    const struct flat_frame *frame = pr->frame;
    size_t prefix = pr->depth > 1 ? frame->path.size + 1 : 0;
    size_t size = prefix + key.size;

    reserve_tip(pr, size + 1 + COPY_PAD);
    copy_blocks(pr->tip, frame->path.data, prefix);
    if (is_padded)
        copy_blocks(pr->tip + prefix, key.data, key.size);
    else
        memcpy(pr->tip + prefix, key.data, key.size);
    use_fresh(pr, slice_of(pr->tip, size), false);
}

/* Names the value that comes next by a key that was not guessed at its place. */
static void find_name(struct flat_private *pr, flat_place place, struct slice key, bool is_padded)
{
    const struct flat_name *parent = pr->frame->name;
    struct flat_name *name = NULL;

    if (parent != NULL)
        name = flat_names_find(pr->names, parent, place, key);
    if (name == NULL) {
        build_name(pr, key, is_padded);
        if (parent != NULL)
            name = flat_names_learn(pr->names, parent, place, key, pr->fresh.path);
    }
    if (name != NULL)
        pr->name = name;
}

/* The steps of a leaf that is read now; leaves of the same element share them. Not to be
 * looked at outside of arrays. Lives in the arena until the next event. */
static inline const struct flat_step *keep_steps(struct flat_private *pr)
{
    if (pr->kept_steps == NULL && pr->step_count > 0) {
        size_t size = pr->step_count * sizeof(pr->steps[0]);

        spend(pr, size);
        pr->kept_steps = memcpy(arena_alloc(&pr->arena, size), pr->steps, size);
    }
    return pr->kept_steps;
}

/* Whether two leaves of one path lie in different arrays of the same element, or of the event. Only
 * names that stand twice in one object, or with dots for another way to them, make such leaves. */
static inline bool is_fork(const struct flat_leaf *a, const struct flat_leaf *b)
{
    uint32_t count = MIN(a->step_count, b->step_count);

    for (uint32_t i = 0; i < count; i++) {
        if (a->steps[i].array != b->steps[i].array)
            return true;
        if (a->steps[i].index != b->steps[i].index)
            return false;
    }
    return false;
}

/* Enters leaf number index in the table, behind the earlier leaves of its path. A path that the
 * table has is taken from there, and the copy at the tip is written over by the next name. */
static inline void file_leaf(struct flat *f, struct flat_leaf *leaf, int32_t index)
{
    struct flat_private *pr = f->private;
    const struct flat_name *name = pr->name;
    struct flat_slot *slot;
    size_t passed = 0;

    if (name == &pr->fresh && !pr->fresh_is_hashed) {
        pr->fresh.path_hash = flat_path_hash(name->path);
        pr->fresh_is_hashed = true;
    }
    leaf->path_hash = name->path_hash;
    slot = find_slot(f, name->path, name->path_hash, &passed);
    spend(pr, passed * WORK_PER_PROBE);
    if (slot->event == pr->event) {
        f->leaves[slot->last].next = index;
        f->is_forked |= is_fork(&f->leaves[slot->last], leaf);
        slot->last = index;
        if (name == &pr->fresh && !pr->fresh_is_kept) {
            pr->fresh.path = f->leaves[slot->first].path;
            pr->fresh_is_kept = true;
        }
    } else {
        keep_name(pr);
        *slot = (struct flat_slot){pr->event, (uint32_t)(name->path_hash >> 32), index, index};
        pr->path_count++;
    }
    leaf->path = name->path;
    leaf->name = name->number;
}

/* Adds a scalar under the current name. text is borrowed from the event or from the arena. */
static void add_leaf(struct flat *f, enum json_type type, struct slice text)
{
    struct flat_private *pr = f->private;
    struct flat_leaf *leaf;

    if (f->leaf_count == pr->leaf_room) {
        pr->leaf_room = MAX(pr->leaf_room * 2, ITEMS_MIN);
        f->leaves = g_renew(struct flat_leaf, f->leaves, pr->leaf_room);
    }
    if (pr->path_count == pr->path_room)
        grow_slots(f);
    leaf = &f->leaves[f->leaf_count];
    leaf->text = text;
    leaf->type = type;
    leaf->is_element = pr->frame->is_array;
    leaf->steps = keep_steps(pr);
    leaf->step_count = pr->step_count;
    leaf->next = -1;
    file_leaf(f, leaf, (int32_t)f->leaf_count++);
}

/* ---- members of the outermost object --------------------------------------------------------- */

/* Begins a member of the outermost object; finish_value fills in the rest. Repeated names are kept:
 * what they mean is for core/event.c to say. */
static void add_member(struct flat *f, struct slice key)
{
    struct flat_private *pr = f->private;

    if (f->member_count == pr->member_room) {
        pr->member_room = MAX(pr->member_room * 2, ITEMS_MIN);
        f->members = g_renew(struct flat_member, f->members, pr->member_room);
    }
    f->members[f->member_count++] = (struct flat_member){.key = key};
}

/* The value that ends before after is complete; if it was a member's, the member is. Only members
 * of the outermost object are noted: the envelope's fields. */
static inline void finish_value(struct flat *f, enum json_type type, struct slice text,
                                const char *after)
{
    const struct flat_private *pr = f->private;

    if (pr->frame->is_outermost) {
        struct flat_member *member = &f->members[f->member_count - 1];

        member->type = type;
        member->text = text;
        member->source = slice_of(pr->value_start, (size_t)(after - pr->value_start));
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

/* A string that is not plain ASCII: checked with care, unescaped into the arena. Apart, so that the
 * way of plain strings stays small. */
static const char *read_rich_text(struct flat_private *pr, const char *p, struct slice *text)
{
    const char *after;
    bool has_escape;
    char *plain;

    after = json_scan_text(p, pr->end, &has_escape, &pr->bad, &pr->why);
    if (after == NULL)
        return NULL;
    *text = slice_of(p, (size_t)(after - p) - 1);
    if (has_escape) {
        plain = arena_alloc(&pr->arena, text->size + COPY_PAD); /* for copy_blocks */
        *text = slice_of(plain, json_unescape(*text, plain));
    }
    return after;
}

/* p is behind an opening quote. Sets *text unescaped; returns the byte behind the closing one.
 * Plain text, nearly all of it, is found by one scan and not copied. */
static HOT const char *read_text(struct flat_private *pr, const char *p, struct slice *text)
{
    const char *after = json_scan_plain(p, pr->end);

    if (after == pr->end || *after != '"') {
        struct slice rich = {0}; /* of its own, so that text can stay in registers */

        after = read_rich_text(pr, p, &rich);
        *text = rich;
        return after;
    }
    *text = slice_of(p, (size_t)(after - p));
    return after + 1;
}

/* p is where a name must begin, place what came there before. Returns the byte behind the colon.
 * Names are where a hard event spends most, so the work is checked here; one that is remembered
 * counts as if it were built, so that what is refused does not depend on other events. */
static HOT const char *read_key(struct flat *f, flat_place place, const char *p)
{
    struct flat_private *pr = f->private;
    struct flat_name *name;
    struct slice key;

    if (p == pr->end || *p != '"')
        return fail(pr, p, "a name in quotes was expected");
    name = flat_names_guess(place, p + 1, pr->end);
    if (name != NULL) {
        pr->name = name;
        key = slice_of(p + 1, name->key.size);
        p += key.size + 2;
    } else {
        p = read_text(pr, p + 1, &key);
        if (p == NULL)
            return NULL;
        find_name(pr, place, key, pr->end - p >= COPY_PAD);
    }
    p = json_skip_space(p, pr->end);
    if (p == pr->end || *p != ':')
        return fail(pr, p, "':' was expected");
    spend(pr, pr->name->path.size);
    if (pr->work > WORK_MAX)
        return fail(pr, p, "names, nested arrays or their number take too much memory");
    if (pr->frame->is_outermost)
        add_member(f, key);
    return p + 1;
}

/* p is at a closing bracket that fits. */
static const char *close_bracket(struct flat *f, const char *p)
{
    struct flat_private *pr = f->private;
    const struct flat_frame *frame = pr->frame--;

    pr->depth--;
    if (frame->is_array)
        pr->step_count--; /* a kept copy stays good: the outer steps are its beginning */
    if (frame->name != NULL)
        pr->name = frame->name;
    else if (!frame->is_array)
        use_fresh(pr, frame->path, true); /* the next element of an array has the same path */
    finish_value(f, frame->is_array ? JSON_ARRAY : JSON_OBJECT, (struct slice){0}, p + 1);
    return p + 1;
}

/* Notes the open bracket as the innermost one. An array adds a step, an object keeps its path; an
 * array's elements go on under the array's own name. */
static void push_frame(struct flat_private *pr, bool is_array)
{
    struct flat_frame *frame = ++pr->frame;

    *frame = (struct flat_frame){.is_array = is_array};
    frame->name = pr->name != &pr->fresh ? pr->name : NULL;
    if (pr->depth++ == 0 && !is_array) {
        frame->is_outermost = true;
        frame->name = &pr->names->root;
    }
    if (is_array) {
        pr->steps[pr->step_count++] = (struct flat_step){.array = pr->array_count++};
        pr->kept_steps = NULL;
        return;
    }
    keep_name(pr);
    frame->path = pr->name->path;
}

/* p is at a bracket. Goes on to the first value or name inside it, or behind an empty pair. */
static const char *open_bracket(struct flat *f, const char *p)
{
    struct flat_private *pr = f->private;
    bool is_array = *p == '[';

    if (pr->depth >= pr->depth_max)
        return fail(pr, p, "nesting deeper than " G_STRINGIFY(JSON_DEPTH_MAX) " brackets");
    push_frame(pr, is_array);
    p = json_skip_space(p + 1, pr->end);
    pr->has_opened = p == pr->end || *p != (is_array ? ']' : '}');
    if (!pr->has_opened)
        return close_bracket(f, p);
    if (is_array)
        return p;
    return read_key(f, pr->frame->name != NULL ? pr->frame->name->inside : pr->fresh.inside, p);
}

/* null, false or true; what may follow the word is judged by whoever reads on. */
static const char *read_word(struct flat_private *pr, const char *p, enum json_type *type)
{
    static const struct {
        struct slice word;
        enum json_type type;
    } words[] = {{{"null", 4}, JSON_NULL}, {{"false", 5}, JSON_FALSE}, {{"true", 4}, JSON_TRUE}};

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        *type = words[i].type;
        if (slice_starts_with(slice_of(p, (size_t)(pr->end - p)), words[i].word))
            return p + words[i].word.size;
    }
    return fail(pr, p, "a value was expected");
}

/* A value that is no bracket becomes a leaf. Numbers are checked and kept as text. */
static inline const char *read_scalar(struct flat *f, const char *p)
{
    struct flat_private *pr = f->private;
    struct slice text = {0};
    enum json_type type;

    if (*p == '"') {
        type = JSON_TEXT;
        p = read_text(pr, p + 1, &text);
    } else if (*p == '-' || g_ascii_isdigit(*p)) {
        type = JSON_NUMBER;
        text.data = p;
        p = json_scan_number(p, pr->end, &pr->bad, &pr->why);
        text.size = p != NULL ? (size_t)(p - text.data) : 0;
    } else {
        p = read_word(pr, p, &type);
    }
    if (p == NULL)
        return NULL;
    add_leaf(f, type, text);
    finish_value(f, type, text, p);
    return p;
}

/* p is behind a comma in an array, where the next element begins: leaves there need steps of their
 * own. */
static const char *next_element(struct flat_private *pr, const char *p)
{
    if (pr->work > WORK_MAX)
        return fail(pr, p, "names, nested arrays or their number take too much memory");
    pr->steps[pr->step_count - 1].index++;
    pr->kept_steps = NULL;
    return p;
}

/* p is behind a value inside brackets. Closes those that end here, up to a comma, and reads what
 * stands before the next value. Sets *is_end when the outermost bracket was closed. */
static inline const char *read_separator(struct flat *f, const char *p, bool *is_end)
{
    struct flat_private *pr = f->private;

    for (;;) {
        bool is_array = pr->frame->is_array;

        *is_end = pr->depth == 0;
        if (*is_end)
            return p;
        p = json_skip_space(p, pr->end);
        if (p < pr->end && *p == ',') {
            if (is_array)
                return next_element(pr, p + 1);
            return read_key(f, pr->name->after, json_skip_space(p + 1, pr->end));
        }
        if (p == pr->end || *p != (is_array ? ']' : '}'))
            return fail(pr, p, is_array ? "',' or ']' was expected" : "',' or '}' was expected");
        p = close_bracket(f, p);
    }
}

/* Reads the whole document; returns the byte behind it. Each round reads one value, or opens a
 * bracket, and then all that closes behind it. No recursion: nesting costs no machine stack. */
static const char *read_document(struct flat *f, const char *p)
{
    struct flat_private *pr = f->private;
    bool is_end = false;

    while (p != NULL && !is_end) {
        p = json_skip_space(p, pr->end);
        if (p == pr->end)
            return fail(pr, p, "a value was expected");
        if (pr->frame->is_outermost)
            pr->value_start = p;
        if (*p == '{' || *p == '[') {
            p = open_bracket(f, p);
            if (p == NULL || pr->has_opened)
                continue;
        } else {
            p = read_scalar(f, p);
            if (p == NULL)
                return NULL;
        }
        p = read_separator(f, p, &is_end);
    }
    return p;
}

/* Makes the struct empty and ready for the next event. Leaves, members and slots are not cleared:
 * counts and the event's number make what is in them invalid. */
static void start_event(struct flat *f, struct slice text, unsigned depth)
{
    struct flat_private *pr = f->private;

    if (pr->leaf_room > KEEP_ITEMS || pr->member_room > KEEP_ITEMS)
        drop_buffers(f);
    arena_reset(&pr->arena);
    if (pr->owns_names)
        flat_names_tidy(pr->names);
    if (++pr->event == 0) { /* the numbers are used up: begin anew */
        g_clear_pointer(&pr->slots, g_free);
        pr->path_room = 0;
        pr->event = 1;
    }
    f->leaf_count = 0;
    f->member_count = 0;
    f->is_forked = false;
    f->names_id = pr->names->id;
    pr->tip = NULL;
    pr->tip_end = NULL;
    pr->path_count = 0;
    pr->work = 0;
    pr->end = text.data + text.size;
    pr->kept_steps = NULL;
    pr->array_count = 0;
    pr->step_count = 0;
    pr->depth = 0;
    pr->frame = pr->frames;
    pr->depth_max = depth < JSON_DEPTH_MAX ? JSON_DEPTH_MAX - depth : 0;
    reserve_tip(pr, CHUNK_MIN);
    use_fresh(pr, slice_of(pr->tip, 0), false);
}

/* The type of a checked value by its first byte; digits and '-' are what is left. */
static enum json_type document_type(const char *p)
{
    static const struct {
        char first;
        enum json_type type;
    } types[] = {{'{', JSON_OBJECT}, {'[', JSON_ARRAY}, {'"', JSON_TEXT},
                 {'n', JSON_NULL},   {'t', JSON_TRUE},  {'f', JSON_FALSE}};

    for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
        if (types[i].first == *p)
            return types[i].type;
    return JSON_NUMBER;
}

bool flat_parse(struct flat *f, struct slice text, unsigned depth, size_t *used, GError **error)
{
    struct flat_private *pr = f->private;
    const char *p;

    if (text.data == NULL)
        text = SLICE("");
    if (text.size > TEXT_MAX) {
        f->leaf_count = 0;
        f->member_count = 0;
        f->type = JSON_NULL;
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT, "an event of more than %d bytes", TEXT_MAX);
        return false;
    }
    start_event(f, text, depth);
    p = read_document(f, text.data);
    if (p == NULL) {
        f->leaf_count = 0;
        f->member_count = 0;
        f->type = JSON_NULL;
        json_set_error(error, text, pr->bad, pr->why);
        return false;
    }
    f->type = document_type(json_skip_space(text.data, pr->end));
    /* Leaves of other documents have no paths that a pattern could name. */
    if (f->type != JSON_OBJECT)
        f->leaf_count = 0;
    *used = (size_t)(p - text.data);
    return true;
}
