//! `serve --files` asked for several parts at once, over every way in which it is spoken to.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::process::Command;

use support::files::Client;
use support::web::bytes;
use support::{Server, assert_code, need, run_command, text};

fn serve(scheme: &str, folder: &std::path::Path) -> Server {
    Server::start_at(&[&format!("{scheme}://127.0.0.1:0")], &["--files", folder.to_str().unwrap(), "-q"])
}

/// The parts of a multipart answer, by their Content-Range.
fn parts(content_type: &str, content: &[u8]) -> Vec<(String, Vec<u8>)> {
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let mark = format!("\r\n--{boundary}");
    let cuts: Vec<usize> = memmem(content, mark.as_bytes());
    assert!(content[*cuts.last().unwrap()..] == *format!("{mark}--\r\n").as_bytes());
    cuts.windows(2)
        .map(|two| {
            let part = &content[two[0] + mark.len()..two[1]];
            let end = memmem(part, b"\r\n\r\n")[0];
            let head = text(&part[..end]);
            let range = head.lines().find_map(|line| line.strip_prefix("Content-Range: ")).unwrap().to_owned();
            (range, part[end + 4..].to_vec())
        })
        .collect()
}

fn memmem(text: &[u8], word: &[u8]) -> Vec<usize> {
    (0..=text.len() - word.len()).filter(|&at| &text[at..at + word.len()] == word).collect()
}

#[test]
fn several_parts_come_whole_over_every_version_and_under_tls() {
    need("curl");
    let folder = tempfile::tempdir().unwrap();
    let whole = bytes(3_000_000);
    fs::write(folder.path().join("image.iso"), &whole).unwrap();
    let (clear, secure) = (serve("http", folder.path()), serve("https", folder.path()));
    let ranges = [(2_999_990, 3_000_000), (0, 10), (100, 400_000), (1_000_000, 2_500_000)];
    let asked: Vec<String> = ranges.iter().map(|(from, to)| format!("{from}-{}", to - 1)).collect();
    let asked = asked.join(",");
    for (server, scheme, version) in [
        (&clear, "http", "--http1.1"),
        (&clear, "http", "--http1.0"),
        (&clear, "http", "--http2-prior-knowledge"),
        (&secure, "https", "--http1.1"),
        (&secure, "https", "--http2"),
    ] {
        let url = format!("{scheme}://{}/image.iso", server.address());
        let head = folder.path().join("head");
        let mut curl = Command::new("curl");
        curl.args([
            "-sSk",
            "--noproxy",
            "*",
            "--max-time",
            "60",
            version,
            "-r",
            &asked,
            "-D",
            head.to_str().unwrap(),
            &url,
        ]);
        let output = run_command(&mut curl, b"");
        assert_code(&output, 0);
        let head = fs::read_to_string(head).unwrap();
        assert_eq!(head.split(' ').nth(1), Some("206"), "{version}: {head}");
        let kind = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-type:")).unwrap();
        let found = parts(kind.split_once(": ").unwrap().1.trim(), &output.stdout);
        assert_eq!(found.len(), ranges.len());
        for ((from, to), (range, part)) in ranges.iter().zip(found) {
            assert_eq!(range, format!("bytes {from}-{}/3000000", to - 1), "{version}");
            assert!(part == whole[*from..*to], "{version}: {range}");
        }
    }
}

/// As zsync and zchunk ask: the blocks that differ, many of them, over a connection that stays.
#[test]
fn many_blocks_come_in_one_answer_and_the_connection_stays() {
    let folder = tempfile::tempdir().unwrap();
    let whole = bytes(1_000_000);
    fs::write(folder.path().join("file"), &whole).unwrap();
    let server = serve("http", folder.path());
    let mut client = Client::new(&server);
    let blocks: Vec<usize> = (0..200).map(|block| block * 4096).collect();
    let asked: Vec<String> = blocks.iter().map(|from| format!("{from}-{}", from + 2047)).collect();
    for _ in 0..3 {
        let answer = client.get("/file", &format!("Range: bytes={}\r\n", asked.join(", ")));
        assert_eq!(answer.status, 206);
        let found = parts(answer.field("content-type").unwrap(), &answer.content);
        assert_eq!(found.len(), 200);
        assert!(found.iter().zip(&blocks).all(|((_, part), from)| *part == whole[*from..from + 2048]));
    }
    // More than the file is never sent, however often it is asked for.
    let many = vec!["0-"; 200].join(",");
    let answer = client.get("/file", &format!("Range: bytes={many}\r\n"));
    assert_eq!((answer.status, answer.content.len()), (206, 1_000_000));
    let answer = client.get("/file", &format!("Range: bytes={}\r\n", vec!["0-9,5-99,-7"; 1500].join(",")));
    assert_eq!((answer.status, answer.content.len()), (200, 1_000_000));
    // What a part of is asked for becomes shorter: the rest is missed, and nothing made up.
    assert_eq!(client.ask("HEAD", "/file", "Range: bytes=0-1,5-6\r\n", b"").field("content-length"), Some("1000000"));
}
