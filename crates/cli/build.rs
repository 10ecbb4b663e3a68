//! One library less to load at each start: the unwinder of libgcc goes into the program, where the compiler brings it.
//! Finding, mapping and relocating libgcc_s.so takes a tenth of what `sockeye --version` takes as a whole (`bench/run --only start-up`).

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_gnu = std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    let is_native = std::env::var("HOST").ok() == std::env::var("TARGET").ok();
    if is_gnu && is_native && has_unwinder() {
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}

/// Whether the C compiler, which links, knows where the unwinder is; it prints the bare name if not.
fn has_unwinder() -> bool {
    let said = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output();
    said.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_absolute())
}
