//! The architectures, and where the images that the Makefile builds for each of them lie.

use std::{
    env, fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
};

/// An architecture that Veridian runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    /// x86-64: `q35` and `microvm`.
    X86_64,
    /// 64-bit ARM: `virt`.
    Aarch64,
    /// 64-bit RISC-V: `virt`.
    Riscv64,
}

impl Arch {
    /// All of them.
    pub const ALL: [Arch; 3] = [Arch::X86_64, Arch::Aarch64, Arch::Riscv64];

    /// The name that `ARCH=` takes.
    pub fn name(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
            Arch::Riscv64 => "riscv64",
        }
    }

    /// QEMU's program for it.
    pub fn qemu(self) -> String {
        format!("qemu-system-{}", self.name())
    }

    /// QEMU's machines that Veridian boots on, the usual one first.
    pub fn machines(self) -> &'static [&'static str] {
        match self {
            Arch::X86_64 => &["q35", "microvm"],
            Arch::Aarch64 | Arch::Riscv64 => &["virt"],
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Arch {
    type Err = io::Error;

    fn from_str(name: &str) -> io::Result<Self> {
        Arch::ALL
            .into_iter()
            .find(|arch| arch.name() == name)
            .ok_or_else(|| io::Error::other(format!("no such architecture: {name} (x86_64, aarch64 or riscv64)")))
    }
}

/// What was built for one architecture: the directory `image/<arch>` that `scripts/image.sh` fills.
#[derive(Clone, Debug)]
pub struct Images {
    directory: PathBuf,
}

impl Images {
    /// The images of `arch` in `$VERIDIAN_IMAGES`, or else in `image/` of cargo's target directory.
    pub fn of(arch: Arch) -> Self {
        let root = env::var_os("VERIDIAN_IMAGES").map_or_else(|| target().join("image"), PathBuf::from);
        Self { directory: root.join(arch.name()) }
    }

    /// The kernel.
    pub fn kernel(&self) -> PathBuf {
        self.directory.join("kernel.elf")
    }

    /// The kernel built without an allocator-backed container engine: the container calls answer ENOSYS.
    pub fn kernel_without_containers(&self) -> PathBuf {
        self.directory.join("kernel-no-alloc.elf")
    }

    /// The image that checks hal alone, without a kernel.
    pub fn hal_selftest(&self) -> PathBuf {
        self.directory.join("hal-selftest.elf")
    }

    /// A user program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join("bin").join(name)
    }

    /// The user programs, by name, in the order of their names.
    pub fn programs(&self) -> io::Result<Vec<(String, PathBuf)>> {
        let mut programs = Vec::new();
        for entry in list(&self.directory.join("bin"))? {
            programs.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
        programs.sort();
        Ok(programs)
    }
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
}

/// A file that cannot be read since nobody has made it; `made_by` makes it.
pub(crate) fn absent(path: &Path, error: &io::Error, made_by: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error} (run {made_by})", path.display()))
}

fn list(directory: &Path) -> io::Result<Vec<std::fs::DirEntry>> {
    std::fs::read_dir(directory).map_err(|error| absent(directory, &error, "`make build`"))?.collect()
}
