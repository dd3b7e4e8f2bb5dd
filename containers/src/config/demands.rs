//! What a configuration asks of a kernel, so that a kernel can be asked whether it enforces that.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use core::convert::Infallible;

use super::model::{
    Capabilities, CapabilitySet, DeviceAccess, DeviceRule, DeviceRuleKind, MountPropagation, Process, Resources,
    Seccomp, SeccompProfile, Settings,
};
use super::support::{NOT_ENFORCED, not_yet};
use super::syntax::mounts;
use crate::NamespaceKind;
use crate::keys::{KEYS, KeyId};

/// Something that is asked of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The key of the language.
    pub key: KeyId,
    /// What of it; empty if the key is all there is to say.
    ///
    /// * `namespace`: the kind, with a colon after it for one to join (`pid`, `pid:`).
    /// * `mount`: the type after `type ` (`type tmpfs`); each option (`ro`, `rslave`), and after the type those that
    ///   belong to it, up to their `=` (`tmpfs size=`, `tmpfs tmpcopyup`). A remount has no type: `remount`.
    /// * `process_terminal`: `true`.
    /// * `seccomp`: the action of each rule, and of all other calls, without its number; or `default`.
    pub word: Cow<'static, str>,
}

impl Demand {
    /// What an error says of it: that it is not enforced.
    pub(crate) fn refusal(&self) -> Cow<'static, str> {
        if self.word.is_empty() { Cow::Borrowed(NOT_ENFORCED) } else { Cow::Owned(not_yet(&self.word)) }
    }
}

impl Settings {
    /// What is asked of a kernel by what is said and by what holds by default (`seccomp=default`), in the order of the
    /// keys. What asks for nothing is left out: `seccomp=unconfined`, `capability=all`, `no_new_privileges=false`,
    /// `device_rule=allow:a:*:*:rwm`, `root_path=/`, the user 0, the umask 0; so are the arguments, which every kernel
    /// passes on, and annotations, which none sees.
    pub fn demands(&self) -> impl Iterator<Item = Demand> {
        asked(|key| self.asks(key)).flat_map(|key| self.words(key).map(move |word| Demand { key, word }))
    }

    /// The rules of seccomp, if it has rules.
    const fn profile(&self) -> Option<&SeccompProfile> {
        match &self.seccomp {
            Seccomp::Profile(profile) => Some(profile),
            Seccomp::Default | Seccomp::Unconfined => None,
        }
    }

    fn asks(&self, key: KeyId) -> bool {
        let asked = self.process.asks(key).or_else(|| self.resources.asks(key));
        asked.unwrap_or_else(|| match key {
            KeyId::OciVersion | KeyId::Annotation | KeyId::HookEnv => false,
            KeyId::RootPath => self.root.path != "/",
            KeyId::RootReadonly => self.root.readonly,
            KeyId::RootfsPropagation => self.root.propagation != MountPropagation::default(),
            KeyId::Hostname => self.hostname.is_some(),
            KeyId::Domainname => self.domainname.is_some(),
            // Asked by their words.
            KeyId::Mount | KeyId::Namespace | KeyId::Seccomp => true,
            KeyId::UidMapping => !self.uid_mappings.is_empty(),
            KeyId::GidMapping => !self.gid_mappings.is_empty(),
            KeyId::TimeOffset => !self.time_offsets.is_zero(),
            KeyId::CgroupsPath => self.cgroups_path.is_some(),
            KeyId::Device => !self.devices.is_empty(),
            KeyId::DeviceRule => !allow_all(&self.resources.devices),
            KeyId::SeccompDefault => self.profile().is_some(),
            KeyId::SeccompArch => self.profile().is_some_and(|profile| !profile.architectures.is_empty()),
            KeyId::SeccompFlag => self.profile().is_some_and(|profile| !profile.flags.is_empty()),
            KeyId::Sysctl => !self.sysctl.is_empty(),
            KeyId::MaskedPath => !self.masked_paths.is_empty(),
            KeyId::ReadonlyPath => !self.readonly_paths.is_empty(),
            KeyId::HookPrestart => !self.hooks.prestart.is_empty(),
            KeyId::HookCreateRuntime => !self.hooks.create_runtime.is_empty(),
            KeyId::HookCreateContainer => !self.hooks.create_container.is_empty(),
            KeyId::HookStartContainer => !self.hooks.start_container.is_empty(),
            KeyId::HookPoststart => !self.hooks.poststart.is_empty(),
            KeyId::HookPoststop => !self.hooks.poststop.is_empty(),
            // The rest is of processes and limits. What nobody has thought of is asked.
            _ => true,
        })
    }

