/* A whole channel, fed by a fallen peer: frames of any kind, whole, cut and glued, over a real socket into handlers
 * that answer. The first byte chooses whether the rest is taken as raw bytes or as bodies to be put into frames. */
#include "base/log.h"
#include "run/ipc_chan.h"

#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct ipc_handler rows[MSG_ID_COUNT];

static void answer(struct ipc_req *req)
{
    const struct ipc_layout *l = ipc_code_rows[req->id].out();
    void *rep = arena_zalloc(req->mem, l->size + 1u);
    int *fd = ipc_code_fd(l, rep);
    if (fd)
        *fd = IPC_FD_NONE;
    ipc_reply(req, rep);
}

static void heed(const struct ipc_peer *peer, const void *in) {}

static void setup(void)
{
    for (int id = 0; id < MSG_ID_COUNT; id++) {
        rows[id].id = (enum msg_id)id;
        if (ipc_code_rows[id].out)
            rows[id].call = answer;
        else
            rows[id].post = heed;
    }
    log_setup("fuzz", LOG_ERROR);
    ipc_self(ROLE_STORE);
    ipc_serve(rows, COUNT_OF(rows));
    if (loop_init() < 0)
        abort();
}

/* Per frame: u8 message, u8 kind and slot, u8 length, body. */
static void send_framed(int fd, const uint8_t *data, size_t n)
{
    while (n >= 3) {
        unsigned char head[IPC_HEAD];
        size_t body = MIN_OF(data[2], n - 3);
        unsigned kind = data[1] & 3;
        ipc_code_put32(head, (uint32_t)(IPC_HEAD - 4 + body));
        ipc_code_put32(head + 4, kind == IPC_KIND_POST ? 0 : 4096 + (data[1] >> 4));
        ipc_code_put32(head + 8, data[0] | kind << 16);
        if (send(fd, head, sizeof head, MSG_NOSIGNAL) < 0 || send(fd, data + 3, body, MSG_NOSIGNAL) < 0)
            return;
        data += 3 + body;
        n -= 3 + body;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool ready;
    int ends[2];
    if (!ready)
        setup();
    ready = true;
    if (n < 1 || n > 16000 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
        return 0;
    enum role_kind peer = data[0] & 1 ? ROLE_FRONT_USER : data[0] & 2 ? ROLE_AUTH : ROLE_ADMIN;
    struct ipc_chan *ch = ipc_attach(ends[0], (struct ipc_peer){peer, 0, 1}, true, true);
    if (data[0] & 4)
        send_framed(ends[1], data + 1, n - 1);
    else
        send(ends[1], data + 1, n - 1, MSG_NOSIGNAL);
    ipc_poll(peer);
    ipc_detach(ch);
    loop_stop();
    loop_run(); /* one turn: frees the channel */
    close(ends[1]);
    return 0;
}
