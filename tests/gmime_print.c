/* gmime_print: the parts of a message on standard input as GMime sees them, as JSON lines: an oracle for scan. */
#include <gmime/gmime.h>

static void hex(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf("%02x", p[i]);
}

static void content(GMimePart *part)
{
    GMimeDataWrapper *w = g_mime_part_get_content(part);
    GMimeStream *s = g_mime_stream_mem_new();
    if (w != NULL)
        g_mime_data_wrapper_write_to_stream(w, s);
    GByteArray *bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(s));
    hex(bytes->data, bytes->len);
    g_object_unref(s);
}

static void print(GMimeObject *o)
{
    GMimeContentType *t = g_mime_object_get_content_type(o);
    printf("{\"type\":\"%s/%s\",\"content\":", g_mime_content_type_get_media_type(t), g_mime_content_type_get_media_subtype(t));
    if (GMIME_IS_PART(o)) {
        printf("\"");
        content(GMIME_PART(o));
        printf("\"}\n");
        return;
    }
    printf("null}\n");
    if (GMIME_IS_MULTIPART(o)) {
        int n = g_mime_multipart_get_count(GMIME_MULTIPART(o));
        for (int i = 0; i < n; i++)
            print(g_mime_multipart_get_part(GMIME_MULTIPART(o), i));
    } else if (GMIME_IS_MESSAGE_PART(o)) {
        GMimeMessage *m = g_mime_message_part_get_message(GMIME_MESSAGE_PART(o));
        if (m != NULL && g_mime_message_get_mime_part(m) != NULL)
            print(g_mime_message_get_mime_part(m));
    }
}

int main(void)
{
    g_mime_init();
    GMimeStream *in = g_mime_stream_pipe_new(0);
    GMimeParser *parser = g_mime_parser_new_with_stream(in);
    GMimeMessage *m = g_mime_parser_construct_message(parser, NULL);
    if (m == NULL || g_mime_message_get_mime_part(m) == NULL)
        return 1;
    print(g_mime_message_get_mime_part(m));
    return 0;
}
