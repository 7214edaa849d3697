/* The subcommands of `postel`: rows of one table give the usage line, the help, and the check of what was typed. */
#include "admin/command.h"

#include "admin/columns.h"

#include <stdarg.h>

enum { EXIT_USAGE = 2 };

static const struct option {
    const char *name, *takes, *help;
} options[OPTION_COUNT] = {
#define X(name, spelled, takes, help) {spelled, takes, help},
    COMMAND_OPTIONS(X)
#undef X
};

struct table {
    const struct command *rows;
    size_t n;
};

/* ---- nearest names ---- */

unsigned command_distance(const char *a, const char *b)
{
    enum { MOST = 64 };
    unsigned char row[MOST + 1];
    size_t la = strlen(a), lb = strlen(b);
    if (la >= MOST || lb >= MOST)
        return MOST;
    for (size_t j = 0; j <= lb; j++)
        row[j] = (unsigned char)j;
    for (size_t i = 1; i <= la; i++) { /* Levenshtein, one row at a time */
        unsigned char diagonal = row[0];
        row[0] = (unsigned char)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = (unsigned char)MIN_OF(change, 1u + MIN_OF(row[j], row[j - 1]));
        }
    }
    return row[lb];
}

static const char *nearest_command(const struct table *t, const char *typed)
{
    const char *best = NULL;
    unsigned least = (unsigned)MAX_OF((size_t)2, strlen(typed) / 3) + 1;
    for (size_t i = 0; i < t->n; i++) {
        unsigned d = t->rows[i].summary ? command_distance(typed, t->rows[i].name) : least;
        if (d < least) {
            least = d;
            best = t->rows[i].name;
        }
    }
    return best;
}

/* ---- help ---- */

static bool in_group(const struct command *row, const char *group)
{
    size_t n = strlen(group);
    return row->summary && strncmp(row->name, group, n) == 0 && row->name[n] == ' ';
}

static bool is_group(const struct table *t, const char *group)
{
    for (size_t i = 0; i < t->n; i++)
        if (in_group(&t->rows[i], group))
            return true;
    return false;
}

static void print_list(FILE *to, const struct table *t, const char *group)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct command *row = &t->rows[i];
        char usage[80];
        if (!row->summary || (group && !in_group(row, group)))
            continue;
        snprintf(usage, sizeof usage, "%s %s", row->name, row->words);
        fprintf(to, "  %-30s %s\n", usage, row->summary);
    }
}

static void print_all(FILE *to, const struct table *t)
{
    fprintf(to, "postel: a mail system\n\nusage: postel COMMAND ...\n\n");
    print_list(to, t, NULL);
    fprintf(to, "\n`postel help COMMAND` says more about one, `postel --version` which version this is.\n");
}

static void print_usage(FILE *to, const struct command *row)
{
    fprintf(to, "usage: postel %s", row->name);
    if (*row->words)
        fprintf(to, " %s", row->words);
    for (int i = 0; i < OPTION_COUNT; i++)
        if (row->options & 1u << i)
            fprintf(to, " [--%s%s%s]", options[i].name, *options[i].takes ? " " : "", options[i].takes);
    fprintf(to, "\n");
}

static void print_command(FILE *to, const struct command *row)
{
    print_usage(to, row);
    fprintf(to, "\n%s\n", row->help);
    for (int i = 0; i < OPTION_COUNT; i++) {
        char left[48];
        if (!(row->options & 1u << i))
            continue;
        snprintf(left, sizeof left, "--%s %s", options[i].name, options[i].takes);
        fprintf(to, "  %-28s %s\n", left, options[i].help);
    }
    if (row->examples)
        fprintf(to, "\nexamples:\n%s", row->examples);
}

/* ---- finding the row ---- */

static bool name_is(const struct command *row, int argc, char **argv, int *used)
{
    struct span rest = span_z(row->name);
    for (*used = 0; rest.p; ++*used)
        if (*used == argc || !span_eq(span_split(&rest, ' '), span_z(argv[*used])))
            return false;
    return true;
}

static const struct command *find(const struct table *t, int argc, char **argv, int *used)
{
    for (size_t i = 0; i < t->n; i++)
        if (name_is(&t->rows[i], argc, argv, used))
            return &t->rows[i];
    return NULL;
}

static int unknown(const struct table *t, int argc, char **argv)
{
    char typed[64];
    bool two = argc > 1 && argv[1][0] != '-';
    if (!two && is_group(t, argv[0])) {
        fprintf(stderr, "postel: %s what?\n", argv[0]);
        print_list(stderr, t, argv[0]);
        return EXIT_USAGE;
    }
    snprintf(typed, sizeof typed, "%s%s%s", argv[0], two ? " " : "", two ? argv[1] : "");
    const char *near = nearest_command(t, typed);
    if (!near)
        near = nearest_command(t, argv[0]);
    fprintf(stderr, "postel: there is no command \"");
    columns_escaped(stderr, span_z(typed));
    fprintf(stderr, "\"");
    if (near)
        fprintf(stderr, "; did you mean \"%s\"?", near);
    fprintf(stderr, "\nSee: postel help\n");
    return EXIT_USAGE;
}

