/* The least that a server can do: epoll, one thread, bodies in memory in pieces of 64 KiB, one writev per answer.
 * It understands GET /body-SIZE.ts and nothing else: what the origin costs more than this is the price of being an origin.
 * Usage: bare PORT SIZE... */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, SLICES = 64, BODIES = 16, INPUT = 4096, EVENTS = 256 };

struct body {
    size_t size, count;
    char **pieces;
};

struct connection {
    int fd;
    size_t filled;            /* bytes of the request at hand */
    const struct body *body;  /* what is being sent */
    size_t sent, head_length; /* of head and body together */
    char head[512], input[INPUT];
};

static struct body bodies[BODIES];
static size_t body_count;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void make(struct body *body, size_t size) {
    body->size = size;
    body->count = (size + PIECE - 1) / PIECE;
    body->pieces = calloc(body->count, sizeof *body->pieces);
    if (!body->pieces) die("calloc");
    for (size_t index = 0; index < size; index++) {
        char **piece = &body->pieces[index / PIECE];
        if (!*piece && !(*piece = malloc(PIECE))) die("malloc");
        (*piece)[index % PIECE] = (char)(index % 251);
    }
}

static void finish(struct connection *connection) {
    close(connection->fd);
    free(connection);
}

/* Writes until all is sent or the kernel takes no more: 1 done, 0 later, -1 gone. */
static int push(struct connection *c) {
    const size_t total = c->head_length + c->body->size;
    while (c->sent < total) {
        struct iovec slices[SLICES];
        int count = 0;
        size_t at = c->sent;
        if (at < c->head_length) {
            slices[count++] = (struct iovec){c->head + at, c->head_length - at};
            at = c->head_length;
        }
        while (at < total && count < SLICES) {
            size_t offset = at - c->head_length, piece = offset / PIECE, inside = offset % PIECE;
            size_t length = PIECE - inside, rest = c->body->size - offset;
            slices[count++] = (struct iovec){c->body->pieces[piece] + inside, length < rest ? length : rest};
            at += length < rest ? length : rest;
        }
        ssize_t written = writev(c->fd, slices, count);
        if (written < 0) return errno == EAGAIN ? 0 : -1;
        c->sent += (size_t)written;
        if (c->sent < at) return 0; /* a short write: the kernel is full */
    }
    c->body = NULL;
    return 1;
}

/* Takes one request: 1 taken, 0 incomplete, -1 not understood. */
static int take(struct connection *c) {
    char *end = memmem(c->input, c->filled, "\r\n\r\n", 4);
    if (!end) return c->filled == INPUT ? -1 : 0;
    size_t size = 0;
    if (sscanf(c->input, "GET /body-%zu.ts HTTP/1.1\r\n", &size) != 1) return -1;
    for (size_t index = 0; index < body_count; index++)
        if (bodies[index].size == size) c->body = &bodies[index];
    if (!c->body) return -1;
    char date[64];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&now));
    c->head_length = (size_t)snprintf(c->head, sizeof c->head,
        "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nContent-Type: video/mp2t\r\nETag: \"0123456789abcdef0123456789abcdef\"\r\n"
        "Cache-Control: public, max-age=10\r\nAccept-Ranges: bytes\r\nDate: %s\r\n\r\n", size, date);
    c->sent = 0;
    size_t used = (size_t)(end + 4 - c->input);
    memmove(c->input, c->input + used, c->filled - used);
    c->filled -= used;
    return 1;
}

/* Goes on with a connection; 0 when it is over. */
static int advance(struct connection *c) {
    for (;;) {
        if (c->body) {
            int pushed = push(c);
            if (pushed <= 0) return pushed == 0;
        }
        int taken = take(c);
        if (taken < 0) return 0;
        if (taken > 0) continue;
        ssize_t length = read(c->fd, c->input + c->filled, INPUT - c->filled);
        if (length < 0) return errno == EAGAIN;
        if (length == 0) return 0;
        c->filled += (size_t)length;
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return fprintf(stderr, "usage: bare PORT SIZE...\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    for (int index = 2; index < argc && body_count < BODIES; index++) make(&bodies[body_count++], strtoul(argv[index], NULL, 10));
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) die("listen");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int index = 0; index < count; index++) {
            struct connection *c = events[index].data.ptr;
            if (c) {
                if (!advance(c)) finish(c);
                continue;
            }
            int fd;
            while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                if (!(c = calloc(1, sizeof *c))) die("calloc");
                c->fd = fd;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                event = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
                epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
            }
        }
    }
}
