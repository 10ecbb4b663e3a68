/* The least that a fetch over plain HTTP can cost: one GET, the head read, the body moved by splice(2) into a file.
 *     fetch HOST PORT PATH FILE
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what) {
    perror(what);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &to.sin_addr);
    if (connect(peer, (struct sockaddr *)&to, sizeof to)) die("connect");
    char request[1024], head[65536];
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%s\r\n\r\n", argv[3], argv[1], argv[2]);
    if (write(peer, request, length) != length) die("write");
    size_t came = 0;
    char *end = NULL;
    while (!end) {
        ssize_t got = read(peer, head + came, sizeof head - 1 - came);
        if (got <= 0) die("read");
        came += got;
        head[came] = 0;
        end = strstr(head, "\r\n\r\n");
    }
    char *field = strcasestr(head, "\r\nContent-Length:");
    if (!field) return 3;
    size_t left = strtoull(field + 17, NULL, 10), behind = came - (end + 4 - head);
    int file = open(argv[4], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), pipes[2];
    if (file < 0 || pipe2(pipes, O_CLOEXEC)) die("open");
    fcntl(pipes[1], F_SETPIPE_SZ, 1 << 20);
    if (write(file, end + 4, behind) != (ssize_t)behind) die("write");
    for (left -= behind; left;) {
        ssize_t in = splice(peer, NULL, pipes[1], NULL, left < 1 << 20 ? left : 1 << 20, SPLICE_F_MOVE);
        if (in <= 0) die("splice");
        for (left -= in; in;) {
            ssize_t out = splice(pipes[0], NULL, file, NULL, in, SPLICE_F_MOVE);
            if (out <= 0) die("splice");
            in -= out;
        }
    }
    return 0;
}
