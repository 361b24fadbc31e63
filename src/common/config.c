/* The settings of the program, driven by one table (config.h).
 *
 * A load runs over the defaults, the environment and the arguments, weakest first, and sets the
 * members as it goes; a stronger source simply overwrites. Problems are collected as lines of text
 * and never stop the load, so that one start of the program names all of them.
 * Deliberately missing: a configuration file format, reloading, and settings without a flag. */
#include "common/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/slice.h"

#define CONFIG_PREFIX      "EVENTFLOW_"
#define CONFIG_FILE_SUFFIX "_FILE"
#define CONFIG_FILE_MAX    (64 * 1024) /* a secret is short; a larger file is a wrong path */
#define CONFIG_NAME_MAX    96          /* longer names are not compared with others */
#define CONFIG_SHOW_MAX    60          /* bytes of a wrong value that an error repeats */

/* ---- numbers with units ---------------------------------------------------------------------- */

/* One spelling of a unit; "" is the base unit, which needs none. */
struct config_unit {
    const char *suffix; /* compared without regard to case */
    int64_t factor;     /* base units (bytes, milliseconds) in one of these */
};

/* A value is shown in the first unit that divides it, so larger units come first and second
 * spellings last. */
static const struct config_unit config_plain_units[] = {{"", 1}};
static const struct config_unit config_size_units[] = {
    {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1},
    {"g", 1 << 30},   {"m", 1 << 20},   {"k", 1 << 10},
};
static const struct config_unit config_duration_units[] = {
    {"d", 24 * 60 * 60 * 1000}, {"h", 60 * 60 * 1000}, {"m", 60 * 1000}, {"s", 1000}, {"ms", 1},
};

/* What the number types differ in; the rest of the code is the same for all of them. */
struct config_number_kind {
    const char *what;    /* "a size": begins the sentence about valid values */
    const char *example; /* behind it, with a space, or "" */
    const struct config_unit *units;
    size_t unit_count;
};

/* By enum config_type; the entries of other types are empty. */
static const struct config_number_kind config_number_kinds[] = {
    [CONFIG_INTEGER] = {"a whole number", "", config_plain_units, 1},
    [CONFIG_SIZE] = {"a size", " (such as 64KiB or 1MiB)", config_size_units,
                     G_N_ELEMENTS(config_size_units)},
    [CONFIG_DURATION] = {"a duration", " (such as 500ms, 10s or 5m)", config_duration_units,
                         G_N_ELEMENTS(config_duration_units)},
};

/* Whether the member is an int64_t. */
static bool config_is_number(enum config_type type)
{
    return type < G_N_ELEMENTS(config_number_kinds) && config_number_kinds[type].what != NULL;
}

/* Whether the member is a char * that the settings struct owns. */
static bool config_is_text(enum config_type type)
{
    return type == CONFIG_TEXT || type == CONFIG_ADDRESS || type == CONFIG_CHOICE;
}

/* The value as a user would write it, in the largest unit that loses nothing: 5400000 ms is 90m.
 * Reading it back gives the same value. 0 stands without a unit. Owned by caller. */
static char *config_number_text(enum config_type type, int64_t value)
{
    const struct config_number_kind *kind = &config_number_kinds[type];

    for (size_t i = 0; value != 0 && i < kind->unit_count; i++)
        if (value % kind->units[i].factor == 0)
            return g_strdup_printf("%" G_GINT64_FORMAT "%s", value / kind->units[i].factor,
                                   kind->units[i].suffix);
    return g_strdup_printf("%" G_GINT64_FORMAT, value);
}

/* Two zeros mean "no bounds given": a setting that may only be 0 would be none. */
static bool config_has_bounds(const struct config_setting *setting)
{
    return setting->min != 0 || setting->max != 0;
}

/* Reads digits and a unit; false when it is no such number or fits no int64. The first byte is
 * looked at before the library does, which would skip white space and take a '+'. Only plain
 * integers may be negative, and only 0 may stand without the unit that its type requires. */
