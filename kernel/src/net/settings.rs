//! What can be set of a network namespace: its sysctls (ip(7), icmp(7), listen(2)).

use alloc::{
    format,
    string::{String, ToString},
};
use veridian_containers::abi::Errno;

/// The sysctls, with Linux's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `net.ipv4.ip_unprivileged_port_start`: the first port that needs no capability.
    pub unprivileged_port_start: u32,
    /// `net.ipv4.ip_local_port_range`: the ports that the kernel gives out.
    pub local_ports: (u16, u16),
    /// `net.ipv4.ping_group_range`: whose processes may make sockets for echo requests; nobody's at first.
    pub ping_groups: (u32, u32),
    /// `net.core.somaxconn`: connections that wait to be accepted, at most.
    pub backlog_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { unprivileged_port_start: 1024, local_ports: (32768, 60999), ping_groups: NOBODY, backlog_max: 4096 }
    }
}

/// A range with nothing in it, as Linux writes it.
const NOBODY: (u32, u32) = (1, 0);
/// Group numbers end here (GID_T_MAX).
const GROUP_MAX: u32 = i32::MAX as u32;

/// Two numbers of `text`.
fn pair(text: &str) -> Result<(u32, u32), Errno> {
    let mut words = text.split_ascii_whitespace().map(|word| word.parse().map_err(|_| Errno::EINVAL));
    match (words.next(), words.next(), words.next()) {
        (Some(first), Some(second), None) => Ok((first?, second?)),
        _ => Err(Errno::EINVAL),
    }
}

impl Settings {
    /// What a sysctl shows, by its path beneath `/proc/sys`; `None` for one that is none of these.
    pub fn get(&self, path: &str) -> Option<String> {
        match path {
            "net/core/somaxconn" => Some(self.backlog_max.to_string()),
            "net/ipv4/ip_local_port_range" => Some(format!("{}\t{}", self.local_ports.0, self.local_ports.1)),
            "net/ipv4/ip_unprivileged_port_start" => Some(self.unprivileged_port_start.to_string()),
            "net/ipv4/ping_group_range" => Some(format!("{}\t{}", self.ping_groups.0, self.ping_groups.1)),
            _ => None,
        }
    }

    /// Sets a sysctl: ENOENT for one that is none of these, EINVAL for a value that it does not take.
    pub fn set(&mut self, path: &str, value: &str) -> Result<(), Errno> {
        let number = || value.trim_ascii().parse::<u32>().map_err(|_| Errno::EINVAL);
        match path {
            "net/core/somaxconn" => {
                self.backlog_max = Some(number()?).filter(|most| i32::try_from(*most).is_ok()).ok_or(Errno::EINVAL)?;
            }
            "net/ipv4/ip_local_port_range" => {
                let (first, last) = pair(value)?;
                let (first, last) = (u16::try_from(first), u16::try_from(last));
                let (Ok(first @ 1..), Ok(last)) = (first, last) else { return Err(Errno::EINVAL) };
                // What the kernel gives out needs no capability.
                if last < first || u32::from(first) < self.unprivileged_port_start {
                    return Err(Errno::EINVAL);
                }
                self.local_ports = (first, last);
            }
            "net/ipv4/ip_unprivileged_port_start" => {
                let start = number()?;
                if start > u32::from(self.local_ports.0) {
                    return Err(Errno::EINVAL);
                }
                self.unprivileged_port_start = start;
            }
            "net/ipv4/ping_group_range" => {
                let (first, last) = pair(value)?;
                if first > GROUP_MAX || last > GROUP_MAX {
                    return Err(Errno::EINVAL);
                }
                self.ping_groups = if first <= last { (first, last) } else { NOBODY };
            }
            _ => return Err(Errno::ENOENT),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sysctl_shows_what_it_was_set_to() {
        let mut settings = Settings::default();
        for (path, value) in [
            ("net/core/somaxconn", "17"),
            ("net/ipv4/ip_local_port_range", "2000\t2001"),
            ("net/ipv4/ip_unprivileged_port_start", "0"),
            ("net/ipv4/ping_group_range", "0\t2147483647"),
        ] {
            assert_eq!(settings.set(path, value), Ok(()), "{path}");
            assert_eq!(settings.get(path).as_deref(), Some(value), "{path}");
        }
        assert_eq!(settings.set("net/ipv4/ping_group_range", "7 3"), Ok(()));
        assert_eq!(settings.ping_groups, NOBODY);
    }

    #[test]
    fn values_out_of_range_change_nothing() {
        let mut settings = Settings::default();
        for (path, value, errno) in [
            ("net/core/somaxconn", "-1", Errno::EINVAL),
            ("net/ipv4/ip_local_port_range", "0 5000", Errno::EINVAL),
            ("net/ipv4/ip_local_port_range", "1000 5000", Errno::EINVAL),
            ("net/ipv4/ip_local_port_range", "5000 4999", Errno::EINVAL),
            ("net/ipv4/ip_local_port_range", "5000 65536", Errno::EINVAL),
            ("net/ipv4/ip_local_port_range", "5000", Errno::EINVAL),
            ("net/ipv4/ip_unprivileged_port_start", "65536", Errno::EINVAL),
            ("net/ipv4/ip_unprivileged_port_start", "40000", Errno::EINVAL),
            ("net/ipv4/ping_group_range", "0 2147483648", Errno::EINVAL),
            ("net/ipv4/ip_forward", "1", Errno::ENOENT),
        ] {
            assert_eq!(settings.set(path, value), Err(errno), "{path}={value}");
        }
        assert_eq!(settings, Settings::default());
        assert_eq!(settings.get("net/ipv4/ip_forward"), None);
    }
}
