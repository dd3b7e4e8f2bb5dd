//! Seccomp profiles: which system calls a container may make, as the programs that decide it.
//!
//! Owns the instructions of classic BPF ([`bpf`]). Pure: no kernel is asked but for the numbers of its calls.

pub mod bpf;
