//! Gives the linker the script of the architecture that the image is built for.

use std::{env, path::Path};

fn main() {
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo names the target");
    let bare = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
    let script = match arch.as_str() {
        "x86_64" => "x86_64.ld",
        "aarch64" => "aarch64.ld",
        "riscv64" => "riscv64.ld",
        other => panic!("no linker script for {other}"),
    };
    println!("cargo::rerun-if-changed={script}");
    println!("cargo::rerun-if-changed=build.rs");
    if bare {
        let root = env::var("CARGO_MANIFEST_DIR").expect("cargo names the package");
        println!("cargo::rustc-link-arg-bins=-T{}", Path::new(&root).join(script).display());
        println!("cargo::rustc-link-arg-bins=--gc-sections");
        println!("cargo::rustc-link-arg-bins=--no-dynamic-linker");
        println!("cargo::rustc-link-arg-bins=-zmax-page-size=4096");
    }
}
