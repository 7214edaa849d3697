/* encword, message ids, MIME parameters: what comes out of a field's value is valid UTF-8 where it says so. */
#include "format/encword.h"

#include "base/utf8.h"
#include "format/charset.h"
#include "format/message_id.h"
#include "format/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena mem;
    struct span in = span_of(data, size), rest = in, id;
    struct mime_value v;
    struct str out;
    charset_open_all();
    str_init(&out, &mem);
    encword_decode(&out, in);
    must(utf8_valid(str_span(&out)));
    if (mime_content_type(in, &v, &mem)) {
        for (uint32_t i = 0; i < v.n_params; i++) {
            struct span name = v.params[i].name;
            must(name.n > 0 && v.params[i].value.p != NULL);
            must(v.params[i].value.n <= 3 * size);
        }
        mime_param(&v, SPAN("boundary"));
        mime_type(&v);
    }
    while (message_id_next(&rest, &id, &mem))
        must(id.n > 0 && span_find_char(id, '\n') < 0 && span_find_char(id, ' ') < 0);
    arena_reset(&mem);
    return 0;
}
