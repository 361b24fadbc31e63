/* unknown_field: how closed documents (events, campaigns) answer a name that they do not know.
 *
 * A typo must not vanish: the problem names the place and the valid name that was probably meant.
 */
#ifndef CORE_UNKNOWN_FIELD_H
#define CORE_UNKNOWN_FIELD_H

#include <stddef.h>

#include "common/slice.h"
#include "core/problem.h"

/* The pointer of a member for a problem; a name too long to be worth repeating gives its parent.
 * Owned by caller. */
char *unknown_field_pointer(const char *parent, struct slice name);

/* Adds the problem "unknown field …" at the member, with the nearest of the valid names. */
void unknown_field_add(struct problems *problems, const char *parent, struct slice name,
                       const char *const *valid, size_t count);

#endif
