/* resources: the files that travel inside the binary (GResource): openapi.json, docs.html. */
#ifndef API_RESOURCES_H
#define API_RESOURCES_H

#include <glib.h>

/* Appends the embedded file; the name must be one of resources.gresource.xml. Any thread: what it
 * reads is immutable. */
void resource_append(GString *out, const char *name);

#endif