    /// The words of a key that asks for something: an empty one where the key is all there is to say.
    fn words(&self, key: KeyId) -> impl Iterator<Item = Cow<'static, str>> + use<> {
        let words = match key {
            KeyId::Namespace => {
                let new = NamespaceKind::ALL.into_iter().filter(|kind| self.namespaces.is_new(*kind));
                let new = new.map(|kind| Cow::Borrowed(kind.name()));
                let joined = self.namespaces.joined.keys().map(|kind| Cow::Owned(format!("{kind}:")));
                Some(new.chain(joined).collect())
            }
            KeyId::Mount => {
                let mut words = Vec::new();
                for mount in &self.mounts {
                    let Ok(()) = mounts::words(mount, &mut |word| {
                        words.push(Cow::Borrowed(word));
                        Ok::<(), Infallible>(())
                    });
                }
                Some(words)
            }
            KeyId::ProcessTerminal => Some(Vec::from([Cow::Borrowed("true")])),
            KeyId::Seccomp => Some(match &self.seccomp {
                Seccomp::Default => Vec::from([Cow::Borrowed("default")]),
                Seccomp::Unconfined => Vec::new(),
                Seccomp::Profile(profile) => {
                    let actions = profile.rules.iter().map(|rule| rule.action).chain([profile.default_action]);
                    actions.map(|action| Cow::Borrowed(action.word())).collect()
                }
            }),
            _ => None,
        };
        let whole = words.is_none().then_some(Cow::Borrowed(""));
        whole.into_iter().chain(words.into_iter().flatten())
    }
}

impl Process {
    /// What a further process in a container asks of a kernel; see [`Settings::demands`].
    pub fn demands(&self) -> impl Iterator<Item = Demand> {
        let word = |key| if key == KeyId::ProcessTerminal { "true" } else { "" };
        asked(|key| self.asks(key) == Some(true)).map(move |key| Demand { key, word: Cow::Borrowed(word(key)) })
    }

    /// Whether it asks for a key; `None` for those of others.
    fn asks(&self, key: KeyId) -> Option<bool> {
        let Capabilities { bounding, effective, permitted, inheritable, ambient } = self.capabilities;
        let is_less = |set: CapabilitySet| !set.is_all();
        Some(match key {
            KeyId::ProcessCwd => self.cwd != "/",
            KeyId::ProcessUid => self.user.uid != 0,
            KeyId::ProcessGid => self.user.gid != 0,
            KeyId::AdditionalGid => !self.user.additional_gids.is_empty(),
            KeyId::Umask => self.user.umask != 0,
            KeyId::ProcessTerminal => self.terminal,
            KeyId::ConsoleSize => self.console_size.is_some(),
            KeyId::ProcessArg | KeyId::ProcessArgs => false,
            KeyId::ProcessEnv => !self.env.is_empty(),
            KeyId::Capability => is_less(bounding) || is_less(effective) || is_less(permitted),
            KeyId::CapabilityBounding => bounding != effective || bounding != permitted,
            KeyId::CapabilityEffective => effective != permitted,
            KeyId::CapabilityPermitted => permitted != bounding,
            KeyId::CapabilityInheritable => !inheritable.is_empty(),
            KeyId::CapabilityAmbient => !ambient.is_empty(),
            KeyId::Rlimit => !self.rlimits.is_empty(),
            KeyId::NoNewPrivileges => self.no_new_privileges,
            KeyId::OomScoreAdj => self.oom_score_adj.is_some(),
            _ => return None,
        })
    }
}

impl Resources {
    /// What new limits ask of a kernel; see [`Settings::demands`]. The device rules, which an update does not change,
    /// are left out.
    pub fn demands(&self) -> impl Iterator<Item = Demand> {
        asked(|key| self.asks(key) == Some(true)).map(|key| Demand { key, word: Cow::Borrowed("") })
    }

