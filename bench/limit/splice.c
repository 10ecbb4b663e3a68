/* One end of a bulk transfer as bare as it goes: splice(2) between a socket and a pipe, or through a pipe of its own.
 *
 * usage: splice listen PORT     accepts one connection; socket to stdout, or stdin to socket if stdin is a pipe
 *        splice connect PORT    the same from the other end
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 1 << 20 };

static void die(const char *what) {
    perror(what);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!strcmp(argv[1], "listen")) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 1)) die("listen");
        fd = accept(fd, NULL, NULL);
    } else if (connect(fd, (struct sockaddr *)&address, sizeof address)) {
        die("connect");
    }
    struct stat input;
    fstat(0, &input);
    if (S_ISFIFO(input.st_mode)) {
        fcntl(0, F_SETPIPE_SZ, MOST);
        ssize_t n;
        while ((n = splice(0, NULL, fd, NULL, MOST, SPLICE_F_MOVE)) > 0) {}
        if (n < 0) die("splice");
        shutdown(fd, SHUT_WR);
        char last;
        return read(fd, &last, 1) != 0;
    }
    int between[2];
    if (pipe(between)) die("pipe");
    fcntl(between[1], F_SETPIPE_SZ, MOST);
    ssize_t n;
    while ((n = splice(fd, NULL, between[1], NULL, MOST, SPLICE_F_MOVE)) > 0) {
        while (n > 0) {
            ssize_t m = splice(between[0], NULL, 1, NULL, n, SPLICE_F_MOVE);
            if (m <= 0) die("splice out");
            n -= m;
        }
    }
    return n < 0;
}
