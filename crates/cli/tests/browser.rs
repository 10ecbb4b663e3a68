//! `serve --files` in a real browser: the listing is found one's way about in, sound is played from the middle, and over TLS
//! it is HTTP/2 that is spoken. And the page of a report.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::Path;

use serde_json::json;
use support::Server;
use support::browser::Browser;
use support::runs;

/// A folder with three files of different sizes, and one in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    put("a middle.txt", &"m".repeat(2000));
    put("b large.txt", &"l".repeat(30_000));
    put("c small.txt", "the small one");
    // For files that are no pages browsers ask for one.
    put("favicon.ico", "");
    put(&format!("{}.log", "x".repeat(240)), "");
    fs::create_dir(folder.path().join("sub folder")).unwrap();
    fs::write(folder.path().join("sub folder/ü & <b>.txt"), "inside").unwrap();
    folder
}

fn serve(scheme: &str, folder: &Path) -> Server {
    Server::start_at(&[&format!("{scheme}://127.0.0.1:0")], &["--files", folder.to_str().unwrap()])
}

/// The names that the page shows, as a person reads them.
fn shown(browser: &Browser) -> Vec<String> {
    let names = browser.eval("return [...document.querySelectorAll('tbody .n')].map(cell => cell.innerText)");
    names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().trim().chars().take(20).collect()).collect()
}

#[test]
fn a_person_finds_her_way_about_without_scripts() {
    let folder = folder();
    let server = serve("http", folder.path());
    let top = format!("http://{}/", server.address());
    let browser = Browser::start();
    // What the test asks of the page runs all the same.
    browser.tools("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
    browser.open(&top);
    let long = "x".repeat(20);
    let icon = "favicon.ico";
    assert_eq!(shown(&browser), ["sub folder/", "a middle.txt", "b large.txt", "c small.txt", icon, &long]);
    browser.click("c small.txt");
    assert_eq!(browser.eval("return document.body.innerText"), "the small one");
    browser.back();
    browser.click("sub folder/");
    assert_eq!(browser.url(), format!("{top}sub%20folder/"));
    assert_eq!(shown(&browser), ["parent folder", "ü & <b>.txt"]);
    browser.click("ü & <b>.txt");
    assert_eq!(browser.eval("return document.body.innerText"), "inside");
    browser.back();
    browser.click("parent folder");
    assert_eq!(browser.url(), top);
    browser.press("Size", &format!("{top}?sort=size"));
    assert_eq!(shown(&browser), ["sub folder/", icon, &long, "c small.txt", "a middle.txt", "b large.txt"]);
    browser.press("Size ↑", &format!("{top}?sort=-size"));
    assert_eq!(shown(&browser), ["sub folder/", "b large.txt", "a middle.txt", "c small.txt", icon, &long]);
    browser.click("sub folder/");
    browser.click("⌂");
    assert_eq!(browser.url(), top);
    assert_eq!(browser.console(), [""; 0], "nothing is wrong with any of these pages");
    // A page that is not there is told so by the browser, and leads back.
    browser.open(&format!("{top}nothing"));
    browser.click("⌂ top folder");
    assert_eq!(browser.url(), top);
    let said = browser.console();
    assert!(matches!(said.as_slice(), [one] if one.contains("404")), "{said:?}");
}

#[test]
fn the_listing_fits_both_colour_schemes_and_a_narrow_window() {
    let folder = folder();
    let server = serve("http", folder.path());
    let browser = Browser::start();
    let mut papers = Vec::new();
    for (scheme, width) in [("light", 1000), ("dark", 1000), ("light", 360), ("dark", 360)] {
        browser.tools(
            "Emulation.setEmulatedMedia",
            &json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
        let size = json!({"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": width < 500});
        browser.tools("Emulation.setDeviceMetricsOverride", &size);
        browser.open(&format!("http://{}/", server.address()));
        let style = browser.eval("const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]");
        papers.push([style[0].clone(), style[1].clone()]);
        assert_eq!(browser.eval("return document.documentElement.scrollWidth"), width, "{scheme}");
        // Size and time are seen in full, and a name without a blank begins on its first line.
        let seen = browser.eval(
            "const row = [...document.querySelectorAll('tbody tr')].at(-1);
             return [...row.children].map(cell => cell.getBoundingClientRect())
                 .every(at => at.width > 20 && at.height > 10 && at.left >= 0 && at.right <= innerWidth)
                 && row.querySelector('bdi').getClientRects()[0].top - row.getBoundingClientRect().top < 20",
        );
        assert_eq!(seen, true, "{scheme}, {width}");
    }
    let [light, dark] = [&papers[0], &papers[1]];
    assert!(light[0] != dark[0] && light[1] != dark[1] && light[0] != light[1] && dark[0] != dark[1], "{papers:?}");
    assert_eq!(papers[..2], papers[2..]);
}

/// Silence, as players of sound read it: 16 bits, two channels, 44,100 a second (RIFF WAVE).
fn wave(seconds: u32) -> Vec<u8> {
    let (rate, frame) = (44_100_u32, 4_u16);
    let length = rate * u32::from(frame) * seconds;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x02\0");
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(frame)).to_le_bytes());
    file.extend(frame.to_le_bytes());
    file.extend(b"\x10\0data");
    file.extend(length.to_le_bytes());
    file.resize(file.len() + length as usize, 0);
    file
}