static int help(const struct table *t, int argc, char **argv)
{
    int used;
    if (argc == 0) {
        print_all(stdout, t);
        return 0;
    }
    const struct command *row = find(t, argc, argv, &used);
    if (row && row->summary) {
        print_command(stdout, row);
        return 0;
    }
    if (argc == 1 && is_group(t, argv[0])) {
        print_list(stdout, t, argv[0]);
        return 0;
    }
    return unknown(t, argc, argv);
}

/* ---- what was typed behind it ---- */

int command_wrong(const struct command_input *in, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fprintf(stderr, "postel %s: ", in->row->name);
    columns_escaped(stderr, span_z(text));
    fprintf(stderr, "\n");
    print_usage(stderr, in->row);
    return EXIT_USAGE;
}

static int option_of(const struct command *row, const char *name, size_t n)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if ((row->options & 1u << i) && strlen(options[i].name) == n && strncmp(options[i].name, name, n) == 0)
            return i;
    return -1;
}

static int unknown_option(const struct command_input *in, const char *typed)
{
    const char *best = NULL;
    unsigned least = 4;
    for (int i = 0; i < OPTION_COUNT; i++) {
        unsigned d = in->row->options & 1u << i ? command_distance(typed + 2, options[i].name) : least;
        if (d < least) {
            least = d;
            best = options[i].name;
        }
    }
    if (best)
        return command_wrong(in, "no option %s; did you mean --%s?", typed, best);
    return command_wrong(in, "no option %s", typed);
}

/* Takes the option at argv[*i]. 0, or what command_wrong gave. */
static int take_option(struct command_input *in, int argc, char **argv, int *i)
{
    const char *name = argv[*i] + 2, *eq = strchr(name, '='), *value = "";
    int id = option_of(in->row, name, eq ? (size_t)(eq - name) : strlen(name));
    if (id < 0)
        return unknown_option(in, argv[*i]);
    if (!*options[id].takes && eq)
        return command_wrong(in, "--%s takes no value", options[id].name);
    if (*options[id].takes) {
        if (!eq && *i + 1 == argc)
            return command_wrong(in, "--%s needs %s", options[id].name, options[id].takes);
        value = eq ? eq + 1 : argv[++*i];
    }
    if (id == OPTION_SET) {
        if (in->n_set == COUNT_OF(in->set))
            return command_wrong(in, "too many --set");
        in->set[in->n_set++] = value;
    } else if (in->option[id]) {
        return command_wrong(in, "--%s is there twice", options[id].name);
    }
    in->option[id] = value;
    return 0;
}

static int run(const struct command *row, int argc, char **argv)
{
    struct command_input in = {.row = row, .words = argv};
    bool only_words = false;
    for (int i = 0; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            print_command(stdout, row);
            return 0;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0') {
            int wrong = argv[i][1] == '-' ? take_option(&in, argc, argv, &i)
                                          : command_wrong(&in, "no option %s", argv[i]);
            if (wrong)
                return wrong;
        } else {
            in.words[in.n_words++] = argv[i]; /* never ahead of i */
        }
    }
    if (in.n_words < row->least)
        return command_wrong(&in, "%s", in.n_words == 0 ? "something is missing" : "not enough arguments");
    if (in.n_words > row->most)
        return command_wrong(&in, "too many arguments, from \"%s\" on", in.words[row->most]);
    return row->run(&in);
}

int command_main(const struct command *rows, size_t n, int argc, char **argv)
{
    struct table t = {rows, n};
    int used;
    if (argc < 2) {
        print_all(stderr, &t);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("postel %s\n", POSTEL_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(&t, argc - 2, argv + 2);
    const struct command *row = find(&t, argc - 1, argv + 1, &used);
    if (!row)
        return unknown(&t, argc - 1, argv + 1);
    int status = run(row, argc - 1 - used, argv + 1 + used);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("postel: standard output");
        return status ? status : 1;
    }
    return status;
}

bool command_sure(const struct command_input *in, const char *what, const char *kind, const char *name, int *status)
{
    char line[512];
    if (in->option[OPTION_YES])
        return true;
    if (!isatty(STDIN_FILENO)) {
        *status = command_wrong(in, "nobody is there to ask; say --yes if that is meant");
        return false;
    }
    columns_said(what, name, ".");
    printf("Type the %s to go on: ", kind);
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) && span_eq(span_trim(span_z(line)), span_z(name)))
        return true;
    printf("Nothing was removed.\n");
    *status = 1;
    return false;
}
