//! The flags of `nc` are its own; these are for help.

use std::ffi::OsString;

use clap::Args;

/// Each flag, as `-h` shows it, and its line there.
pub(crate) const FLAGS: &[(&str, &str)] = &[
    ("-4\t", "Use IPv4"),
    ("-6\t", "Use IPv6"),
    ("-b\t", "Allow broadcast"),
    ("-C\t", "Send CRLF as line-ending"),
    ("-D\t", "Enable the debug socket option"),
    ("-d\t", "Detach from stdin"),
    ("-F\t", "Pass socket fd"),
    ("-h\t", "This help text"),
    ("-I length", "TCP receive buffer length"),
    ("-i interval", "Delay interval for lines sent, ports scanned"),
    ("-k\t", "Keep inbound sockets open for multiple connects"),
    ("-l\t", "Listen mode, for inbound connects"),
    ("-M ttl\t", "Outgoing TTL / Hop Limit"),
    ("-m minttl", "Minimum incoming TTL / Hop Limit"),
    ("-N\t", "Shutdown the network socket after EOF on stdin"),
    ("-n\t", "Suppress name/port resolutions"),
    ("-O length", "TCP send buffer length"),
    ("-P proxyuser", "Username for proxy authentication"),
    ("-p port\t", "Specify local port for remote connects"),
    ("-q secs\t", "quit after EOF on stdin and delay of secs"),
    ("-r\t", "Randomize remote ports"),
    ("-S\t", "Enable the TCP MD5 signature option"),
    ("-s sourceaddr", "Local source address"),
    ("-T keyword", "TOS value"),
    ("-t\t", "Answer TELNET negotiation"),
    ("-U\t", "Use UNIX domain socket"),
    ("-u\t", "UDP mode"),
    ("-V rtable", "Specify alternate routing table"),
    ("-v\t", "Verbose"),
    ("-W recvlimit", "Terminate after receiving a number of packets"),
    ("-w timeout", "Timeout for connects and final net reads"),
    ("-X proto", "Proxy protocol: \"4\", \"5\" (SOCKS) or \"connect\""),
    ("-x addr[:port]", "Specify proxy address and port"),
    ("-Z\t", "DCCP mode"),
    ("-z\t", "Zero-I/O mode [used for scanning]"),
];

/// Its command line is nc's own: nothing of it is read here, but where flags of all verbs stand before the verb.
#[derive(Debug, Args)]
#[command(disable_help_flag = true, after_help = nc_help())]
pub(crate) struct Nc {
    /// nc's own flags, then [destination] [port...]
    #[arg(value_name = "NC ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<OsString>,
    /// Print this help; -h prints nc's
    #[arg(long, action = clap::ArgAction::HelpLong)]
    help: Option<bool>,
}

/// What `nc -h` says of its flags.
fn nc_help() -> String {
    let flags: String = FLAGS.iter().map(|(flag, what)| format!("  {:<16}{what}\n", flag.trim())).collect();
    format!(
        "Flags, messages, exit codes (0 and 1) and system calls are those of netcat-openbsd 1.219:\n{flags}\n\
        Ports are numbers, services and ranges: lo-hi. A link makes it the nc of scripts: ln $(command -v sockeye) ~/bin/nc"
    )
}