    /// Whether it asks for a key; `None` for those of others.
    fn asks(&self, key: KeyId) -> Option<bool> {
        let (memory, cpu) = (&self.memory, &self.cpu);
        Some(match key {
            KeyId::MemoryLimit => memory.limit.is_some(),
            KeyId::MemoryReservation => memory.reservation.is_some(),
            KeyId::MemoryHigh => memory.high.is_some(),
            KeyId::MemorySwap => memory.swap.is_some(),
            KeyId::CpuShares => cpu.shares.is_some(),
            KeyId::CpuQuota => cpu.quota.is_some(),
            KeyId::CpuPeriod => cpu.period.is_some(),
            KeyId::CpuBurst => cpu.burst.is_some(),
            KeyId::CpuIdle => cpu.idle.is_some(),
            KeyId::CpusetCpus => cpu.cpus.is_some(),
            KeyId::PidsLimit => self.pids.is_some(),
            KeyId::Unified => !self.unified.is_empty(),
            _ => return None,
        })
    }
}

/// The keys that are asked for.
fn asked(is_asked: impl Fn(KeyId) -> bool) -> impl Iterator<Item = KeyId> {
    KEYS.iter().map(|key| key.id).filter(move |key| is_asked(*key))
}

fn allow_all(rules: &[DeviceRule]) -> bool {
    const EVERYTHING: DeviceRule =
        DeviceRule { allow: true, kind: DeviceRuleKind::All, major: None, minor: None, access: DeviceAccess::all() };
    rules == [EVERYTHING]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use alloc::string::String;

    fn demands(document: &str) -> Vec<(KeyId, String)> {
        let config = Config::parse_whole_language(document.as_bytes(), &[]).unwrap();
        config.demands().map(|Demand { key, word }| (key, word.into_owned())).collect()
    }

    const FREE: &str = "process_arg=/bin/x\ncapability=all\nno_new_privileges=false\nseccomp=unconfined\numask=0\n\
        device_rule=allow:a:*:*:rwm\nannotation=a=b\n";

    #[test]
    fn there_is_a_configuration_that_asks_for_nothing() {
        assert_eq!(demands(FREE), []);
        let json = r#"{"ociVersion":"1.0.2","process":{"args":["/bin/x"],"cwd":"/"},"root":{"path":"/"}}"#;
        let asked = demands(json);
        assert!(asked.contains(&(KeyId::Seccomp, "default".into())), "{asked:?}");
    }

    #[test]
    fn defaults_ask_for_what_they_protect() {
        let asked: Vec<_> = demands("process_arg=/bin/x\nnamespace=mount\n");
        let names: Vec<_> = asked.iter().map(|(key, _)| key.name()).collect();
        let expected = ["umask", "capability", "no_new_privileges", "namespace", "device_rule", "seccomp"];
        assert_eq!(names[..6], expected);
        assert_eq!(names[6..], ["masked_path", "readonly_path"]);
    }

    #[test]
    fn parts_of_values_are_asked_for_by_their_words() {
        let document = std::format!(
            "{FREE}namespace=mount\nnamespace=pid:/proc/1/ns/pid\nmasked_path=none\nreadonly_path=none\n\
             mount=/t:tmpfs:t:ro,size=1M,rslave\nmount=/b:none:b:remount,bind,ro\n"
        );
        let words: Vec<_> = demands(&document).into_iter().map(|(_, word)| word).collect();
        let expected = ["type tmpfs", "ro", "rslave", "tmpfs size=", "ro", "remount", "mount", "pid:"];
        assert_eq!(words, expected);
        let rules = FREE.replace("seccomp=unconfined", "seccomp_default=errno=5\nseccomp=log:read");
        let asked = demands(&rules);
        let seccomp: Vec<_> = asked.iter().map(|(key, word)| (key.name(), word.as_str())).collect();
        assert_eq!(seccomp, [("seccomp_default", ""), ("seccomp", "log"), ("seccomp", "errno")]);
    }

    #[test]
    fn a_process_and_limits_ask_for_their_own() {
        let process = Process::parse(b"process_arg=/bin/x\nprocess_cwd=/tmp\n", &[]).unwrap();
        let keys: Vec<_> = process.demands().map(|demand| demand.key.name()).collect();
        assert_eq!(keys, ["process_cwd", "umask", "capability", "no_new_privileges"]);
        let limits = Resources::parse(b"pids_limit=3\nmemory_limit=1M\n", &[]).unwrap();
        let keys: Vec<_> = limits.demands().map(|demand| demand.key.name()).collect();
        assert_eq!(keys, ["memory_limit", "pids_limit"]);
    }
}
