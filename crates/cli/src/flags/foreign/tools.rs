//! Flags of load tools, of relays and of programs that show sockets, typed at the verbs that do the same.

use super::Answer;

/// What curl and nc have for other work, typed at a verb that opens no connection or asks for no page.
macro_rules! elsewhere {
    () => {
        &[
            "-A",
            "-C",
            "-D",
            "-E",
            "-F",
            "-G",
            "-H",
            "-I",
            "-J",
            "-K",
            "-L",
            "-M",
            "-N",
            "-O",
            "-P",
            "-R",
            "-S",
            "-T",
            "-U",
            "-V",
            "-W",
            "-X",
            "-Z",
            "-a",
            "-b",
            "-c",
            "-d",
            "-e",
            "-f",
            "-g",
            "-i",
            "-j",
            "-k",
            "-l",
            "-m",
            "-n",
            "-o",
            "-p",
            "-r",
            "-s",
            "-t",
            "-u",
            "-w",
            "-x",
            "-y",
            "-z",
            "--listen",
            "--udp",
            "--exec",
            "--sh-exec",
            "--zero",
            "--wait",
            "--keep-open",
            "--ssl",
            "--tls",
            "--location",
            "--insecure",
            "--data",
            "--include",
            "--output",
            "--remote-name",
            "--request",
            "--header",
            "--user",
            "--head",
            "--silent",
            "--compressed",
            "--fail",
            "--proxy",
            "--timeout",
            "--connect-timeout",
            "--max-time",
            "--retry",
            "--cookie",
            "--form",
            "--cacert",
            "--user-agent",
            "--play",
            "--once",
        ]
    };
}

/// wrk, ab, hey, oha, k6.
pub(super) const LOAD: &[Answer] = &[
    (
        &["-c", "--concurrency", "--conns", "--connection", "--clients", "--vus", "--users"],
        "--connections N is how many at once",
    ),
    (&["-n", "--requests", "--iterations", "--number", "--count"], "--plays N is how many in all"),
    (&["-d"], "--duration TIME is how long; --data TEXT, or @FILE, is sent with POST"),
    (&["--time", "--for"], "--duration TIME is how long"),
    (&["-z", "-D"], "--duration TIME is how long"),
    (&["-t"], "--threads N; --duration TIME is how long"),
    (&["-R", "--qps", "--rps", "--rate-limit", "--arrival-rate"], "--rate N begins so many a second"),
    (&["-k", "--keepalive", "--keep-alive"], "leave it out: connections are kept; --reconnect opens one for each"),
    (&["--insecure"], "--pin sha256:HEX trusts one certificate, whoever signed it"),
    (&["--cacert"], "--ca FILE"),
    (&["--disable-keepalive", "--no-keepalive"], "--reconnect opens a connection for each play"),
    (&["-m", "--request"], "-X METHOD"),
    (&["-I", "--head"], "-X HEAD"),
    (&["--headers"], "-H 'NAME: VALUE'"),
    (&["-A", "--user-agent"], "-H 'User-Agent: NAME'"),
    (&["-b", "--cookie"], "-H 'Cookie: NAME=VALUE'"),
    (&["-a", "-u", "--user"], "-H 'Authorization: …'; over UDP the address is udp://HOST:PORT"),
    (&["--udp"], "write udp://HOST:PORT"),
    (&["-L", "--latency"], "leave it out: latency is always told; a redirect is an answer as any other"),
    (&["--location"], "leave it out: a redirect is an answer as any other; --status CODE says which one is right"),
    (
        &["-o", "-O", "--output", "--csv", "--out"],
        "--save FILE.json keeps what was measured, --report FILE.html shows it",
    ),
    (&["-i", "--include"], "leave it out: answers are checked, and not shown"),
    (&["-s", "-f", "--script", "--file", "--scenario"], "--play FILE plays a transcript"),
    (&["-w", "--max-time"], "--timeout TIME is for the server's next line, --connect-timeout TIME for connecting"),
    (&["-T"], "--timeout TIME is for the server's next line"),
    (&["-P"], "--pipeline N"),
    (
        &["--http2", "--http2-prior-knowledge", "--h2", "--http-version", "--http3"],
        "leave it out: `sockeye load` asks over HTTP/1.1 alone; h2load asks over HTTP/2 and HTTP/3",
    ),
    (&["--http1.1", "--h1"], "leave it out: it is what `sockeye load` speaks"),
    (&["-r", "--ramp-up"], "--ramp TIME"),
    (
        &["-p", "-F", "-G", "--body", "--form", "--post", "--data-binary"],
        "--data TEXT, or @FILE, is sent with POST; --play FILE says whatever a transcript says",
    ),
    (&["-x", "--proxy"], "`sockeye load` goes through no proxy; `sockeye fetch` does"),
    (&["-e", "-l", "--listen"], "`sockeye load` opens connections; `sockeye serve` listens"),
    (&["--once", "--repeat"], "--plays 1"),
    (&["--compressed"], "-H 'Accept-Encoding: gzip'"),
    (&["-S", "-N", "--silent", "--fail"], "leave it out; -q says nothing but errors"),
    (elsewhere!(), "`sockeye load` has no such option: it plays the client's side many times, and measures"),
];

