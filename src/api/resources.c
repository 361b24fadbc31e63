/* resources: a lookup in the GResource that the build links in.
 *
 * The files are part of the binary, so one that is missing is a mistake of the build and ends
 * the process; no file of the machine is read. */
#include "api/resources.h"

#include <gio/gio.h>

#include "api-resources.h"

#define RESOURCE_ROOT "/eventflow/api/"

/* The bytes are copied; the resource itself is static and needs no copy of its own. */
void resource_append(GString *out, const char *name)
{
    g_autofree char *path = g_strconcat(RESOURCE_ROOT, name, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = g_resource_lookup_data(api_resources_get_resource(), path,
                                                     G_RESOURCE_LOOKUP_FLAGS_NONE, &error);
    gsize size;
    const char *data;

    if (bytes == NULL)
        g_error("embedded file missing: %s", error->message);
    data = g_bytes_get_data(bytes, &size);
    g_string_append_len(out, data, (gssize)size);
}
