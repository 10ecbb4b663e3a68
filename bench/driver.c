/* A closed-loop driver of line protocols: each connection sends a batch of questions, reads the answers, checks every
 * byte, and sends the next batch. One thread, epoll. Loopback only, bounded by time or by count.
 *
 * usage: driver [OPTION…] PORT CONNECTIONS BATCH SECONDS
 *     -w TEXT    what the server says first; the greeting's by default, empty for nothing
 *     -q TEXT    the question, with its line ending
 *     -a TEXT    the answer
 *     -p COUNT   so many connections more, which keep 16 batches of 100 on their way all the time
 *     -n LIVES   churn until so many connections have ended, whatever SECONDS says
 *     -s PID     the server's process, whose CPU clock is read
 *
 * Prints answers a second, the 50th and 99th percentile of a batch's latency in microseconds, the answers a second that
 * the connections of -p got, and the CPU that the server used, in microseconds for each answer of all. The first three are
 * of the CONNECTIONS alone. Opening the connections is in none of them.
 *
 * With SECONDS 0 the connections are held open until it is killed; it prints how many were opened a second.
 *
 * With BATCH 0 each connection is welcomed, asks once, says `exit`, is closed by the server, and begins again (churn);
 * then it prints connections a second, the same percentiles of their lives, 0, and the server's CPU for each.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, SAMPLES = 4 << 20, GREEDY_BATCH = 100, GREEDY_BATCHES = 16 };

struct text {
    const char *bytes;
    size_t length;
};

/* What a connection asks, and what it must hear. */
struct work {
    struct text question, answer;
    int batch;
    int greedy;
};

struct connection {
    int fd;
    size_t got; /* bytes of the answer that came */
    double sent_at;
    struct work *work;
};

static struct text welcome = {"Welcome!\n", 9}, question = {"Michael\n", 8}, answer = {"Hello, Michael!\n", 16};
static struct sockaddr_in server = {.sin_family = AF_INET};
static clockid_t server_clock = -1;
static double *latency;
static size_t samples;

static double read_clock(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double now(void) {
    return read_clock(CLOCK_MONOTONIC);
}

static double server_cpu(void) {
    return server_clock == -1 ? 0 : read_clock(server_clock);
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void wrong(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static struct text given(const char *bytes) {
    return (struct text){bytes, strlen(bytes)};
}

static struct text repeated(struct text text, int times) {
    char *bytes = malloc(text.length * times);
    for (int i = 0; i < times; i++) memcpy(bytes + i * text.length, text.bytes, text.length);
    return (struct text){bytes, text.length * times};
}

static void say(int fd, struct text text) {
    if (write(fd, text.bytes, text.length) != (ssize_t)text.length) die("write");
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void sample(double took) {
    if (samples < SAMPLES) latency[samples++] = took;
}

static void print_results(double took, double used, unsigned long long ours, unsigned long long others) {
    qsort(latency, samples, sizeof *latency, by_value);
    printf("%.0f %.0f %.0f %.0f %.4f\n", ours / took, samples ? latency[samples / 2] * 1e6 : 0,
           samples ? latency[samples * 99 / 100] * 1e6 : 0, others / took, ours + others ? used / (ours + others) * 1e6 : 0);
}

static void watch(int epoll, struct connection *c) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
}

/* Opens a connection without waiting for it. */
static void begin_life(struct connection *c, int epoll) {
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    c->got = 0;
    c->sent_at = now();
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) die("connect");
    watch(epoll, c);
}

static void churn(struct connection *connections, int count, double seconds, unsigned long long most) {
    size_t all = welcome.length + answer.length;
    char says[512], buffer[512];
    if (all > sizeof says) wrong("too long for a churn");
    memcpy(mempcpy(says, welcome.bytes, welcome.length), answer.bytes, answer.length);
    int epoll = epoll_create1(0);
    struct epoll_event events[EVENTS];
    unsigned long long lives = 0;
    double used = server_cpu(), begin = now(), end = begin + seconds;
    for (int i = 0; i < count; i++) begin_life(&connections[i], epoll);
    while (most ? lives < most : now() < end) {
        int ready = epoll_wait(epoll, events, EVENTS, 1000);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            ssize_t n = read(c->fd, buffer, sizeof buffer);
            if (n < 0) die("read");
            if (n == 0) {
                if (c->got != all) wrong("closed early");
                close(c->fd);
                lives++;
                sample(now() - c->sent_at);
                begin_life(c, epoll);
                continue;
            }
            if (c->got + n > all || memcmp(buffer, says + c->got, n)) wrong("a wrong answer");
            int welcomed = c->got >= welcome.length;
            c->got += n;
            if (!welcomed && c->got >= welcome.length) say(c->fd, question);
            if (c->got == all) say(c->fd, given("exit\n"));
        }
    }
    print_results(now() - begin, server_cpu() - used, lives, 0);
}

/* Opens a connection and hears the welcome. */
static void open_one(struct connection *c, int epoll) {
    char buffer[512];
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0) die("socket");
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server)) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (welcome.length) {
        ssize_t n = recv(c->fd, buffer, welcome.length, MSG_WAITALL);
        if (n != (ssize_t)welcome.length || memcmp(buffer, welcome.bytes, n)) wrong("a wrong welcome");
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    watch(epoll, c);
}

