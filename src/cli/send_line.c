/* One line of a file as an event that can be sent twice without harm.
 *
 * The line is checked only as far as needed to put an id into it: one JSON object and nothing
 * behind it. All else is the server's to judge, so both cannot disagree.
 */
#include "cli/send_line.h"

#include "common/error.h"

/* At the top level only, and whatever its value is. */
static bool send_line_has_id(const struct flat *flat)
{
    for (size_t i = 0; i < flat->member_count; i++)
        if (slice_equal(flat->members[i].key, SLICE("event_id")))
            return true;
    return false;
}

/* "<why> at column C": the reader's line number would be that of the one line it was given, and the
 * caller puts the file's own in front. Other texts stay as they are. */
static void send_line_set_error(GError **error, const char *message)
{
    const char *line = strstr(message, " at line 1, ");

    if (line == NULL)
        g_set_error_literal(error, EF_ERROR, EF_ERROR_INPUT, message);
    else
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT, "%.*s at %s", (int)(line - message), message,
                    line + strlen(" at line 1, "));
}

/* Is the line one object from its first to its last byte? Then text begins with '{', which the
 * insertion relies on. flat is refilled; what it holds is borrowed from text. */
static bool send_line_check(struct slice text, struct flat *flat, GError **error)
{
    g_autoptr(GError) reason = NULL;
    size_t used;

    if (!flat_parse(flat, text, 0, &used, &reason)) {
        send_line_set_error(error, reason->message);
        return false;
    }
    if (flat->type != JSON_OBJECT) {
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT, "an event is an object, not %s",
                    json_type_name(flat->type));
        return false;
    }
    if (used != text.size) {
        g_set_error(error, EF_ERROR, EF_ERROR_INPUT,
                    "there is something behind the event's closing brace (column %zu)", used + 1);
        return false;
    }
    return true;
}

/* The digest is of the bytes: another order of members, or one more space, is another event. It is
 * taken before the id is put in, so the same line always gets the same one. */
bool send_line_append(struct slice text, struct flat *flat, GString *out, struct send_line *info,
                      GError **error)
{
    if (!send_line_check(text, flat, error))
        return false;
    *info = (struct send_line){.has_made_id = !send_line_has_id(flat)};
    if (!info->has_made_id) {
        g_string_append_len(out, text.data, (gssize)text.size);
        return true;
    }
    /* Of the bytes as they came, not of what they mean. */
    info->digest = hash128(text);
    g_string_append(out, "{\"event_id\":\"" SEND_LINE_ID_PREFIX);
    for (size_t i = 0; i < HASH_DIGEST_SIZE; i++)
        g_string_append_printf(out, "%02x", info->digest.bytes[i]);
    /* "{}" has no member that a comma could part from the id. */
    g_string_append(out, flat->member_count > 0 ? "\"," : "\"");
    g_string_append_len(out, text.data + 1, (gssize)text.size - 1);
    return true;
}