static bool config_number_parse(const struct config_setting *setting, const char *text,
                                int64_t *value)
{
    const struct config_number_kind *kind = &config_number_kinds[setting->type];
    bool is_negative = setting->type == CONFIG_INTEGER && text[0] == '-';
    char *rest;
    int64_t number;

    if (!g_ascii_isdigit(text[is_negative ? 1 : 0]))
        return false;
    errno = 0;
    number = g_ascii_strtoll(text, &rest, 10);
    if (errno != 0)
        return false;
    /* 0 is the same in every unit. */
    if (number == 0 && rest[0] == '\0') {
        *value = 0;
        return true;
    }
    for (size_t i = 0; i < kind->unit_count; i++)
        if (g_ascii_strcasecmp(rest, kind->units[i].suffix) == 0)
            return !__builtin_mul_overflow(number, kind->units[i].factor, value);
    return false;
}

/* ---- one value ------------------------------------------------------------------------------- */

/* Said by --help and by every error about a value, so that the two cannot disagree. */
char *config_valid(const struct config_setting *setting)
{
    const struct config_number_kind *kind;
    g_autofree char *low = NULL;
    g_autofree char *high = NULL;

    if (setting->type == CONFIG_BOOL)
        return g_strdup("true or false");
    if (setting->type == CONFIG_ADDRESS)
        return g_strdup("host:port or [IPv6]:port, port 0 to 65535");
    if (setting->type == CONFIG_CHOICE) {
        g_auto(GStrv) words = g_strsplit(setting->choices, "|", -1);

        return g_strjoinv(", ", words);
    }
    if (!config_is_number(setting->type))
        return g_strdup("text");
    kind = &config_number_kinds[setting->type];
    low = config_number_text(setting->type, setting->min);
    high = config_number_text(setting->type, setting->max);
    if (!config_has_bounds(setting))
        return g_strdup_printf("%s%s, 0 or more", kind->what, kind->example);
    return g_strdup_printf("%s%s from %s to %s", kind->what, kind->example, low, high);
}

/* The words that people write in environment files. "on" and "off" are not among them: an answer
 * that names the valid words is better than a long list of spellings. */
static bool config_bool_parse(const char *text, bool *value)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true}, {"false", false}, {"1", true},
                 {"0", false},   {"yes", true},    {"no", false}};

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        if (g_ascii_strcasecmp(text, words[i].word) == 0) {
            *value = words[i].value;
            return true;
        }
    return false;
}

/* 0 is allowed: the system then chooses a free port. The length is looked at
 * because the library would take any number of leading zeros. */
static bool config_is_port(const char *text)
{
    guint64 port;

    return strlen(text) <= 5 && g_ascii_string_to_unsigned(text, 10, 0, 65535, &port, NULL);
}

/* Checks the form only: whether the name resolves is seen when the program listens or connects.
 * The host must be there ("0.0.0.0" for all interfaces, said aloud), an IPv6 address stands in
 * brackets because its own colons would hide the port's. */
static bool config_is_address(const char *text)
{
    bool is_v6 = text[0] == '[';
    const char *host = is_v6 ? text + 1 : text;
    size_t host_size = strcspn(host, is_v6 ? "]" : ":");
    const char *rest = host + host_size;
    const char *allowed = is_v6 ? "0123456789abcdefABCDEF:." : NULL;

    if (host_size == 0 || rest[0] == '\0')
        return false;
    for (size_t i = 0; i < host_size; i++)
        if (is_v6 ? strchr(allowed, host[i]) == NULL
                  : !g_ascii_isalnum(host[i]) && strchr(".-_", host[i]) == NULL)
            return false;
    /* Behind "]" the colon is still to come; without brackets rest is at it already. */
    if (is_v6 && *++rest != ':')
        return false;
    return config_is_port(rest + 1);
}

/* Choices are compared as written: they are documented in lower case. */
static bool config_is_choice(const char *choices, const char *text)
{
    g_auto(GStrv) words = g_strsplit(choices, "|", -1);

    return g_strv_contains((const char *const *)words, text);
}

/* The empty text passes for a type with a form only where the default is empty too ("off"). Bytes
 * that are no UTF-8 are refused: values end in JSON answers and log lines. */
