/* message_id and received. */
#include "format/message_id.h"

#include "format/format_testing.h"
#include "format/received.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define IN(lit) {"" lit, sizeof(lit) - 1}


static struct span ids(struct span in, struct arena *mem)
{
    struct str out;
    struct span id;
    str_init(&out, mem);
    while (message_id_next(&in, &id, mem)) {
        str_add(&out, id);
        str_addc(&out, '|');
    }
    return str_span(&out);
}

static const struct {
    struct span in, want;
} rows[] = {
    {IN(" <1234@local.machine.example>\r\n"), IN("1234@local.machine.example|")},
    {IN("<a@b> <c@d>\r\n\t<e@f>"), IN("a@b|c@d|e@f|")},
    {IN("<1234   @   local  .machine .example>"), IN("1234@local.machine.example|")},
    {IN("<a@\r\n b>"), IN("a@b|")},
    {IN("<>"), IN("")},
    {IN("<><a@b>"), IN("a@b|")},
    {IN("bare@id.test"), IN("bare@id.test|")},
    {IN("bare words"), IN("bare|words|")},
    {IN("Your mail of Monday <a@b> (thanks)"), IN("a@b|")},
    {IN("<open@x"), IN("open@x|")},
    {IN("<"), IN("")},
    {IN(" \r\n"), IN("")},
    {IN(""), IN("")},
};

static void table(void **state)
{
    struct arena mem;
    arena_init(&mem);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span got = ids(rows[i].in, &mem);
        if (!span_eq(got, rows[i].want))
            fail_msg("row %zu: %.*s", i, SPAN_ARGS(got));
    }
    assert_int_equal(message_id_hash(SPAN(" <a@\r\n b>"), &mem), span_hash(SPAN("a@b")));
    assert_int_equal(message_id_hash(SPAN("<>"), &mem), 0);
    char words[4098]; /* so long a field of bare words has no ids: looking for a < again and again would take too long */
    memset(words, 'a', sizeof words);
    assert_int_equal(message_id_hash(span_of(words, 4096), &mem), span_hash(span_of(words, 4096)));
    assert_int_equal(message_id_hash(span_of(words, 4097), &mem), 0);
    memcpy(words, "<b>", 3);
    assert_int_equal(message_id_hash(span_of(words, 4098), &mem), span_hash(SPAN("b")));
    arena_done(&mem);
}

static void prefix(struct span in, struct arena *mem) { ids(in, mem); }

static void truncated(void **state)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        format_testing_prefixes(rows[i].in, prefix);
}

static void received(void **state)
{
    struct arena mem;
    struct str out;
    arena_init(&mem);
    str_init(&out, &mem);
    received_write(&out, &(struct received){.helo = SPAN("mx.example.org"), .peer = SPAN("192.0.2.1"), .by = SPAN("mail.test"),
                                            .protocol = SPAN("ESMTPS"), .tls = SPAN("TLSv1.3 TLS_AES_256_GCM_SHA384"),
                                            .id = SPAN("abcd2345abcd"), .rcpt = SPAN("alice@mail.test"), .time_s = 0});
    assert_string_equal(str_z(&out), "Received: from mx.example.org ([192.0.2.1]) by mail.test with ESMTPS (TLSv1.3)\r\n"
                                     " id abcd2345abcd for <alice@mail.test> tls TLS_AES_256_GCM_SHA384; Thu, 1 Jan\r\n"
                                     " 1970 00:00:00 +0000\r\n");
    str_clear(&out);
    received_write(&out, &(struct received){.helo = SPAN("a)\r\nBcc: x (\0"), .peer = SPAN("2001:db8::1"), .by = SPAN("mail.test"),
                                            .protocol = SPAN("SMTP"), .rcpt = SPAN("\"a>;\"@b")});
    assert_string_equal(str_z(&out), "Received: from a???Bcc:?x??? ([IPv6:2001:db8::1]) by mail.test with SMTP for\r\n"
                                     " <?a???@b>; Thu, 1 Jan 1970 00:00:00 +0000\r\n");
    assert_int_equal(received_count(SPAN("Received: a\r\nRECEIVED :b\r\n c\r\nX: Received: y\r\n\r\nReceived: z\r\n")), 2);
    arena_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(truncated), cmocka_unit_test(received)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
