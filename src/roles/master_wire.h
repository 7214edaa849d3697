/* master_wire: what a role gets from master: its handover before it begins, and channels to the others when it is ready. */
#ifndef POSTEL_MASTER_WIRE_H
#define POSTEL_MASTER_WIRE_H

#include "login/login_uid.h"
#include "run/ipc.h"
#include "run/loop.h"

enum master_state { MASTER_DOWN, MASTER_STARTING, MASTER_READY };

/* A place for one role process. */
struct master_slot {
    enum role_kind kind;
    uint32_t index;
    enum master_state state;
    uint64_t boot;
    pid_t pid;                  /* 0: none */
    struct ipc_chan *control;
    int64_t started_ms;
    int64_t delay_ms;           /* before the next start, when this one dies soon */
    struct loop_timer restart;
    bool relief;                /* takes over from a retired one: nothing to tell people */
    int page, page_ro;          /* its counters; kept over restarts */
    unsigned failed_starts;
};

/* Set by master before the first handover. */
struct master_wire {
    struct span config;
    struct master_slot *slots;
    size_t n_slots;
    int control_socket[ROLE_COUNT]; /* -1: none */
    int clock_page;                 /* -1: the real clock */
    struct login_uids uids;         /* option sendmail.logins */
};
extern struct master_wire master_wire;

/* Both: false when some descriptor could not be handed over. */
bool master_wire_hand_over(const struct master_slot *s);    /* to one that has just started */
bool master_wire_peers(const struct master_slot *fresh);    /* a fresh socketpair for each pair that may call */

#endif
