#include "admin/secret.h"

#include "admin/columns.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <termios.h>

/* One line without its end, byte by byte: what follows it in a pipe belongs to somebody else. Returns its length, -1
 * when there is none or it is longer than cap. */
static ssize_t read_line(int fd, char *out, size_t cap)
{
    size_t n = 0;
    for (;;) {
        char c;
        ssize_t got = read(fd, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || (got == 0 && n == 0))
            return -1;
        if (got == 0 || c == '\n')
            break;
        if (n == cap)
            return -1;
        out[n++] = c;
    }
    if (n > 0 && out[n - 1] == '\r')
        n--;
    return (ssize_t)n;
}

/* Without echo, line editing and signals: so no way out leaves the terminal mute. */
static ssize_t read_mute(int tty, char *out, size_t cap)
{
    size_t n = 0;
    for (;;) {
        char c;
        if (read(tty, &c, 1) != 1 || c == 3 || c == 4) /* ^C, ^D */
            return -1;
        if (c == '\r' || c == '\n')
            return (ssize_t)n;
        if (c == 8 || c == 127)
            n -= n > 0;
        else if (c == 21) /* ^U */
            n = 0;
        else if (n == cap)
            return -1;
        else
            out[n++] = c;
    }
}

static ssize_t ask(int tty, const char *prompt, char *out, size_t cap)
{
    dprintf(tty, "%s", prompt);
    ssize_t n = read_mute(tty, out, cap);
    dprintf(tty, "\n");
    return n;
}

/* Both answers; -1 when one was not given. True in *same when they are equal. */
static ssize_t ask_both(int tty, const char *prompt, char *out, char *again, size_t cap, bool *same)
{
    struct termios was, mute;
    if (tcgetattr(tty, &was) < 0)
        return -1;
    mute = was;
    mute.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
    mute.c_cc[VMIN] = 1;
    mute.c_cc[VTIME] = 0;
    if (tcsetattr(tty, TCSAFLUSH, &mute) < 0)
        return -1;
    ssize_t n = ask(tty, prompt, out, cap);
    ssize_t m = n < 0 ? -1 : ask(tty, "The same again: ", again, cap);
    tcsetattr(tty, TCSADRAIN, &was);
    *same = m >= 0 && n == m && memcmp(out, again, (size_t)n) == 0;
    return m < 0 ? -1 : n;
}

static int ask_twice(const char *address, const char *what, struct arena *mem, char *out, size_t cap, struct fail *f)
{
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0)
        return fail_perm(f, "", "no terminal to ask for the password; give it with --password-stdin");
    char *again = arena_alloc(mem, cap), *shown = NULL;
    size_t n_shown = 0;
    FILE *prompt = open_memstream(&shown, &n_shown);
    fprintf(prompt, "Password for ");
    columns_escaped(prompt, span_z(address));
    fprintf(prompt, "%s: ", what);
    fclose(prompt);
    bool same = false;
    ssize_t n = ask_both(tty, shown, out, again, cap, &same);
    explicit_bzero(again, cap);
    free(shown);
    close(tty);
    if (n < 0)
        return fail_perm(f, "", "no password was given, or one above %zu bytes", cap);
    if (!same)
        return fail_perm(f, "", "the two are not the same; nothing was changed");
    return (int)n;
}

int secret_read(const struct command_input *in, const char *address, const char *what, struct arena *mem,
                struct span *out, struct fail *f)
{
    size_t cap = (size_t)LIMIT(PASSWORD_BYTES);
    char *p = arena_alloc(mem, cap);
    ssize_t n;
    if (in->option[OPTION_PASSWORD_STDIN]) {
        n = read_line(STDIN_FILENO, p, cap);
        if (n < 0)
            return fail_perm(f, "", "standard input holds no password, or one above %zu bytes", cap);
    } else {
        n = ask_twice(address, what, mem, p, cap, f);
    }
    if (n < 0)
        return -1;
    *out = span_of(p, (size_t)n);
    return 0;
}
