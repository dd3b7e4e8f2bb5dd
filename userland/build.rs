//! Tells the linker how a program file must look: static, every segment on pages of its own, none both writable and
//! executable, nothing in it that only a dynamic loader reads.

fn main() {
    for argument in [
        "-static",
        "--no-dynamic-linker",
        "--build-id=none",
        "--no-eh-frame-hdr",
        "-zmax-page-size=4096",
        "-zseparate-loadable-segments",
        "-znorelro",
        "-znoexecstack",
        "-e_start",
    ] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
