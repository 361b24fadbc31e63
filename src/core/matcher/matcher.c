/* The finished index: its end, its size, its figures. */
#include "core/matcher/matcher.h"

#include "core/matcher/internal.h"

void matcher_free(struct matcher *m)
{
    if (m == NULL)
        return;
    g_free(m->paths);
    g_free(m->path_table.slots);
    g_free(m->names);
    g_free(m->name_table.slots);
    g_free(m->dimensions);
    g_free(m->symbols);
    g_free(m->symbol_table.slots);
    g_free(m->fields);
    g_free(m->tests);
    g_free(m->pool);
    g_free(m->texts);
    g_free(m->conjunctions);
    g_free(m->fields_of);
    g_free(m->nodes);
    g_free(m->node_table.slots);
    g_free(m->entries);
    g_free(m->doors);
    g_free(m->doors_to);
    g_free(m->stream);
    arena_done(&m->arena);
    g_free(m);
}

static size_t table_size(const struct matcher_table *t)
{
    return t->slots != NULL ? (t->mask + 1) * sizeof(*t->slots) : 0;
}

/* The arena is counted by what lies in it, which is nearly all of it. */
static size_t arena_size(const struct matcher *m)
{
    size_t size = m->text_bytes;

    for (uint32_t i = 0; i < m->dimension_count; i++)
        size += m->dimensions[i].bound_count * (m->dimensions[i].family == FAMILY_NUMBER
                                                    ? sizeof(double)
                                                    : sizeof(struct matcher_address)) +
                m->dimensions[i].length_count * (sizeof(uint32_t) + sizeof(uint64_t));
    return size;
}

size_t matcher_size(const struct matcher *m)
{
    return sizeof(*m) + m->path_count * sizeof(*m->paths) + m->name_count * sizeof(*m->names) +
           m->dimension_count * sizeof(*m->dimensions) + m->symbol_count * sizeof(*m->symbols) +
           m->field_count * sizeof(*m->fields) + m->test_count * sizeof(*m->tests) +
           m->pool_count * sizeof(*m->pool) + m->text_count * sizeof(*m->texts) +
           m->conjunction_count * sizeof(*m->conjunctions) +
           m->field_of_count * sizeof(*m->fields_of) + m->node_count * sizeof(*m->nodes) +
           m->entry_count * sizeof(*m->entries) +
           (m->node_count > 0 ? m->nodes[0].entry_count : 0) * sizeof(*m->doors) +
           m->doors_to_count * sizeof(*m->doors_to) + m->stream_count * sizeof(*m->stream) +
           table_size(&m->path_table) + table_size(&m->name_table) + table_size(&m->symbol_table) +
           table_size(&m->node_table) + arena_size(m);
}

void matcher_get_figures(const struct matcher *m, struct matcher_figures *out)
{
    *out = (struct matcher_figures){.patterns = m->pattern_count,
                                    .nodes = m->node_count,
                                    .copies = m->copies,
                                    .bytes = m->bytes};
}