static void closed_loop(struct connection *connections, int count, int epoll, double seconds) {
    static char buffer[1 << 20];
    struct epoll_event events[EVENTS];
    unsigned long long answers = 0, greedy_answers = 0;
    double used = server_cpu(), begin = now(), end = begin + seconds;
    for (int i = 0; i < count; i++) {
        struct connection *c = &connections[i];
        c->sent_at = now();
        for (int ahead = c->work->greedy ? GREEDY_BATCHES : 1; ahead; ahead--) say(c->fd, c->work->question);
    }
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, 1000);
        double t = now();
        if (t >= end) break;
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            struct text expected = c->work->answer;
            ssize_t n = read(c->fd, buffer, expected.length - c->got);
            if (n <= 0) die("read");
            if (memcmp(buffer, expected.bytes + c->got, n)) wrong("a wrong answer");
            c->got += n;
            if (c->got < expected.length) continue;
            c->got = 0;
            if (c->work->greedy) {
                greedy_answers += c->work->batch;
            } else {
                answers += c->work->batch;
                sample(t - c->sent_at);
                c->sent_at = t;
            }
            say(c->fd, c->work->question);
        }
    }
    print_results(now() - begin, server_cpu() - used, answers, greedy_answers);
}

int main(int argc, char **argv) {
    int greedy = 0, option;
    unsigned long long lives = 0;
    while ((option = getopt(argc, argv, "w:q:a:p:n:s:")) != -1) {
        if (option == 'w') welcome = given(optarg);
        else if (option == 'q') question = given(optarg);
        else if (option == 'a') answer = given(optarg);
        else if (option == 'p') greedy = atoi(optarg);
        else if (option == 'n') lives = strtoull(optarg, NULL, 10);
        else if (option == 's' && clock_getcpuclockid(atoi(optarg), &server_clock)) wrong("no such server");
        else if (option == 's') continue;
        else return 2;
    }
    if (argc - optind != 4) {
        fprintf(stderr, "usage: driver [-w WELCOME] [-q QUESTION] [-a ANSWER] [-p GREEDY] [-n LIVES] [-s PID] "
                        "PORT CONNECTIONS BATCH SECONDS\n");
        return 2;
    }
    int port = atoi(argv[optind]), count = atoi(argv[optind + 1]), batch = atoi(argv[optind + 2]);
    double seconds = atof(argv[optind + 3]);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    server.sin_port = htons(port);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct connection *connections = calloc(count + greedy, sizeof *connections);
    latency = malloc(SAMPLES * sizeof *latency);
    if (batch == 0) {
        churn(connections, count, seconds, lives);
        return 0;
    }
    struct work patient = {repeated(question, batch), repeated(answer, batch), batch, 0};
    struct work insatiable = {repeated(question, GREEDY_BATCH), repeated(answer, GREEDY_BATCH), GREEDY_BATCH, 1};
    int epoll = epoll_create1(0);
    double opening = now();
    for (int i = 0; i < count + greedy; i++) {
        connections[i].work = i < count ? &patient : &insatiable;
        open_one(&connections[i], epoll);
    }
    if (seconds == 0) { /* hold them open until killed */
        printf("%.0f\n", count / (now() - opening));
        fflush(stdout);
        pause();
    }
    closed_loop(connections, count + greedy, epoll, seconds);
    return 0;
}
