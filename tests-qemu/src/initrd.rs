//! What a machine finds in its initrd: init, the user programs, a bundle with its configuration, the symbols.

use crate::{
    arch::{Arch, Images},
    cpio::Archive,
    image,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Directories that a container's root has, to mount on.
const MOUNT_POINTS: [&str; 4] = ["dev", "proc", "sys", "tmp"];

#[derive(Clone)]
enum Node {
    File(u32, Vec<u8>),
    Symlink(String),
}

/// The contents of an initrd; paths have no slash at the front, and the directories above a file come by themselves.
#[derive(Clone, Default)]
pub struct Initrd {
    directories: BTreeSet<String>,
    nodes: BTreeMap<String, Node>,
}

impl Initrd {
    /// Where [`Initrd::config`] puts the configuration.
    pub const CONFIG: &str = "bundle/config.oci";
    /// The words of the kernel command line that run it.
    pub const RUN_CONFIG: &str = "config=/bundle/config.oci bundle=/bundle";

    /// An initrd that boots: `/init`, every user program in `/bin` and in the bundle `/bundle/rootfs/bin`, the
    /// mount points in both roots, and the kernel's symbols in `/boot/symbols`.
    pub fn standard(arch: Arch) -> io::Result<Self> {
        Ok(Self::bare(arch)?.bundled())
    }

    /// As [`Initrd::standard`], with these programs alone: what a small machine is given.
    pub fn small(arch: Arch, programs: &[&str]) -> io::Result<Self> {
        Ok(Self::with_programs(arch, |name| programs.contains(&name))?.bundled())
    }

    /// As [`Initrd::standard`], with no bundle.
    pub fn bare(arch: Arch) -> io::Result<Self> {
        Self::with_programs(arch, |_| true)
    }

    fn with_programs(arch: Arch, wanted: impl Fn(&str) -> bool) -> io::Result<Self> {
        let images = Images::of(arch);
        let mut initrd = Self::default();
        for (name, path) in images.programs()? {
            if name == "init" {
                initrd.file("init", 0o755, read(&path)?);
            }
            if wanted(&name) {
                initrd.file(&format!("bin/{name}"), 0o755, read(&path)?);
            }
        }
        initrd.root("");
        initrd.file("boot/symbols", 0o444, image::symbols(&read(&images.kernel())?)?.into_bytes());
        Ok(initrd)
    }

    /// Adds the bundle, with the programs of `/bin`.
    fn bundled(mut self) -> Self {
        for (name, program) in self.programs() {
            self.file(&format!("bundle/rootfs/bin/{name}"), 0o755, program);
        }
        self.root("bundle/rootfs");
        self
    }

    /// The programs of `/bin`.
    fn programs(&self) -> Vec<(String, Vec<u8>)> {
        let program = |(path, node): (&String, &Node)| match node {
            Node::File(_, data) => path.strip_prefix("bin/").map(|name| (name.to_owned(), data.clone())),
            Node::Symlink(_) => None,
        };
        self.nodes.iter().filter_map(program).collect()
    }

    /// Adds an empty directory.
    pub fn directory(&mut self, path: &str) -> &mut Self {
        let mut path = path.trim_matches('/');
        while !path.is_empty() {
            self.directories.insert(path.to_owned());
            path = path.rsplit_once('/').map_or("", |(above, _)| above);
        }
        self
    }

    /// Adds or replaces a file.
    pub fn file(&mut self, path: &str, permissions: u32, data: impl Into<Vec<u8>>) -> &mut Self {
        self.node(path, Node::File(permissions, data.into()))
    }

    /// Adds or replaces a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) -> &mut Self {
        self.node(path, Node::Symlink(target.to_owned()))
    }

    /// Puts a configuration into the bundle, as [`Initrd::CONFIG`].
    pub fn config(&mut self, text: &str) -> &mut Self {
        self.file(Self::CONFIG, 0o444, text)
    }

    /// Puts a configuration file of the host into the bundle under its own name; the words of the kernel command line
    /// that run it. It is also the bundle's own. If a directory `rootfs` lies beside it, that directory replaces the
    /// programs.
    pub fn config_file(&mut self, path: &Path) -> io::Result<String> {
        let text = read(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let rootfs = path.parent().unwrap_or(Path::new("")).join("rootfs");
        if rootfs.is_dir() {
            self.remove("bundle");
            self.tree(&rootfs, "bundle/rootfs")?;
        }
        // Under the name that makes the directory a bundle, too.
        let usual = if text.trim_ascii_start().first() == Some(&b'{') { "bundle/config.json" } else { Self::CONFIG };
        self.file(usual, 0o444, text.clone());
        self.file(&format!("bundle/{name}"), 0o444, text);
        Ok(format!("config=/bundle/{name} bundle=/bundle"))
    }

    /// Adds the host's directory `from` with all below it as `to`.
    pub fn tree(&mut self, from: &Path, to: &str) -> io::Result<&mut Self> {
        self.directory(to);
        let mut entries: Vec<_> = fs::read_dir(from).map_err(|error| at(from, error))?.collect::<io::Result<_>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let from = entry.path();
            let to = format!("{to}/{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.tree(&from, &to)?;
            } else if kind.is_symlink() {
                self.symlink(&to, &fs::read_link(&from)?.to_string_lossy());
            } else if kind.is_file() {
                self.file(&to, entry.metadata()?.permissions().mode() & 0o7777, read(&from)?);
            } else {
                return Err(at(&from, io::Error::other("neither a file, a directory nor a symbolic link")));
            }
        }
        Ok(self)
    }

    /// Takes a directory out with all below it.
    pub fn remove(&mut self, path: &str) -> &mut Self {
        let below = format!("{}/", path.trim_matches('/'));
        self.nodes.retain(|path, _| !path.starts_with(&below));
        self.directories.retain(|path| !path.starts_with(&below));
        self
    }

    /// The archive.
    pub fn archive(&self) -> Vec<u8> {
        self.written(Archive::default())
    }

    /// The archive without gaps before the files' data: as Linux wants it.
    pub fn packed(&self) -> Vec<u8> {
        self.written(Archive::packed())
    }

    fn written(&self, mut archive: Archive) -> Vec<u8> {
        for path in &self.directories {
            archive.directory(path);
        }
        for (path, node) in &self.nodes {
            match node {
                Node::File(permissions, data) => archive.file(path, *permissions, data),
                Node::Symlink(target) => archive.symlink(path, target),
            }
        }
        archive.finish()
    }

    fn root(&mut self, path: &str) {
        for point in MOUNT_POINTS {
            self.directory(&format!("{path}/{point}"));
        }
    }

    fn node(&mut self, path: &str, node: Node) -> &mut Self {
        let path = path.trim_matches('/');
        if let Some((above, _)) = path.rsplit_once('/') {
            self.directory(above);
        }
        self.nodes.insert(path.to_owned(), node);
        self
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| at(path, error))
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
