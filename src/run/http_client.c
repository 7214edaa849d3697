/* curl blocks, so it runs on the work pool, and must not resolve, for that starts threads and reads files: it is told the
 * addresses. Everything else that it could read or remember is turned off. */
#include "run/http_client.h"

#include <curl/curl.h>

#include "base/str.h"
#include "run/work.h"

static struct span authorities;
static bool (*may_connect)(const unsigned char ip[16]);

struct fetch {
    const char *url;
    struct curl_slist *resolve;
    size_t most;
    long wait_ms, status;
    char *body; /* most bytes */
    size_t n;
    bool too_large;
    char type[80], error[CURL_ERROR_SIZE];
    CURLcode result;
};

int http_client_open(struct span ca_pem, bool (*may)(const unsigned char ip[16]), struct fail *f)
{
    authorities = ca_pem;
    may_connect = may;
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : fail_temp(f, "4.3.0", "libcurl does not start");
}

void http_client_close(void)
{
    curl_global_cleanup();
}

static size_t take(char *data, size_t size, size_t n, void *arg)
{
    struct fetch *x = arg;
    if (n > x->most - x->n) {
        x->too_large = true;
        return 0; /* ends the transfer */
    }
    memcpy(x->body + x->n, data, n);
    x->n += n;
    return n;
}

static void set_up(CURL *c, struct fetch *x)
{
    struct curl_blob ca = {(void *)(uintptr_t)authorities.p, authorities.n, CURL_BLOB_NOCOPY};
    curl_easy_setopt(c, CURLOPT_URL, x->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L); /* RFC 8461 3.3: redirects are not followed */
    curl_easy_setopt(c, CURLOPT_RESOLVE, x->resolve);
    curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &ca);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, x->wait_ms);
    curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)x->most);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "Postel");
    curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->error);
}

/* On the pool: touches *x alone. */
static void perform(void *arg)
{
    struct fetch *x = arg;
    const char *type = NULL;
    CURL *c = curl_easy_init();
    x->result = CURLE_OUT_OF_MEMORY;
    if (c == NULL)
        return;
    set_up(c, x);
    x->result = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &x->status);
    if (curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type != NULL)
        snprintf(x->type, sizeof x->type, "%s", type);
    curl_easy_cleanup(c);
}

/* "host:port:192.0.2.1,[2001:db8::1]" (CURLOPT_RESOLVE), or NULL when no address may be connected to. */
static const char *addresses_of(const struct http_client_get *get, const struct dns_addresses *a, struct arena *mem)
{
    struct str s;
    size_t n = 0;
    str_init(&s, mem);
    str_addf(&s, "%.*s:%u:", SPAN_ARGS(get->host), get->port);
    for (size_t i = 0; i < a->n && n < 8; i++)
        if (may_connect(a->v[i].ip))
            str_addf(&s, "%s%s%s%s", n++ > 0 ? "," : "", a->v[i].v4 ? "" : "[", a->v[i].text, a->v[i].v4 ? "" : "]");
    return n > 0 ? str_z(&s) : NULL;
}

static void media_type(struct fetch *x, struct http_client_got *out, struct arena *mem)
{
    struct span rest = span_z(x->type), type = span_trim(span_split(&rest, ';'));
    char *z = arena_z(mem, type);
    for (char *p = z; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p | 32);
    out->type = span_of(z, type.n);
}

WAITS int http_client_fetch(const struct http_client_get *get, struct http_client_got *out, struct arena *mem, struct fail *f)
{
    struct dns_addresses a;
    *out = (struct http_client_got){0};
    if (authorities.n == 0)
        return fail_temp(f, "4.7.5", "https %.60s: no file of authorities is configured", arena_z(mem, get->host));
    if (dns_addresses(get->host, &a, mem) != DNS_OK)
        return fail_temp(f, "4.4.3", "https %.*s: no address (%s)", SPAN_ARGS(get->host), dns_status_word(a.answer.status));
    const char *resolve = addresses_of(get, &a, mem);
    if (resolve == NULL)
        return fail_temp(f, "4.4.4", "https %.*s: its addresses are not ones to connect to", SPAN_ARGS(get->host));
    struct fetch x = {.most = get->most, .wait_ms = (long)get->wait_ms, .body = arena_alloc(mem, get->most + 1)};
    x.url = arena_z(mem, arena_printf(mem, "https://%.*s:%u%.*s", SPAN_ARGS(get->host), get->port, SPAN_ARGS(get->path)));
    x.resolve = curl_slist_append(NULL, resolve);
    if (x.resolve != NULL)
        work_run(perform, &x);
    curl_slist_free_all(x.resolve);
    if (x.too_large || x.result == CURLE_FILESIZE_EXCEEDED)
        return fail_temp(f, "4.3.0", "https %.*s: more than %zu bytes", SPAN_ARGS(get->host), get->most);
    if (x.result != CURLE_OK)
        return fail_temp(f, "4.4.2", "https %.*s: %s", SPAN_ARGS(get->host), x.error[0] ? x.error : curl_easy_strerror(x.result));
    out->status = (int)x.status;
    media_type(&x, out, mem);
    if (x.status == 200)
        out->body = span_of(x.body, x.n);
    return 0;
}
