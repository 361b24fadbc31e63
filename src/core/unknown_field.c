/* The answer to a name that no table has. Used for events as well as campaigns, so that a typo
 * reads the same in both. The distance is config's, which has the same question about flags. */
#include "core/unknown_field.h"

#include <glib.h>

#include "common/config.h"

/* Beyond it a name is neither repeated in an answer nor compared with the valid ones: a client
 * chooses its length, and the comparison takes time with its square. */
#define UNKNOWN_NAME_MAX 64

char *unknown_field_pointer(const char *parent, struct slice name)
{
    if (name.size > UNKNOWN_NAME_MAX)
        return g_strdup(parent);
    return problem_pointer(parent, name);
}

/* The valid name that was probably meant, borrowed from the list; NULL when none is near. A name
 * with a NUL inside is nobody's typo, and would be compared by its beginning only. */
static const char *unknown_field_nearest(struct slice name, const char *const *valid, size_t count)
{
    char text[UNKNOWN_NAME_MAX + 1]; /* NUL-terminated for the comparison */

    if (name.size == 0 || name.size > UNKNOWN_NAME_MAX || memchr(name.data, '\0', name.size))
        return NULL;
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    return config_nearest(text, valid, count);
}

void unknown_field_add(struct problems *problems, const char *parent, struct slice name,
                       const char *const *valid, size_t count)
{
    g_autofree char *pointer = unknown_field_pointer(parent, name);
    const char *nearest = unknown_field_nearest(name, valid, count);

    if (nearest != NULL)
        problems_add(problems, pointer, "unknown field; did you mean \"%s\"?", nearest);
    else if (name.size > UNKNOWN_NAME_MAX)
        problems_add(problems, pointer, "unknown field with a name of %zu bytes; leave it out",
                     name.size);
    else
        problems_add(problems, pointer, "unknown field; leave it out or correct its name");
}
