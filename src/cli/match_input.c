#include "cli/match_input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "core/event.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* The size of anything but a file says nothing about what will come. */
bool match_input_open(struct match_input *in, const char *file, size_t line_max, GError **error)
{
    bool is_standard = g_str_equal(file, "-");
    struct stat info;

    *in = (struct match_input){.name = is_standard ? "standard input" : file};
    in->fd = is_standard ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0 || fstat(in->fd, &info) != 0) {
        g_set_error(error, EF_ERROR, EF_ERROR_MISSING, "%s: %s", in->name, g_strerror(errno));
        return false;
    }
    in->is_file = S_ISREG(info.st_mode);
    in->size = in->is_file ? (uint64_t)info.st_size : 0;
    line_reader_init(&in->reader, in->fd, line_max);
    return true;
}

void match_input_close(struct match_input *in)
{
    line_reader_done(&in->reader);
    if (in->fd > STDIN_FILENO)
        close(in->fd);
    in->fd = -1;
}

bool match_input_next(struct match_input *in, struct line *line, GError **error)
{
    struct slice mark = SLICE(BYTE_ORDER_MARK);
    g_autoptr(GError) trouble = NULL;

    if (!line_reader_next(&in->reader, &in->line, &trouble)) {
        if (trouble != NULL)
            g_propagate_prefixed_error(error, g_steal_pointer(&trouble), "%s: ", in->name);
        return false;
    }
    *line = in->line;
    if (line->number == 1 && slice_starts_with(line->text, mark))
        line->text = slice_of(line->text.data + mark.size, line->text.size - mark.size);
    line->text = event_trim(line->text);
    return true;
}

/* The reader moves its bytes only to make room for a read, and reads only without a newline. */
bool match_input_is_ready(const struct match_input *in)
{
    const struct line_reader *r = &in->reader;

    return r->end > r->start && memchr(r->buffer + r->start, '\n', r->end - r->start) != NULL;
}

/* The end of a pipe and errors are there at once, and read tells of them. */
bool match_input_waits(const struct match_input *in, int wait_ms)
{
    struct pollfd waiting = {.fd = in->fd, .events = POLLIN};

    return !in->is_file && !match_input_is_ready(in) && poll(&waiting, 1, wait_ms) == 0;
}

void match_input_refuse(const struct match_input *in, uint64_t number, const char *reason,
                        GError **error)
{
    static const char at[] = " at line 1, ";
    const char *place = strstr(reason, at);
    g_autofree char *text = place == NULL ? g_strdup(reason)
                                          : g_strdup_printf("%.*s at %s", (int)(place - reason),
                                                            reason, place + sizeof(at) - 1);

    g_set_error(error, EF_ERROR, EF_ERROR_INPUT, "%s: line %" G_GUINT64_FORMAT ": %s", in->name,
                number, text);
}
