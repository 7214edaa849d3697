/* The table of subcommands: which row runs with what, and what is said when none does. */
#include "admin/columns.h"
#include "admin/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static char seen[256];

static int note(const struct command_input *in)
{
    int n = snprintf(seen, sizeof seen, "%s:", in->row->name);
    for (size_t i = 0; i < in->n_words; i++)
        n += snprintf(seen + n, sizeof seen - (size_t)n, " %s", in->words[i]);
    for (int i = 0; i < OPTION_COUNT; i++)
        if (in->option[i])
            n += snprintf(seen + n, sizeof seen - (size_t)n, " <%d=%s>", i, in->option[i]);
    return 0;
}

static const struct command rows[] = {
    {"serve", "", 0, 0, OPTION_BIT(SET), note, "serves", "Help.\n", NULL},
    {"account add", "ADDRESS", 1, 1, OPTION_BIT(DATA) | OPTION_BIT(PLAIN), note, "adds", "Help.\n", "  example\n"},
    {"account list", "[DOMAIN]", 0, 1, OPTION_BIT(DATA), note, "lists", "Help.\n", NULL},
    {"alias add", "ADDRESS TARGET...", 2, SIZE_MAX, 0, note, "adds", "Help.\n", NULL},
    {"role", "NAME", 1, 1, 0, note, NULL, NULL, NULL},
};

/* Runs "postel LINE" with stdout and stderr gathered in said. */
static char said[4096];
static int run(const char *line)
{
    char copy[256], program[] = "postel", *argv[32] = {program};
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *at = copy, *word; (word = strsep(&at, " ")) != NULL;)
        if (*word)
            argv[argc++] = word;
    seen[0] = '\0';
    fflush(NULL);
    FILE *file = tmpfile();
    int out = dup(1), err = dup(2);
    dup2(fileno(file), 1);
    dup2(fileno(file), 2);
    int status = command_main(rows, COUNT_OF(rows), argc, argv);
    fflush(NULL);
    dup2(out, 1);
    dup2(err, 2);
    close(out);
    close(err);
    rewind(file);
    said[fread(said, 1, sizeof said - 1, file)] = '\0';
    fclose(file);
    return status;
}

static void rows_are_found(void **state)
{
    static const struct {
        const char *line;
        int status;
        const char *seen;
    } cases[] = {
        {"serve", 0, "serve:"},
        {"account add a@b.test", 0, "account add: a@b.test"},
        {"account add a@b.test --data /x --plain", 0, "account add: a@b.test <0=/x> <7=>"},
        {"account add --data=/x a@b.test", 0, "account add: a@b.test <0=/x>"},
        {"account add -- --data", 0, "account add: --data"},
        {"account list", 0, "account list:"},
        {"account list --data= b.test", 0, "account list: b.test <0=>"},
        {"alias add a b c d", 0, "alias add: a b c d"},
        {"serve --set a.b=c --set d.e=f", 0, "serve: <2=d.e=f>"},
        {"role x", 0, "role: x"},
        {"", 2, ""},
        {"account", 2, ""},
        {"account add", 2, ""},
        {"account add a b", 2, ""},
        {"account add a --data", 2, ""},
        {"account add a --data x --data y", 2, ""},
        {"account add a --plain=yes", 2, ""},
        {"account add a -x", 2, ""},
        {"account list --plain", 2, ""},
        {"alias add a", 2, ""},
        {"nonsense", 2, ""},
        {"help nonsense", 2, ""},
        {"--version", 0, ""},
        {"help", 0, ""},
        {"help account", 0, ""},
        {"help account add", 0, ""},
        {"account add --help", 0, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int status = run(cases[i].line);
        if (status != cases[i].status)
            print_error("postel %s\n", cases[i].line);
        assert_int_equal(status, cases[i].status);
        assert_string_equal(seen, cases[i].seen);
    }
}

static void says_what_was_meant(void **state)
{
    static const struct {
        const char *line, *said;
    } cases[] = {
        {"acount add x", "did you mean \"account add\""},
        {"sevre", "did you mean \"serve\""},
        {"account ad x", "did you mean \"account add\""},
        {"account add x --dta y", "did you mean --data"},
        {"account", "account list"},
        {"help account add", "usage: postel account add ADDRESS [--data DIR] [--plain]"},
        {"help account add", "examples:\n  example\n"},
        {"--version", "postel " POSTEL_VERSION "\n"},
        {"\x1b[31m", "\\x1b[31m"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        run(cases[i].line);
        if (!strstr(said, cases[i].said))
            print_error("postel %s: %s\n", cases[i].line, said);
        assert_non_null(strstr(said, cases[i].said));
        assert_null(strchr(said, '\x1b'));
    }
    run("help");
    assert_null(strstr(said, "role")); /* internal */
}

static void distances(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned want;
    } cases[] = {{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"abc", "abc", 0}, {"ab", "ba", 2}};
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(command_distance(cases[i].a, cases[i].b), cases[i].want);
}

static void print_two(bool plain, char *out, size_t cap)
{
    static const char *const heads[] = {"NAME", "N"};
    struct columns c;
    FILE *to = fmemopen(out, cap, "w");
    columns_init(&c, 2, heads, plain);
    columns_add(&c, SPAN("m\xc3\xbcller"));
    columns_addf(&c, "%d", 7);
    columns_add(&c, SPAN("a\tb\x1b[0m\xff\xe2\x80\xae\"\\"));
    columns_addf(&c, "%d", 8);
    columns_print(&c, plain, to);
    fclose(to);
}

static void columns_are_safe(void **state)
{
    char out[512] = {0};
    print_two(true, out, sizeof out);
    assert_string_equal(out, "m\xc3\xbcller\t7\na\\x09b\\x1b[0m\\xff\\xe2\\x80\\xae\"\\\t8\n");
    memset(out, 0, sizeof out);
    print_two(false, out, sizeof out);
    assert_string_equal(out, "NAME" "                             N\n" "m\xc3\xbcller" "                           7\n"
                             "a\\x09b\\x1b[0m\\xff\\xe2\\x80\\xae\"\\  8\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found),
        cmocka_unit_test(says_what_was_meant),
        cmocka_unit_test(distances),
        cmocka_unit_test(columns_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
