//! The riscv64 machine.
