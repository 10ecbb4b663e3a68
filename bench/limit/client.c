/* The least that a client costs which asks one question at a time and compares each answer: a blocking socket, one send and
 * one receive an exchange.
 *
 * usage: client PORT EXCHANGES
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char WELCOME[] = "Welcome!\n", QUESTION[] = "Michael\n", ANSWER[] = "Hello, Michael!\n";

static void expect(int fd, const char *wanted, size_t length) {
    char line[64];
    size_t have = 0;
    while (have < length) {
        ssize_t got = recv(fd, line + have, sizeof line - have, 0);
        if (got <= 0) {
            fprintf(stderr, "cut off\n");
            exit(1);
        }
        have += (size_t)got;
    }
    if (have != length || memcmp(line, wanted, length)) {
        fprintf(stderr, "another answer\n");
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: client PORT EXCHANGES\n");
        return 2;
    }
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (struct sockaddr *)&server, sizeof server)) {
        perror("connect");
        return 1;
    }
    expect(fd, WELCOME, sizeof WELCOME - 1);
    for (long left = atol(argv[2]); left > 0; left--) {
        if (send(fd, QUESTION, sizeof QUESTION - 1, 0) != sizeof QUESTION - 1) {
            perror("send");
            return 1;
        }
        expect(fd, ANSWER, sizeof ANSWER - 1);
    }
    return 0;
}