static bool config_text_is_valid(const struct config_setting *setting, const char *text)
{
    bool may_be_empty = setting->fallback == NULL || setting->fallback[0] == '\0';

    if (!g_utf8_validate(text, -1, NULL))
        return false;
    if (setting->type == CONFIG_TEXT || (text[0] == '\0' && may_be_empty))
        return true;
    if (setting->type == CONFIG_ADDRESS)
        return config_is_address(text);
    return config_is_choice(setting->choices, text);
}

/* Parses text into the member; false (member unchanged) when it is not valid. settings is the
 * caller's struct; the offsets of the table lead to members of the type that goes with each. */
static bool config_set(const struct config_setting *setting, char *settings, const char *text)
{
    void *member = settings + setting->offset;
    int64_t number;

    if (setting->type == CONFIG_BOOL)
        return config_bool_parse(text, member);
    if (config_is_number(setting->type)) {
        if (!config_number_parse(setting, text, &number))
            return false;
        if (config_has_bounds(setting) ? number < setting->min || number > setting->max
                                       : number < 0)
            return false;
        *(int64_t *)member = number;
        return true;
    }
    if (!config_text_is_valid(setting, text))
        return false;
    /* The member held the value of a weaker source. */
    g_free(*(char **)member);
    *(char **)member = g_strdup(text);
    return true;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Damerau-Levenshtein distance (optimal string alignment: a swap of neighbours counts one, since it
 * is the commonest slip of the fingers), rows kept for the last two lines only. Both texts are
 * shorter than CONFIG_NAME_MAX.
 * Source: Damerau, "A technique for computer detection and correction of spelling errors", 1964. */
static size_t config_distance(const char *a, const char *b)
{
    size_t rows[3][CONFIG_NAME_MAX + 1];
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);

    for (size_t j = 0; j <= b_size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        const size_t *above2 = rows[(i + 1) % 3]; /* line i - 2 */

        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            row[j] = MIN(MIN(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = MIN(row[j], above2[j - 2] + 1);
        }
    }
    return rows[a_size % 3][b_size];
}

/* One edit for every three bytes, at least one: more would offer names that nobody meant. Of equal
 * distances the candidate that comes first wins. */
const char *config_nearest(const char *name, const char *const *candidates, size_t count)
{
    size_t size = strlen(name);
    size_t best_distance = MAX(size / 3, 1) + 1; /* further away than this is another word */
    const char *best = NULL;

    if (size >= CONFIG_NAME_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t distance;

        if (strlen(candidates[i]) >= CONFIG_NAME_MAX)
            continue;
        distance = config_distance(name, candidates[i]);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidates[i];
        }
    }
    return best;
}

/* queue-depth-max becomes EVENTFLOW_QUEUE_DEPTH_MAX: variables cannot have dashes. */
char *config_variable(const struct config_setting *setting)
{
    g_autofree char *upper = g_ascii_strup(setting->name, -1);

    return g_strconcat(CONFIG_PREFIX, g_strdelimit(upper, "-", '_'), NULL);
}

/* ---- loading --------------------------------------------------------------------------------- */

/* One load in progress. */
struct config_load {
    const struct config_setting *table;
    size_t count;
    char *settings;
    GPtrArray *errors;
    bool *has_variable; /* per setting: NAME is in the environment */
    bool *has_file;     /* per setting: NAME_FILE is */
};

/* Adds one error line. The array owns it. */
static void config_fail(struct config_load *load, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void config_fail(struct config_load *load, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(load->errors, g_strdup_vprintf(format, args));
    va_end(args);
}

/* What somebody wrote, made fit for one line of an error: short and without control characters,
 * which could rewrite a terminal. Quotation marks stand around it. Owned by caller. */
static char *config_quote(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    bool is_long = strlen(valid) > CONFIG_SHOW_MAX;
    GString *quoted = g_string_new("\"");

    for (char *p = valid; *p != '\0' && p < valid + CONFIG_SHOW_MAX; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);

        g_string_append_unichar(quoted, g_unichar_iscntrl(c) ? '?' : c);
    }
    g_string_append(quoted, is_long ? "…\"" : "\"");
    return g_string_free(quoted, FALSE);
}

