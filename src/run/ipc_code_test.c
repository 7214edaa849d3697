/* Every message: random contents survive, and nothing that differs by a byte in length or count is taken. */
#include "base/str.h"
#include "run/ipc_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct arena mem;

static void one_round_trip(struct ipc_random *r, enum msg_id id, bool reply)
{
    const struct ipc_layout *l = reply ? ipc_code_rows[id].out() : ipc_code_rows[id].in();
    void *a = arena_zalloc(&mem, l->size + 1u), *b = arena_zalloc(&mem, l->size + 1u);
    struct str wire;
    str_init(&wire, &mem);
    ipc_testing_fill(r, l, a, &mem, 60);
    assert_int_equal(ipc_encode(&wire, id, reply, a), IPC_FD_NONE);
    assert_int_equal(wire.n, ipc_code_size(l, a));
    assert_int_equal(ipc_decode(id, reply, str_span(&wire), &mem, b), 0);
    assert_true(ipc_testing_same(l, a, b));
    /* Every shorter prefix, and one byte more, is no such message. */
    for (size_t n = 0; n < wire.n; n++)
        assert_int_equal(ipc_decode(id, reply, span_of(wire.p, n), &mem, b), -1);
    str_addc(&wire, 'x');
    assert_int_equal(ipc_decode(id, reply, str_span(&wire), &mem, b), -1);
    arena_reset(&mem);
}

static void every_message_round_trips(void **state)
{
    struct ipc_random r = {1};
    for (int turn = 0; turn < 8; turn++)
        for (int id = 0; id < MSG_ID_COUNT; id++) {
            one_round_trip(&r, (enum msg_id)id, false);
            if (ipc_code_rows[id].out)
                one_round_trip(&r, (enum msg_id)id, true);
        }
}

static void bytes_are_as_documented(void **state)
{
    static const unsigned char want[] = {
        1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, /* status, generation, flags */
        2, 0, 0, 0, '+', 'x', 1, 0, 0, 0,               /* detail, one record: */
        7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 'a', '@', 'b', 0, 0, 0, 0,
        0, 0, 0, 0,                                     /* none of the other list */
    };
    struct msg_rcpt_target t = {.account = 7, .address = SPAN("a@b")};
    struct msg_rcpt_check_r m = {.status = 1, .generation = 5, .flags = 1, .detail = SPAN("+x"), .targets = {&t, 1}};
    struct str wire;
    str_init(&wire, &mem);
    ipc_encode(&wire, MSG_ID_rcpt_check, true, &m);
    assert_int_equal(wire.n, sizeof want);
    assert_memory_equal(wire.p, want, sizeof want);
}

/* A count or length that the bytes cannot hold is refused before anything is allocated. */
static void claims_beyond_the_bytes(void **state)
{
    static const struct {
        enum msg_id id;
        bool reply;
        struct span in;
    } rows[] = {
        {MSG_ID_member_scan, true, SPAN("\0\0\0\0\0\0\0\0\xff\xff\xff\xff")},
        {MSG_ID_member_scan, true, SPAN("\0\0\0\0\0\0\0\0\1\0\0\0")},
        {MSG_ID_rcpt_check, false, SPAN("\xff\xff\xff\xff")},
        {MSG_ID_rcpt_check, false, SPAN("\2\0\0\0a")},
    };
    struct msg_member_scan_r out;
    arena_done(&mem);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(ipc_decode(rows[i].id, rows[i].reply, rows[i].in, &mem, &out), -1);
    assert_int_equal(mem.used, 0);
}

static void descriptors_are_a_flag(void **state)
{
    struct msg_spool_lend_r m = {.file = 5, .size = 1}, back;
    struct str wire;
    str_init(&wire, &mem);
    assert_int_equal(ipc_encode(&wire, MSG_ID_spool_lend, true, &m), 5);
    assert_int_equal(wire.p[0], 1);
    assert_int_equal(ipc_decode(MSG_ID_spool_lend, true, str_span(&wire), &mem, &back), 0);
    assert_int_equal(back.file, IPC_FD_RIDES);
    wire.p[0] = 2;
    assert_int_equal(ipc_decode(MSG_ID_spool_lend, true, str_span(&wire), &mem, &back), -1);
}

static void rows_say_who_may(void **state)
{
    assert_true(ipc_code_may(MSG_ID_ingest, ROLE_FRONT_MX, ROLE_STORE));
    assert_false(ipc_code_may(MSG_ID_ingest, ROLE_FRONT_MX, ROLE_AUTH));
    assert_false(ipc_code_may(MSG_ID_ingest, ROLE_ADMIN, ROLE_STORE));
    assert_false(ipc_code_may(MSG_ID_session_add, ROLE_FRONT_USER, ROLE_STORE)); /* SEC-24: handles come from auth */
    assert_false(ipc_code_may(MSG_ID_member_scan, ROLE_FRONT_MX, ROLE_STORE));
    assert_true(ipc_code_may(MSG_ID_ctl_go, ROLE_MASTER, ROLE_SCAN));
    assert_false(ipc_code_may(MSG_ID_ctl_go, ROLE_SCAN, ROLE_AUTH));
}

static void doc_names_every_message(void **state)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    ipc_print_doc(to);
    fclose(to);
    for (int id = 0; id < MSG_ID_COUNT; id++) {
        struct span title = arena_printf(&mem, "\n### %s\n", ipc_name((enum msg_id)id));
        assert_true(span_find(span_of(text, n), title) >= 0);
    }
    free(text);
}

static int teardown(void **state)
{
    arena_done(&mem);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_message_round_trips, teardown),
        cmocka_unit_test_teardown(bytes_are_as_documented, teardown),
        cmocka_unit_test_teardown(claims_beyond_the_bytes, teardown),
        cmocka_unit_test_teardown(descriptors_are_a_flag, teardown),
        cmocka_unit_test_teardown(rows_say_who_may, teardown),
        cmocka_unit_test_teardown(doc_names_every_message, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
