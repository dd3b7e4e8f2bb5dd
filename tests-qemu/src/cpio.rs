//! Writes cpio archives in the "newc" form that boot loaders hand to kernels as an initrd.
//!
//! Each file's data begins at a multiple of the page size, so that a kernel which finds the archive on a page
//! boundary can map the pages where they lie. The gap goes into the name field, as NULs after the name, which
//! the form allows: the field's length counts them. A packed archive is without such gaps: Linux leaves out what has a
//! name field longer than 4096. Owner and times are zero, so equal input gives equal bytes.

/// Where file data is aligned to.
const PAGE: usize = 4096;
const HEADER: usize = 110;

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const KIND: u32 = 0o170_000;

/// An archive in the making.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    packed: bool,
}

impl Archive {
    /// An archive without gaps.
    pub fn packed() -> Self {
        Self { packed: true, ..Self::default() }
    }

    /// Appends a directory, mode 755. Paths have no slash at the front.
    pub fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY | 0o755, &[]);
    }

    /// Appends a file with these permission bits.
    pub fn file(&mut self, path: &str, permissions: u32, data: &[u8]) {
        self.entry(path, REGULAR | permissions, data);
    }

    /// Appends a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) {
        self.entry(path, SYMLINK | 0o777, target.as_bytes());
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entries = 0;
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, data: &[u8]) {
        let name_start = self.bytes.len() + HEADER;
        let mut name_size = path.len() + 1;
        let mut data_start = (name_start + name_size).next_multiple_of(4);
        if mode & KIND == REGULAR && !data.is_empty() && !self.packed {
            data_start = data_start.next_multiple_of(PAGE);
            name_size = data_start - name_start;
        }
        let links = if mode & KIND == DIRECTORY { 2 } else { 1 };
        self.entries += 1;
        // Magic, inode, mode, uid, gid, links, mtime, size, device (2), rdev (2), name size, checksum.
        let size = u32::try_from(data.len()).expect("a file of an initrd is smaller than 4 GiB");
        let fields = [self.entries, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size as u32, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.resize(data_start, 0);
        self.bytes.extend_from_slice(data);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an archive as a kernel does: (name, mode, offset of the data, data).
    fn parse(archive: &[u8]) -> Vec<(String, u32, usize, Vec<u8>)> {
        let mut entries = Vec::new();
        let mut at = 0;
        loop {
            let field = |n: usize| {
                let text = std::str::from_utf8(&archive[at + 6 + n * 8..at + 14 + n * 8]).unwrap();
                usize::from_str_radix(text, 16).unwrap()
            };
            assert_eq!(&archive[at..at + 6], b"070701");
            let name_end = at + HEADER + field(11);
            let data = name_end.next_multiple_of(4);
            let name = archive[at + HEADER..name_end].split(|&byte| byte == 0).next().unwrap();
            if name == b"TRAILER!!!" {
                return entries;
            }
            let name = String::from_utf8(name.to_vec()).unwrap();
            entries.push((name, field(1) as u32, data, archive[data..data + field(6)].to_vec()));
            at = (data + field(6)).next_multiple_of(4);
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_file_data_lies_on_pages() {
        let mut archive = Archive::default();
        archive.directory("bin");
        archive.file("bin/a", 0o755, &[7; 5000]);
        archive.file("empty", 0o644, &[]);
        archive.symlink("sh", "bin/a");
        archive.file("b", 0o600, b"b");
        let entries = parse(&archive.finish());
        let names: Vec<_> = entries.iter().map(|(name, mode, ..)| (name.as_str(), *mode)).collect();
        let expected = [("bin", 0o40755), ("bin/a", 0o100755), ("empty", 0o100644), ("sh", 0o120777), ("b", 0o100600)];
        assert_eq!(names, expected);
        assert_eq!(entries[1].3, [7; 5000]);
        assert_eq!(entries[3].3, b"bin/a");
        for (name, mode, offset, data) in &entries {
            if mode & KIND == REGULAR && !data.is_empty() {
                assert_eq!(offset % PAGE, 0, "{name}");
            }
        }
    }

    #[test]
    fn a_packed_archive_has_no_gaps() {
        let mut archive = Archive::packed();
        archive.file("a", 0o755, b"12345678");
        assert_eq!(parse(&archive.finish()), [("a".to_owned(), 0o100_755, HEADER + 2, b"12345678".to_vec())]);
    }
}