/* The setting with that name; count when there is none. Tables have some dozens of rows and are
 * searched once per argument, so a loop will do. */
static size_t config_find(const struct config_load *load, struct slice name)
{
    size_t i = 0;

    while (i < load->count && !slice_equal(slice_text(load->table[i].name), name))
        i++;
    return i;
}

/* The nearest setting's name, borrowed from the table; NULL when none is near. */
static const char *config_nearest_setting(const struct config_load *load, const char *name)
{
    g_autofree const char **names = g_new(const char *, load->count + 1);

    for (size_t i = 0; i < load->count; i++)
        names[i] = load->table[i].name;
    return config_nearest(name, names, load->count);
}

/* Sets setting number i, or adds an error. where: the flag or variable the text came from, named in
 * the error. The text of a secret is never repeated. */
static void config_apply(struct config_load *load, size_t i, const char *text, const char *where)
{
    const struct config_setting *setting = &load->table[i];
    g_autofree char *quoted = NULL;
    g_autofree char *valid = NULL;

    if (config_set(setting, load->settings, text))
        return;
    quoted = setting->is_secret ? g_strdup("the value") : config_quote(text);
    valid = config_valid(setting);
    config_fail(load, "%s: %s is not valid; valid is %s", where, quoted, valid);
}

/* Puts the defaults in. They go through the same parser as what users write, so --help can show
 * them as they stand in the table. */
static void config_load_fallbacks(struct config_load *load)
{
    for (size_t i = 0; i < load->count; i++) {
        const char *fallback = load->table[i].fallback;

        if (fallback == NULL && !config_is_text(load->table[i].type))
            continue; /* zero or false, as it came in */
        /* A default that is not valid is a mistake in our table. */
        if (!config_set(&load->table[i], load->settings, fallback != NULL ? fallback : ""))
            g_error("the default of the setting %s is not valid", load->table[i].name);
    }
}

/* Reads the file up to one byte past the limit, which tells that it is too large: it may be a
 * pipe, or without end, so its size cannot be asked for. false: errno says why. */
static bool config_read_start(const char *path, char *text, size_t *size)
{
    FILE *file = fopen(path, "re");
    int code;

    if (file == NULL)
        return false;
    *size = fread(text, 1, CONFIG_FILE_MAX + 1, file);
    code = ferror(file) ? errno : 0;
    fclose(file);
    errno = code;
    return code == 0;
}

/* Reads the file that a NAME_FILE variable names, without its trailing newlines (editors and
 * secret stores add one); NULL and an error line when it cannot be used. A file, because a secret
 * in the environment is seen by every child process and in /proc. Owned by caller. */
static char *config_read_file(struct config_load *load, const char *path, const char *where)
{
    g_autofree char *text = g_malloc(CONFIG_FILE_MAX + 2);
    size_t size;

    if (!config_read_start(path, text, &size)) {
        config_fail(load, "%s: cannot read %s: %s; valid is the path of a readable file", where,
                    path, g_strerror(errno));
        return NULL;
    }
    if (size > CONFIG_FILE_MAX || memchr(text, '\0', size) != NULL) {
        config_fail(load, "%s: %s %s; valid is a text of at most %d bytes", where, path,
                    size > CONFIG_FILE_MAX ? "is too large" : "is no text", CONFIG_FILE_MAX);
        return NULL;
    }
    text[size] = '\0';
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        text[--size] = '\0';
    return g_steal_pointer(&text);
}

/* The setting that the variable (less suffix at its end) belongs to; count when there is none.
 * Names are made from the table and compared, not the other way round: a setting may itself end
 * in "-file", and then both readings of the variable must be tried. */
static size_t config_find_variable(const struct config_load *load, const char *variable,
                                   const char *suffix)
{
    for (size_t i = 0; i < load->count; i++) {
        g_autofree char *plain = config_variable(&load->table[i]);
        g_autofree char *name = g_strconcat(plain, suffix, NULL);

        if (strcmp(name, variable) == 0)
            return i;
    }
    return load->count;
}

/* A typo in a variable must not leave a default in force unseen: it is an error, with the variable
 * that was probably meant. The comparison is by setting names, without the prefix that all share
 * and without _FILE, so that neither makes strangers look alike. */
