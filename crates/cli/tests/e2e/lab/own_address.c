/* Preloaded by tests that cut members off from each other: a process that listens at a loopback address of its own
   also speaks from it, as it would on a machine of its own. Without this all of them speak from 127.0.0.1, and no
   packet filter could tell whose packets they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

static struct in_addr own;

static int is_loopback(const struct sockaddr_in *at) {
    return at->sin_family == AF_INET && (ntohl(at->sin_addr.s_addr) >> 24) == 127;
}

int listen(int fd, int backlog) {
    struct sockaddr_in at = {0};
    socklen_t size = sizeof at;
    if (getsockname(fd, (struct sockaddr *)&at, &size) == 0 && is_loopback(&at)
        && at.sin_addr.s_addr != htonl(INADDR_LOOPBACK))
        own = at.sin_addr;
    int (*next)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "listen");
    return next(fd, backlog);
}

int connect(int fd, const struct sockaddr *to, socklen_t length) {
    struct sockaddr_in from = {0};
    socklen_t size = sizeof from;
    if (own.s_addr && is_loopback((const struct sockaddr_in *)to)
        && getsockname(fd, (struct sockaddr *)&from, &size) == 0
        && from.sin_family == AF_INET && from.sin_addr.s_addr == INADDR_ANY && from.sin_port == 0) {
        int late = 1;
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof late);
        from.sin_addr = own;
        bind(fd, (struct sockaddr *)&from, sizeof from);
    }
    int (*next)(int, const struct sockaddr *, socklen_t) =
        (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
    return next(fd, to, length);
}
