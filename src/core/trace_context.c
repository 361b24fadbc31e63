/* Only the trace id is used: it becomes the correlation id of events that bring none. The parent
 * id and the flags are checked, since a header with bad ones is void as a whole, and dropped. */
#include "core/trace_context.h"

#include <glib.h>

/* 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
 * 0  3                                36               53
 * version, trace id, parent id, flags: lower-case hexadecimal digits at fixed places. */
#define TRACE_VERSION_SIZE 2
#define TRACE_ID_AT        3
#define TRACE_ID_SIZE      32
#define TRACE_PARENT_AT    36
#define TRACE_PARENT_IDS   16
#define TRACE_FLAGS_AT     53
#define TRACE_FLAGS_SIZE   2

/* The standard allows lower case only; upper case makes the header invalid. */
static bool trace_is_hex(const char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!g_ascii_isdigit(p[i]) && !(p[i] >= 'a' && p[i] <= 'f'))
            return false;
    return true;
}

/* An id of zeros only means "none". Source: W3C Trace Context, sections 3.2.2.3 and 3.2.2.4. */
static bool trace_is_zero(const char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (p[i] != '0')
            return false;
    return true;
}

/* Version 00 is exactly 55 bytes; later versions may go on behind a '-', and what they add is
 * ignored. Source: W3C Trace Context, section 4.3 (versioning).
 */
static bool trace_has_valid_end(struct slice header)
{
    if (header.size == TRACE_PARENT_SIZE)
        return true;
    return memcmp(header.data, "00", TRACE_VERSION_SIZE) != 0 &&
           header.data[TRACE_PARENT_SIZE] == '-';
}

/* p has TRACE_PARENT_SIZE bytes at least. */
static bool trace_has_valid_shape(const char *p)
{
    return trace_is_hex(p, TRACE_VERSION_SIZE) && p[TRACE_VERSION_SIZE] == '-' &&
           trace_is_hex(p + TRACE_ID_AT, TRACE_ID_SIZE) && p[TRACE_PARENT_AT - 1] == '-' &&
           trace_is_hex(p + TRACE_PARENT_AT, TRACE_PARENT_IDS) && p[TRACE_FLAGS_AT - 1] == '-' &&
           trace_is_hex(p + TRACE_FLAGS_AT, TRACE_FLAGS_SIZE);
}

/* The length comes first: the other checks read at fixed places. */
bool trace_context_parse(struct slice header, struct slice *trace_id)
{
    const char *p = header.data;

    if (header.size < TRACE_PARENT_SIZE || !trace_has_valid_shape(p) ||
        !trace_has_valid_end(header))
        return false;
    if (memcmp(p, "ff", TRACE_VERSION_SIZE) == 0 || trace_is_zero(p + TRACE_ID_AT, TRACE_ID_SIZE) ||
        trace_is_zero(p + TRACE_PARENT_AT, TRACE_PARENT_IDS))
        return false;
    *trace_id = slice_of(p + TRACE_ID_AT, TRACE_ID_SIZE);
    return true;
}
