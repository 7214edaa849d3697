/* service: the table of what listens, made from SERVICE_TABLE. */
#include "run/service.h"

const struct service service_table[SERVICE_COUNT] = {
#define X(name_, role_, tls_, alpn_)                                                                                   \
    [SERVICE_##name_] = {.name = #name_, .role = role_, .tls = tls_, .alpn = alpn_, .listen = CONFIG_listen_##name_},
    SERVICE_TABLE(X)
#undef X
};