static void config_unknown_variable(struct config_load *load, const char *variable)
{
    g_autofree char *name = g_ascii_strdown(variable + strlen(CONFIG_PREFIX), -1);
    bool is_file = g_str_has_suffix(name, "_file");
    const char *nearest;
    g_autofree char *meant = NULL;

    if (is_file)
        name[strlen(name) - strlen("_file")] = '\0';
    nearest = config_nearest_setting(load, g_strdelimit(name, "_", '-'));
    if (nearest == NULL) {
        config_fail(load, "unknown variable %s; see --help for the valid ones", variable);
        return;
    }
    meant = config_variable(&load->table[config_find(load, slice_text(nearest))]);
    config_fail(load, "unknown variable %s; did you mean %s%s?", variable, meant,
                is_file ? CONFIG_FILE_SUFFIX : "");
}

/* Variables with our prefix that are nobody's mistake: Kubernetes sets them in every container when
 * a service is called like the program (EVENTFLOW_SERVICE_HOST, EVENTFLOW_PORT_8080_TCP, ...). No
 * setting may therefore be called "port" or begin with "service-" or "port-". */
static bool config_is_foreign(const char *variable)
{
    static const char *const prefixes[] = {
        CONFIG_PREFIX "SERVICE_",
        CONFIG_PREFIX "PORT_",
#ifdef EF_TEST_HOOKS
        CONFIG_PREFIX "TEST_",
#endif
    };

    for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++)
        if (g_str_has_prefix(variable, prefixes[i]))
            return true;
    return strcmp(variable, CONFIG_PREFIX "PORT") == 0;
}

/* Applies one variable with our prefix: its own name first, then as NAME_FILE. That it came is
 * noted also when its value is wrong, so that a clash of both is reported in any case. */
static void config_load_variable(struct config_load *load, const char *variable, const char *value)
{
    size_t i = config_find_variable(load, variable, "");
    g_autofree char *text = NULL;

    if (i < load->count) {
        load->has_variable[i] = true;
        config_apply(load, i, value, variable);
        return;
    }
    i = config_find_variable(load, variable, CONFIG_FILE_SUFFIX);
    if (i == load->count) {
        config_unknown_variable(load, variable);
        return;
    }
    load->has_file[i] = true;
    text = config_read_file(load, value, variable);
    if (text != NULL)
        config_apply(load, i, text, variable);
}

/* The environment is an unordered list: with NAME and NAME_FILE both set, which one wins would be
 * chance, so that is an error. */
static void config_load_environment(struct config_load *load, const char *const *environment)
{
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++) {
        const char *equals = strchr(environment[i], '=');
        g_autofree char *variable = NULL;

        if (equals == NULL || !g_str_has_prefix(environment[i], CONFIG_PREFIX))
            continue;
        variable = g_strndup(environment[i], (gsize)(equals - environment[i]));
        if (config_is_foreign(variable))
            continue;
        config_load_variable(load, variable, equals + 1);
    }
    for (size_t i = 0; i < load->count; i++)
        if (load->has_variable[i] && load->has_file[i]) {
            g_autofree char *variable = config_variable(&load->table[i]);

            config_fail(load, "%s and %s_FILE are both set; set only one of them", variable,
                        variable);
        }
}

/* name: the flag without dashes and value; argument: the whole of it, as written. With one dash
 * there is nothing to suggest: there are no short flags. A value behind '=' is not repeated in the
 * suggestion, since it may be a secret. */
static void config_unknown_flag(struct config_load *load, struct slice name, const char *argument)
{
    g_autofree char *text = g_strndup(name.data, name.size);
    g_autofree char *whole = NULL;
    g_autofree char *quoted = NULL;
    const char *nearest = config_nearest_setting(load, text);

    if (nearest != NULL && argument[1] == '-') {
        g_autofree char *shown = config_quote(text);

        shown[strlen(shown) - 1] = '\0'; /* without the quotation marks */
        config_fail(load, "unknown flag --%s; did you mean --%s?", shown + 1, nearest);
        return;
    }
    /* Without its value, which may be a secret for a misspelt name. */
    whole = g_strndup(argument, strcspn(argument, "="));
    quoted = config_quote(whole);
    config_fail(load, "unknown flag %s; see --help for the valid ones", quoted);
}

