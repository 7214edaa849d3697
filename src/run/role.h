/* role: the life of a role process: handed its channels by master, sandboxed, served, stopped. */
#ifndef POSTEL_ROLE_H
#define POSTEL_ROLE_H

#include "run/conn.h"
#include "run/ipc.h"
#include "run/service.h"

struct role_def {
    enum role_kind kind;
    const char *dir;        /* directory under data that it may use ("store"), or NULL */
    unsigned threads;       /* of the work pool; 0 = none */
    int (*prepare)(struct fail *f);     /* before the sandbox closes: open files, charsets, keys. May be NULL */
    int (*begin)(struct fail *f);       /* inside it, before the first outside byte */
    void (*accepted)(enum service_id service, int fd, const struct conn_addr *peer, const struct conn_addr *local);
                                        /* one connection; takes fd. Runs in the loop, starts a coroutine */
    void (*stop)(void);                 /* stop was asked for: end sessions; call role_stopped when done. NULL = at once */
    const struct ipc_handler *handlers;
    size_t n_handlers;
};

/* The whole main of a role; control socket is descriptor 3. Never returns before the end; exit status. */
int role_main(const struct role_def *def);
bool role_stopping(void);               /* stop was asked for: greet nobody, finish commands */
void role_stopped(void);                /* nothing is left to do: the process exits 0 */
void role_retire(void);                 /* scan: ask master for a successor; exit when the channels have closed */
void role_fatal(const struct fail *f) NORETURN; /* logs and exits 1 at once: master starts it again (REL-04) */
uint64_t role_boot(void);
void role_on_peer(void (*fn)(const struct ipc_peer *peer, struct ipc_chan *ch)); /* told of each new channel */

#endif