#[test]
fn sound_is_played_from_the_middle_by_ranges() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sound.wav"), wave(120)).unwrap();
    fs::write(folder.path().join("player.html"), "<audio id=sound src=sound.wav preload=metadata>").unwrap();
    let server = serve("http", folder.path());
    let browser = Browser::start();
    browser.open(&format!("http://{}/player.html", server.address()));
    let heard = browser.eval_until_done(
        "const sound = document.getElementById('sound');
         sound.onerror = () => done(`error ${sound.error?.message}`);
         const ready = () => {
             sound.onseeked = () => sound.play();
             sound.ontimeupdate = () => sound.currentTime > 100 && !sound.paused && done([sound.duration, sound.seekable.end(0)]);
             sound.currentTime = 100;
         };
         sound.readyState > 0 ? ready() : sound.onloadedmetadata = ready;",
    );
    assert_eq!(heard, json!([120, 120]));
    // From the beginning, and from where it was moved to.
    let asked = server.log.wait_for_count("\"GET /sound.wav HTTP/1.1\" 206 ", 2);
    let sent: Vec<u64> = asked.iter().map(|line| line.split(' ').nth(9).unwrap().parse().unwrap()).collect();
    assert!(sent.iter().any(|&sent| sent < 21_168_044 / 4), "{asked:?}");
    assert!(!server.log.all().iter().any(|line| line.contains("/sound.wav HTTP/1.1\" 200 ")));
}

#[test]
fn over_tls_a_browser_speaks_http_2_and_takes_pages_packed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page.html"), "<p>a page, and enough of it to be packed\n".repeat(500)).unwrap();
    fs::write(folder.path().join("favicon.ico"), "").unwrap();
    let server = serve("https", folder.path());
    let browser = Browser::start();
    for path in ["", "page.html"] {
        browser.open(&format!("https://127.0.0.1:{}/{path}", server.port()));
        let entry = "performance.getEntriesByType('navigation')[0]";
        assert_eq!(browser.eval(&format!("return {entry}.nextHopProtocol")), "h2", "{path}");
    }
    let sizes = browser.eval(
        "const entry = performance.getEntriesByType('navigation')[0]; return [entry.encodedBodySize, entry.decodedBodySize]",
    );
    assert!(sizes[0].as_u64() < Some(1000) && sizes[1] == 20_500, "{sizes}");
    server.log.wait_for("\"GET /page.html HTTP/2.0\" 200 ");
    assert_eq!(browser.console(), [""; 0]);
}

#[test]
fn a_report_is_read_in_both_schemes_and_on_a_telephone() {
    let folder = tempfile::tempdir().unwrap();
    let page = runs::page(folder.path());
    let browser = Browser::start();
    let mut papers = Vec::new();
    for (scheme, width) in [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)] {
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.tools("Emulation.setEmulatedMedia", &media);
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500});
        browser.tools("Emulation.setDeviceMetricsOverride", &size);
        browser.open(&format!("file://{}", page.display()));
        let style = browser.eval("const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]");
        papers.push([style[0].clone(), style[1].clone()]);
        let wide =
            browser.eval("const e = document.documentElement; return [e.scrollWidth - e.clientWidth, innerWidth]");
        assert_eq!(wide, json!([0, width]), "{scheme}");
        assert!(browser.eval("return document.title").as_str().unwrap().starts_with("load: </pre>"));
        // Nothing of what a peer said became an element, and the page asked for nothing.
        assert_eq!(browser.eval("return document.querySelectorAll('script, img, a, iframe, link').length"), 0);
        assert_eq!(browser.eval("return performance.getEntriesByType('resource').length"), 0);
        // Words beside a drawing lie within the window, and names of an axis do not overlap.
        let apart = browser.eval(
            "return [...document.querySelectorAll('.plot')].every(plot => {
                 const boxes = [...plot.querySelectorAll('span')].map(e => e.getBoundingClientRect()).filter(b => b.width > 0);
                 return boxes.every(b => b.left >= 0 && b.right <= innerWidth)
                     && boxes.every((a, i) => boxes.slice(i + 1).every(b =>
                         a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1 || b.bottom <= a.top + 1));
             })",
        );
        assert_eq!(apart, true, "{scheme}, {width}");
        let tiles = browser
            .eval("return [...document.querySelectorAll('.tile b')].map(e => e.innerText.replace(/\\s+/g, ' '))");
        assert_eq!((tiles.as_array().unwrap().len(), &tiles[4]), (6, &json!("14")), "{tiles}");
    }
    let [light, dark] = [&papers[0], &papers[1]];
    assert!(light[0] != dark[0] && light[1] != dark[1] && light[0] != light[1] && dark[0] != dark[1], "{papers:?}");
    assert_eq!(papers[..2], papers[2..]);
    assert_eq!(browser.console(), [""; 0], "nothing is wrong with the page");
}