/// socat, ssh, tcpdump, toxiproxy, nc.
pub(super) const RELAY: &[Answer] = &[
    (&["-u", "--udp"], "write udp://HOST:PORT for both addresses"),
    (
        &["-l", "-p", "-L", "--listen", "--port", "--bind", "-b"],
        "leave it out: the first address is where relay listens",
    ),
    (
        &["-R", "-D", "-r", "--remote", "--upstream", "--backend", "--to", "--target"],
        "write where to go as the second address",
    ),
    (&["-k", "--keep-open", "--keep", "--fork"], "leave it out: relay takes any number of clients; --once takes one"),
    (&["-d", "--debug"], "-v says more"),
    (&["-x", "-X", "--hex-dump", "--hex", "--xxd"], "--hexdump shows what passes in hex"),
    (&["-w", "--write"], "--pcap FILE.pcapng keeps what passes; --idle-timeout TIME closes what is silent"),
    (&["-o", "-O", "--output", "--log"], "--record FILE writes transcripts, --pcap FILE.pcapng a capture"),
    (&["-T", "-t", "-i", "--timeout", "--idle", "--wait"], "--idle-timeout TIME closes what is silent so long"),
    (&["-m", "--max-conns-total", "-n", "--max-clients"], "--times N ends after N connections"),
    (&["--latency", "--jitter", "--toxic"], "--delay TIME±TIME holds back what passes; --seed N has the same again"),
    (&["--loss", "--drop-rate"], "--drop SHARE, over UDP"),
    (&["--bandwidth", "--limit-rate", "--limit", "--speed"], "--rate RATE, such as 1Mbit"),
    (&["-e", "-c", "--exec", "--sh-exec", "--system"], "`exec:CMD` stands in the place of an address"),
    (&["--ssl", "--tls"], "write tls://HOST:PORT"),
    (&["-U", "--unixsock"], "write unix:PATH"),
    (&["-z", "--zero"], "`sockeye talk --zero ADDR` says whether somebody listens"),
    (&["--play", "-f", "--file"], "`sockeye serve --play FILE` and `sockeye talk --play FILE` play transcripts"),
    (elsewhere!(), "`sockeye relay` passes on what comes and changes nothing; `sockeye fetch URL` asks for a page"),
];

pub(super) const REPORT: &[Answer] = &[
    (&["-o", "-O", "--output", "--html", "--out"], "--report FILE.html writes a page, --save FILE one run"),
    (&["-b", "-B", "--base", "--baseline", "--compare", "--with"], "--against FILE is what to compare with"),
    (
        &["-t", "--threshold", "--fail-if", "--max-regression", "--regression", "-f", "--fail"],
        "--fail-if-slower PERCENT, beside --against FILE",
    ),
    (&["--input", "-i", "--file", "--merge", "-m"], "write the files alone: `sockeye report FILE…`"),
    (elsewhere!(), "`sockeye report` reads what `sockeye load --save` wrote; it opens no connection"),
];

/// ss, lsof, netstat, fuser, nc.
pub(super) const PORTS: &[Answer] = &[
    (&["-t", "--tcp"], "--protocol tcp"),
    (&["-u", "--udp"], "--protocol udp"),
    (&["-x", "-U", "--unix"], "--protocol unix"),
    (&["--listen"], "--listening"),
    (
        &["-p", "--processes", "--program", "--programs"],
        "leave it out: processes are shown; --of PID shows those of one",
    ),
    (&["-n", "-P", "--numeric", "--numeric-ports"], "leave it out: ports are numbers"),
    (&["-a", "--all"], "leave it out: all are shown without --listening"),
    (&["-e", "-o", "-m", "-s", "--extended", "--options", "--memory", "--summary"], "leave it out; -v says more"),
    (&["-i"], "write the ports alone: `sockeye ports 80 443`"),
    (&["-c", "--command", "--comm", "--name", "--pid"], "--of NAME, or --of PID"),
    (&["-C", "--continuous", "-r"], "--watch goes on"),
    (
        &["-z", "-w", "--zero", "--timeout"],
        "--wait=TIME waits for a listener here; `sockeye talk --zero` asks another machine",
    ),
    (&["-k", "-K", "--kill"], "`sockeye ports` ends no process: take its number, and kill(1)"),
    (&["-H", "--no-header"], "--json writes objects without a header"),
    (elsewhere!(), "`sockeye ports` asks the kernel, and opens no connection: `sockeye talk` and `sockeye serve` do"),
];

/// ip, ifconfig, hostname, route.
pub(super) const ADDRS: &[Answer] = &[
    (
        &["-a", "-i", "-s", "-n", "--all", "--all-ip-addresses", "-br", "-brief"],
        "leave it out: all are shown, in digits",
    ),
    (&["-I"], "leave it out: all addresses are shown; `sockeye addrs DEST` says which one is taken"),
    (&["-j", "-json"], "--json"),
    (&["-r", "--route", "-g", "--get"], "write where to: `sockeye addrs DEST`"),
    (&["--ipv4", "-inet"], "-4 is IPv4 only"),
    (&["--ipv6", "-inet6"], "-6 is IPv6 only"),
    (elsewhere!(), "`sockeye addrs` shows this machine's addresses, and opens no connection"),
];

/// What nobody can want of `check` and `import` but by mistake.
pub(super) const CHECK_ELSEWHERE: Answer =
    (elsewhere!(), "`sockeye check` opens no connection: `sockeye serve --play` and `sockeye talk --play` play a file");
pub(super) const IMPORT_ELSEWHERE: Answer =
    (elsewhere!(), "`sockeye import` reads a page of text and opens no connection: `sockeye fetch URL -o -` gets one");
