/* role: the life of a role process: handed its channels by master, sandboxed, served, stopped.
 *
 * The order, once everything that prepare may need has come (config, own number, pages, listeners, then ctl_go):
 *
 *   without a directory   prepare   Landlock   threads   start             seccomp   begin   ctl_ready   accepts
 *   with a directory                Landlock   threads   start   prepare   seccomp   begin   ctl_ready   accepts
 *
 * So a role without a directory may read files in prepare (charsets, the CA store), and starts no thread there: Landlock
 * would not reach it: start is the place for that. A role with one lives in it from its first step (it is its working directory: open "index.db", not
 * "store/index.db"), and may start threads of its own in prepare. After seccomp no thread and no process starts.
 * Channels to other roles come after ctl_ready, and again whenever one of them was replaced: ipc_call waits for them.
 */
#ifndef POSTEL_ROLE_H
#define POSTEL_ROLE_H

#include "run/conn.h"
#include "run/ipc.h"
#include "run/service.h"

struct role_def {
    enum role_kind kind;
    const char *dir;        /* directory under data that it may use ("store") and finds itself in, or NULL */
    unsigned threads;       /* of the work pool; 0 = none */
    int (*prepare)(struct fail *f);     /* before seccomp: open files, charsets, keys. May be NULL */
    int (*start)(struct fail *f);       /* threads of its own; no files. May be NULL */
    int (*begin)(struct fail *f);       /* inside, before the first outside byte; may block, no coroutine. May be NULL */
    void (*accepted)(enum service_id service, int fd, const struct conn_addr *peer, const struct conn_addr *local);
                                        /* one connection; takes fd. Runs in the loop, starts a coroutine */
    void (*stop)(void);                 /* stop was asked for: end sessions; call role_stopped when done. NULL = once idle */
    void (*reload)(void);   /* SIGHUP came to master: read again what may have changed outside. NULL = nothing to read */
    const struct ipc_handler *handlers;
    size_t n_handlers;
};

/* The whole main of a role; control socket is descriptor 3. Never returns before the end; exit status. */
int role_main(const struct role_def *def);
bool role_stopping(void);               /* stop was asked for: greet nobody, finish commands */
void role_stopped(void);                /* nothing is left to do: the process exits 0 */
/* scan: asks master for a successor. Its callers get a channel to that one, send it all new calls, and close ours when
 * the last reply is there; then the process exits 0. No call meets a closing door, none counts as broken. */
void role_retire(void);
void role_fatal(const struct fail *f) NORETURN; /* logs and exits 1 at once: master starts it again (REL-04) */
uint64_t role_boot(void);
void role_on_peer(void (*fn)(const struct ipc_peer *peer, struct ipc_chan *ch)); /* told of each new channel */

#endif
