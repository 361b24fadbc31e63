#include "cli/backup_manifest.h"

#include "common/arena.h"
#include "common/error.h"
#include "common/json.h"
#include "common/rfc3339.h"

#define SHA256_DIGITS (BACKUP_SHA256_SIZE - 1)
#define NUMBER_MAX    (INT64_MAX / 4) /* so that the sums of a few never overflow */
#define NO_DIGEST     "0000000000000000000000000000000000000000000000000000000000000000"

/* The numbers of a manifest by name: written and read from one table. */
static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
    {"position", offsetof(struct backup_manifest, position)},
    {"accepted", offsetof(struct backup_manifest, accepted)},
    {"processed", offsetof(struct backup_manifest, processed)},
    {"failed", offsetof(struct backup_manifest, failed)},
    {"duplicate", offsetof(struct backup_manifest, duplicate)},
    {"matches", offsetof(struct backup_manifest, matches)},
    {"retrying", offsetof(struct backup_manifest, retrying)},
};

static const char *const member_names[BACKUP_MEMBERS] = {
    [BACKUP_RESULTS] = "eventflow.db", [BACKUP_LOG] = "queue.db"};

void backup_manifest_init(struct backup_manifest *m)
{
    *m = (struct backup_manifest){0};
    for (size_t i = 0; i < BACKUP_MEMBERS; i++)
        m->members[i].name = member_names[i];
}

void backup_manifest_done(struct backup_manifest *m)
{
    g_clear_pointer(&m->program, g_free);
}

int64_t backup_manifest_waiting(const struct backup_manifest *m)
{
    return m->accepted - m->position + m->retrying;
}

bool backup_manifest_adds_up(const struct backup_manifest *m)
{
    return m->processed + m->failed + m->duplicate + m->retrying == m->position &&
           m->position <= m->accepted;
}

void backup_manifest_put(const struct backup_manifest *m, struct json_writer *w)
{
    json_put_time(w, "made_at", m->made_at_us);
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        json_put_integer(w, numbers[i].name,
                         *(const int64_t *)(const void *)((const char *)m + numbers[i].offset));
}

static void put_members(const struct backup_manifest *m, struct json_writer *w)
{
    json_key(w, "members");
    json_open_array(w);
    for (size_t i = 0; i < BACKUP_MEMBERS; i++) {
        json_open_object(w);
        json_put_string(w, "name", m->members[i].name);
        json_put_integer(w, "size", m->members[i].size);
        json_put_integer(w, "schema", m->members[i].schema);
        json_put_string(w, "sha256", m->members[i].sha256);
        json_close_object(w);
    }
    json_close_array(w);
}

/* The digest's place is filled with zeroes first: it is part of what is hashed. */
GString *backup_manifest_write(const struct backup_manifest *m)
{
    GString *text = g_string_new(NULL);
    g_autofree char *digest = NULL;
    struct json_writer w;
    gsize end;

    json_writer_init(&w, text);
    json_open_object(&w);
    json_put_integer(&w, "format", BACKUP_FORMAT);
    json_put_string(&w, "program", "eventflow " EVENTFLOW_VERSION);
    backup_manifest_put(m, &w);
    put_members(m, &w);
    json_put_string(&w, "manifest_sha256", NO_DIGEST);
    json_close_object(&w);
    end = text->len - strlen("\"}");
    while (text->len < BACKUP_MANIFEST_SIZE - 1)
        g_string_append_c(text, ' ');
    g_string_append_c(text, '\n');
    digest = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)text->str, text->len);
    memcpy(text->str + end - SHA256_DIGITS, digest, SHA256_DIGITS);
    return text;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Always false. */
static bool fail(GError **error, const char *why)
{
    g_set_error(error, EF_ERROR, EF_ERROR_CORRUPT, BACKUP_MANIFEST_NAME " is damaged: %s", why);
    return false;
}

/* Whether the text fits the digest that stands in it. */
static bool fits_digest(struct slice text, const struct json_value *root)
{
    struct slice stored = json_get_text(root, "manifest_sha256");
    const struct json_value *value = json_get(root, SLICE("manifest_sha256"));
    g_autofree char *copy = g_memdup2(text.data, text.size);
    g_autofree char *digest = NULL;

    /* As long in the text as its value: without escapes, so it stands there as it is. */
    if (stored.size != SHA256_DIGITS || value->source.size != SHA256_DIGITS + 2)
        return false;
    memset(copy + (value->source.data - text.data) + 1, '0', SHA256_DIGITS);
    digest = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)copy, text.size);
    return slice_equal(stored, slice_text(digest));
}

static bool read_member(struct backup_member *member, const struct json_value *value)
{
    struct slice sha256 = json_get_text(value, "sha256");

    if (!slice_equal(json_get_text(value, "name"), slice_text(member->name)) ||
        sha256.size != SHA256_DIGITS ||
        !json_integer(json_get(value, SLICE("schema")), 0, INT32_MAX, &member->schema) ||
        !json_integer(json_get(value, SLICE("size")), 1, NUMBER_MAX, &member->size))
        return false;
    memcpy(member->sha256, sha256.data, SHA256_DIGITS);
    member->sha256[SHA256_DIGITS] = '\0';
    return true;
}

/* All that format 1 says. */
static bool read_all(struct backup_manifest *m, const struct json_value *root)
{
    const struct json_value *members = json_get(root, SLICE("members"));
    const struct json_value *member = members != NULL ? members->first : NULL;
    struct slice program = json_get_text(root, "program");

    m->program = g_strndup(program.data, program.size);
    if (!rfc3339_parse(json_get_text(root, "made_at"), &m->made_at_us))
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
        if (!json_integer(json_get(root, slice_text(numbers[i].name)), 0, NUMBER_MAX,
                          (int64_t *)(void *)((char *)m + numbers[i].offset)))
            return false;
    for (size_t i = 0; i < BACKUP_MEMBERS; i++, member = member->next)
        if (member == NULL || !read_member(&m->members[i], member))
            return false;
    return member == NULL;
}

/* The order matters: what is damaged must not be called newer, and what is newer must not be read.
 */
static bool read_checked(struct backup_manifest *m, struct slice text, struct arena *a,
                         GError **error)
{
    const struct json_value *root = json_parse(text, a, NULL);
    int64_t format = 0;

    if (root == NULL)
        return fail(error, "it is no JSON");
    if (!fits_digest(text, root))
        return fail(error, "it does not fit its checksum");
    if (!json_integer(json_get(root, SLICE("format")), 1, INT32_MAX, &format))
        return fail(error, "it names no format");
    if (format <= BACKUP_FORMAT)
        return read_all(m, root) || fail(error, "it is not complete");
    g_set_error(error, EF_ERROR, EF_ERROR_NEWER,
                "it was made by a newer program (format %" G_GINT64_FORMAT
                ", this one knows up to %d): use that version",
                format, BACKUP_FORMAT);
    return false;
}

bool backup_manifest_read(struct backup_manifest *m, struct slice text, GError **error)
{
    struct arena a = {0};
    bool is_good;

    arena_init(&a);
    is_good = read_checked(m, text, &a, error);
    arena_done(&a);
    return is_good;
}
