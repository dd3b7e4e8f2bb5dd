//! Options of a tmpfs, and as the text that mount(2) is given: `size=64m,mode=755`.

use crate::{namespace::UserNamespace, security::Credentials};
use alloc::{format, string::String, vec::Vec};
use veridian_containers::abi::Errno;
use veridian_hal::{PAGE_SIZE, mem};

/// What a new tmpfs is told (tmpfs(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TmpfsOptions {
    /// `size=`: the most pages of data, bytes rounded up; 0 is no limit.
    pub pages_max: Option<usize>,
    /// `nr_inodes=`: the most inodes; 0 is no limit.
    pub inodes_max: Option<usize>,
    /// `mode=`: permission bits of the root directory.
    pub mode: Option<u16>,
    /// `uid=`: owner of the root directory.
    pub uid: Option<u32>,
    /// `gid=`: group of the root directory.
    pub gid: Option<u32>,
}

impl TmpfsOptions {
    /// Permission bits of the root directory when none are given.
    pub const MODE: u16 = 0o1777;

    /// Reads options separated by commas; EINVAL for one that is not known or not well formed.
    pub fn parse(text: &[u8]) -> Result<Self, Errno> {
        let mut options = Self::default();
        text.split(|&byte| byte == b',')
            .filter(|option| !option.is_empty())
            .try_for_each(|option| options.set(option))?;
        Ok(options)
    }

    /// With the machine's ids for those given, which are ids of `namespace`: EINVAL for one that it does not map.
    pub(super) fn mapped(self, namespace: &UserNamespace) -> Result<Self, Errno> {
        let uid = self.uid.map(|uid| namespace.user(uid)).transpose()?;
        let gid = self.gid.map(|gid| namespace.group(gid)).transpose()?;
        Ok(Self { uid, gid, ..self })
    }

    /// [`Self::mapped`] for who mounts. The root directory is theirs, if nothing is said.
    pub(in crate::fs) fn for_mounter(self, credentials: &Credentials) -> Result<Self, Errno> {
        let mapped = self.mapped(&credentials.user_namespace)?;
        let (uid, gid) = (mapped.uid.unwrap_or(credentials.fsuid), mapped.gid.unwrap_or(credentials.fsgid));
        Ok(Self { uid: Some(uid), gid: Some(gid), ..mapped })
    }

    /// The options that are not the default, as /proc tells them.
    pub(in crate::fs) fn text(&self) -> String {
        let limit = |max: Option<usize>| max.filter(|&max| max > 0);
        let told = [
            limit(self.pages_max).map(|pages| format!("size={}k", pages * (PAGE_SIZE / 1024))),
            limit(self.inodes_max).map(|inodes| format!("nr_inodes={inodes}")),
            self.mode.filter(|&mode| mode != Self::MODE).map(|mode| format!("mode={mode:03o}")),
            self.uid.filter(|&uid| uid != 0).map(|uid| format!("uid={uid}")),
            self.gid.filter(|&gid| gid != 0).map(|gid| format!("gid={gid}")),
        ];
        told.into_iter().flatten().collect::<Vec<_>>().join(",")
    }

    /// Whether none of the options that bound a tmpfs is given.
    pub(in crate::fs) fn limits_nothing(&self) -> bool {
        self.pages_max.is_none() && self.inodes_max.is_none()
    }

    fn set(&mut self, option: &[u8]) -> Result<(), Errno> {
        let text = core::str::from_utf8(option).map_err(|_| Errno::EINVAL)?;
        let (name, value) = text.split_once('=').ok_or(Errno::EINVAL)?;
        match name {
            "size" => self.pages_max = Some(pages(value)?),
            "nr_inodes" => self.inodes_max = Some(scaled(value)?),
            "mode" => self.mode = Some(octal(value)?),
            "uid" => self.uid = Some(number(value)?),
            "gid" => self.gid = Some(number(value)?),
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }
}

fn pages(value: &str) -> Result<usize, Errno> {
    if let Some(percent) = value.strip_suffix('%') {
        let percent: usize = number(percent)?;
        return mem::statistics().total.checked_mul(percent).map(|n| n / 100).ok_or(Errno::EINVAL);
    }
    Ok(scaled(value)?.div_ceil(PAGE_SIZE))
}

/// A number with an optional suffix k, m or g.
fn scaled(value: &str) -> Result<usize, Errno> {
    let digits = value.trim_end_matches(['k', 'K', 'm', 'M', 'g', 'G']);
    let shift = match &value.as_bytes()[digits.len()..] {
        b"" => 0,
        b"k" | b"K" => 10,
        b"m" | b"M" => 20,
        b"g" | b"G" => 30,
        _ => return Err(Errno::EINVAL),
    };
    number::<usize>(digits)?.checked_mul(1 << shift).ok_or(Errno::EINVAL)
}

fn octal(value: &str) -> Result<u16, Errno> {
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Errno::EINVAL);
    }
    u16::from_str_radix(value, 8).ok().filter(|mode| *mode <= 0o7777).ok_or(Errno::EINVAL)
}

fn number<T: core::str::FromStr>(value: &str) -> Result<T, Errno> {
    if !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Errno::EINVAL);
    }
    value.parse().map_err(|_| Errno::EINVAL)
}
