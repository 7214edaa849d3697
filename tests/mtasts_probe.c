/* mtasts_probe CONFIG DOMAIN...: finds policies as relay does, closed in as relay is. Prints "isolation ..." and for each
 * domain its mode, age and patterns, or "none"; "+SECONDS" lets time pass. Nothing but loopback may be connected to. */
#include <fcntl.h>

#include "base/clock.h"
#include "run/config.h"
#include "run/http_client.h"
#include "run/loop.h"
#include "run/resolver.h"
#include "run/sandbox.h"
#include "run/work.h"
#include "trust/mtasts_fetch.h"

static struct clock_page page;
static int n_words;
static char **words;
static struct arena mem;

static void die(const struct fail *f)
{
    fprintf(stderr, "mtasts_probe: %s\n", f->text);
    exit(1);
}

static bool loopback(const unsigned char ip[16])
{
    return ip[10] == 0xff && ip[12] == 127;
}

static struct span read_file(const char *path, struct fail *f)
{
    char *buf = arena_alloc(&mem, 1 << 20);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, 1 << 20);
    if (n < 0) {
        fail_perm(f, "5.3.5", "cannot read %.100s", path);
        die(f);
    }
    close(fd);
    return span_of(buf, (size_t)n);
}

static void show(const char *domain)
{
    const struct mtasts_policy *p = mtasts_fetch(span_z(domain), &mem);
    static const char *const modes[] = {"none", "testing", "enforce"};
    if (p == NULL)
        printf("%s -\n", domain);
    else
        printf("%s %s %u", domain, modes[p->mode], p->max_age_s);
    for (size_t i = 0; p != NULL && i < p->n_mx; i++)
        printf(" %.*s%s", SPAN_ARGS(p->mx[i]), i + 1 == p->n_mx ? "\n" : "");
    fflush(stdout);
}

static void run(void *arg)
{
    for (int i = 0; i < n_words; i++)
        if (words[i][0] == '+') {
            page.wall_offset_ms += strtol(words[i] + 1, NULL, 10) * 1000;
            usleep(50000);
        } else {
            show(words[i]);
        }
    loop_stop();
}

int main(int argc, char **argv)
{
    struct fail f = {0};
    struct span text;
    struct sandbox_level level;
    char isolation[128];
    if (argc < 3)
        return 2;
    struct config *c = config_read(argv[1], &text, &mem, &f);
    if (c == NULL || loop_init() != 0)
        die(&f);
    config_use(c);
    clock_use_page(&page);
    words = argv + 2;
    n_words = argc - 2;
    struct span ca = read_file(arena_z(&mem, config_text(CONFIG_relay_ca_file)), &f);
    if (http_client_open(ca, loopback, &f) != 0 || resolver_open(&f) != 0 || sandbox_early(ROLE_RELAY, NULL, &level, &f) != 0
        || work_start(2) != 0 || resolver_start(&f) != 0 || sandbox_enter(ROLE_RELAY, &level, &f) != 0 || resolver_begin(&f) != 0)
        die(&f);
    sandbox_describe(&level, isolation);
    printf("isolation %s\n", isolation);
    dns_use(&resolver_way);
    coro_start(run, NULL);
    loop_run();
    fflush(stdout);
    _exit(0); /* LeakSanitizer's thread may not start in here */
}