/* Reads the flag in argument; next is the argument behind it or NULL. Returns how many arguments
 * it took: 1 or 2. A boolean never takes the next one, so "--flag file" leaves the file alone; a
 * value may begin with one dash (-1) but not with two, which is more likely a forgotten value. */
static int config_load_flag(struct config_load *load, const char *argument, const char *next)
{
    const char *start = argument + strspn(argument, "-");
    const char *equals = strchr(start, '=');
    struct slice name = slice_of(start, equals != NULL ? (size_t)(equals - start) : strlen(start));
    size_t i = argument[1] == '-' ? config_find(load, name) : load->count;
    g_autofree char *where = NULL;
    g_autofree char *valid = NULL;

    if (i == load->count) {
        config_unknown_flag(load, name, argument);
        return 1;
    }
    where = g_strconcat("--", load->table[i].name, NULL);
    if (equals != NULL || load->table[i].type == CONFIG_BOOL) {
        config_apply(load, i, equals != NULL ? equals + 1 : "true", where);
        return 1;
    }
    if (next == NULL || g_str_has_prefix(next, "--")) {
        valid = config_valid(&load->table[i]);
        config_fail(load, "%s: a value is missing; valid is %s", where, valid);
        return 1;
    }
    config_apply(load, i, next, where);
    return 2;
}

/* Flags and operands may stand in any order, up to "--"; behind it everything is an operand. */
static void config_load_arguments(struct config_load *load, int argc, const char *const *argv,
                                  GPtrArray *operands)
{
    bool is_behind_flags = false;

    for (int i = 0; i < argc;) {
        const char *argument = argv[i];

        if (!is_behind_flags && strcmp(argument, "--") == 0) {
            is_behind_flags = true;
            i++;
        } else if (!is_behind_flags && argument[0] == '-' && argument[1] != '\0') {
            i += config_load_flag(load, argument, i + 1 < argc ? argv[i + 1] : NULL);
        } else {
            g_autofree char *quoted = config_quote(argument);

            if (operands != NULL)
                g_ptr_array_add(operands, (gpointer)(uintptr_t)argument);
            else
                config_fail(load, "unexpected argument %s; only flags are valid here", quoted);
            i++;
        }
    }
}

/* The order of the three loads is the order of strength. One more place in the notes than there are
 * settings, so that an empty table needs no case of its own. */
bool config_load(const struct config_setting *table, size_t count, void *settings,
                 const char *const *environment, int argc, const char *const *argv,
                 GPtrArray *operands, GPtrArray *errors)
{
    g_autofree bool *has_variable = g_new0(bool, count + 1);
    g_autofree bool *has_file = g_new0(bool, count + 1);
    struct config_load load = {.table = table,
                               .count = count,
                               .settings = settings,
                               .errors = errors,
                               .has_variable = has_variable,
                               .has_file = has_file};
    guint errors_before = errors->len;

    config_load_fallbacks(&load);
    config_load_environment(&load, environment);
    config_load_arguments(&load, argc, argv, operands);
    return errors->len == errors_before;
}

/* Members that were never set are NULL and left alone. */
void config_done(const struct config_setting *table, size_t count, void *settings)
{
    for (size_t i = 0; i < count; i++)
        if (config_is_text(table[i].type))
            g_clear_pointer((char **)(void *)((char *)settings + table[i].offset), g_free);
}

/* Whether a secret is set may be known; its value and its length may not. */
char *config_show(const struct config_setting *setting, const void *settings)
{
    const void *member = (const char *)settings + setting->offset;

    if (setting->type == CONFIG_BOOL)
        return g_strdup(*(const bool *)member ? "true" : "false");
    if (config_is_number(setting->type))
        return config_number_text(setting->type, *(const int64_t *)member);
    if (setting->is_secret)
        return g_strdup(**(const char *const *)member != '\0' ? "(set)" : "");
    return g_strdup(*(const char *const *)member);
}
