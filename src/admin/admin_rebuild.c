/* postel rebuild: says what it found and what it will do, asks, does it, and says what is lost. */
#include "admin/admin_rebuild.h"

#include "admin/backup_manifest.h"
#include "admin/columns.h"
#include "admin/control.h"
#include "admin/place.h"
#include "admin/rebuild_scan.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/store_rebuild.h"

#include <fcntl.h>

/* ---- what is said ---- */

static void progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
    static int64_t last_ms;
    int64_t now = clock_mono_ms();
    if (!isatty(STDERR_FILENO) || now < last_ms + 200)
        return;
    last_ms = now;
    fprintf(stderr, "\r%-40s %3llu %%", what, (unsigned long long)(total > 0 ? MIN_OF(done, total) * 100 / total : 100));
}

static void end_progress(void)
{
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%50s\r", "");
}

static void line(uint64_t n, const char *text)
{
    if (n > 0)
        printf("  %llu %s\n", (unsigned long long)n, text);
}

static void say_log(const struct store_rebuild_report *x)
{
    printf("The log: %llu segments, %llu bytes\n", (unsigned long long)x->segments, (unsigned long long)x->log_bytes);
    line(x->records, "messages and uploads, those among them that were removed since");
    line(x->trees, "accounts whose mailboxes it names");
    line(x->bad_places, "places that cannot be read");
    line(x->bad_bytes, "bytes lie there");
    line(x->tail_bytes, "bytes at the end of a segment are no whole record: a batch that a crash cut off, or damage");
}

static void say_plan(const struct store_rebuild_report *x, bool base)
{
    if (x->index[0] != '\0') {
        printf("The index cannot be used: ");
        columns_escaped(stdout, span_z(x->index));
        printf("\n");
    } else {
        printf("The index can be read! What `postel verify --repair` can mend is better mended there: a new index knows less.\n");
    }
    printf("A new one is made of the log%s and put in its place; the old one is kept beside it, nothing is deleted.\n"
           "It will have each message in the mailbox where it arrived, with its UID, date and first flags.\n",
           base ? " and of the backup's" : "");
    printf(base ? "Flags, copies and moves are those of the backup; what was changed since then is lost.\n"
                : "Lost: later changes of flags, copies (they are only in the first mailbox), moves (they are back there),\n"
                  "values that clients keep. With --backup DIR they are as they were when that backup was made.\n");
    printf("Removed messages stay removed, but for those of the last second before the damage and of logs older than this command.\n");
}

static void say_result(const struct store_rebuild_report *x)
{
    printf("The new index is in place:\n");
    printf("  %llu accounts, %llu mailboxes, %llu messages\n", (unsigned long long)x->accounts, (unsigned long long)x->mailboxes,
           (unsigned long long)x->messages);
    line(x->kept, "of them as the backup had them");
    line(x->recovered, "mailboxes have lost their name and are called Recovered and a number");
    line(x->gone, "messages were removed before and stay so");
    line(x->repeated, "records of a batch that was written twice are left out");
    line(x->conflicts, "records contradict others and are left out");
    line(x->damaged, "messages have lost their text and are marked as damaged");
    line(x->unread, "messages have no envelope: it could not be made");
    line(x->stray_files, "files of big messages whose record is lost were moved away:");
    if (x->stray_files > 0)
        printf("    store/%s\n", x->strays);
    if (x->aside[0] != '\0')
        printf("The old index is store/%s*; remove it when you no longer want it.\n", x->aside);
    printf("Now: postel verify, then postel serve.\n");
}

/* ---- the index of a backup ---- */

/* A descriptor of it, -1 and *f. */
static int open_base(const char *dir, struct arena *mem, struct fail *f)
{
    struct backup_manifest m;
    int rc = -1, from = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0)
        return fail_perm(f, "", "%.100s cannot be opened", dir);
    backup_manifest_init(&m);
    int got = backup_manifest_read(&m, from, f);
    if (got == 0)
        fail_perm(f, "", "no manifest in %.100s: this is no whole backup", dir);
    for (size_t i = 0; got == 1 && rc < 0 && i < m.v.n; i++)
        if (span_starts(m.v.v[i].name, SPAN("store/index-")))
            rc = openat(from, arena_z(mem, m.v.v[i].name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (got == 1 && rc < 0)
        fail_perm(f, "", "the backup's index cannot be opened");
    backup_manifest_done(&m);
    close(from);
    return rc;
}

/* ---- doing it ---- */

static bool agreed(const struct command_input *in)
{
    char text[16];
    if (in->option[OPTION_YES] != NULL)
        return true;
    printf("Go on? [y/N] ");
    fflush(stdout);
    return fgets(text, sizeof text, stdin) != NULL && (text[0] == 'y' || text[0] == 'Y');
}

static int rebuild(const struct command_input *in, const char *dir, int base, struct fail *f)
{
    int rc = -1;
    struct rebuild_scan *scan = NULL;
    struct store_rebuild *r = store_rebuild_new(dir, f);
    if (r == NULL || (scan = rebuild_scan_new(f)) == NULL) /* before the log is read: a child has the memory of its parent */
        goto out;
    store_rebuild_on_progress(r, progress, NULL);
    rc = store_rebuild_look(r, f);
    end_progress();
    if (rc != 0)
        goto out;
    say_log(store_rebuild_report(r));
    say_plan(store_rebuild_report(r), base >= 0);
    if (!agreed(in)) {
        printf("Nothing was changed.\n");
        rc = 1;
        goto out;
    }
    rc = store_rebuild_run(r, base, rebuild_scan_summary, scan, f);
    end_progress();
    if (rc == 0)
        say_result(store_rebuild_report(r));
out:
    rebuild_scan_free(scan);
    store_rebuild_free(r);
    return rc;
}

int admin_rebuild(const struct command_input *in)
{
    struct arena mem;
    struct fail f = {0};
    char store[4096];
    int base = -1, rc = -1;
    arena_init(&mem);
    log_setup("postel", LOG_ERROR + 1);
    const char *dir = place_data(in, &mem, &f);
    if (dir != NULL && (size_t)snprintf(store, sizeof store, "%s/store", dir) >= sizeof store)
        dir = (fail_perm(&f, "", "the path is too long"), NULL);
    if (dir == NULL || (in->option[OPTION_BACKUP] != NULL && (base = open_base(in->option[OPTION_BACKUP], &mem, &f)) < 0))
        goto out;
    if (place_become_owner(store, &f) == 0)
        rc = rebuild(in, store, base, &f);
out:
    if (base >= 0)
        close(base);
    arena_done(&mem);
    return rc < 0 ? control_say(in, &f) : rc;
}
