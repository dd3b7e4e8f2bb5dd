//! The keys that replace a default once they are given: capabilities, paths, device rules, seccomp.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Accept;
use crate::NamespaceKind;
use crate::config::bounds::{self, bounded};
use crate::config::error::about;
use crate::config::model::{
    Capabilities, CapabilitySet, DeviceRule, MASKED_PATHS, READONLY_PATHS, Seccomp, SeccompAction, SeccompArch,
    SeccompFlags, SeccompProfile, SeccompRule, Settings, default_paths,
};
use crate::config::support;
use crate::config::syntax::{checked, devices, process, read, seccomp};
use crate::config::variables::Variables;
use crate::keys::KeyId;
use crate::text;

/// What was given of such keys; `None` for what holds if nothing is.
#[derive(Default)]
pub(super) struct Lists {
    capability: Option<CapabilitySet>,
    bounding: Option<CapabilitySet>,
    effective: Option<CapabilitySet>,
    permitted: Option<CapabilitySet>,
    inheritable: Option<CapabilitySet>,
    ambient: Option<CapabilitySet>,
    masked_paths: Option<Vec<String>>,
    readonly_paths: Option<Vec<String>>,
    device_rules: Option<Vec<DeviceRule>>,
    seccomp: SeccompLines,
    /// The clocks that have a `time_offset` already.
    pub(super) clocks: [bool; 2],
}

/// What was given of seccomp.
#[derive(Default)]
struct SeccompLines {
    /// `default` or `unconfined`.
    whole: Option<Seccomp>,
    default_action: Option<SeccompAction>,
    architectures: Vec<SeccompArch>,
    flags: SeccompFlags,
    rules: Vec<SeccompRule>,
}

impl Lists {
    /// Takes one of these keys.
    pub(super) fn take(
        &mut self,
        id: KeyId,
        value: &str,
        variables: &mut Variables<'_>,
        accept: Accept,
    ) -> Result<(), String> {
        match id {
            KeyId::Capability => add_capability(&mut self.capability, value, variables),
            KeyId::CapabilityBounding => add_capability(&mut self.bounding, value, variables),
            KeyId::CapabilityEffective => add_capability(&mut self.effective, value, variables),
            KeyId::CapabilityPermitted => add_capability(&mut self.permitted, value, variables),
            KeyId::CapabilityInheritable => add_capability(&mut self.inheritable, value, variables),
            KeyId::CapabilityAmbient => add_capability(&mut self.ambient, value, variables),
            KeyId::MaskedPath => add_path(&mut self.masked_paths, value, variables, &MASKED_PATHS),
            KeyId::ReadonlyPath => add_path(&mut self.readonly_paths, value, variables, &READONLY_PATHS),
            KeyId::DeviceRule => {
                let rules = match value {
                    "default" => DeviceRule::defaults(),
                    "none" => Vec::new(),
                    _ => Vec::from([devices::rule(value, variables)?]),
                };
                extend(&mut self.device_rules, rules, value, bounds::DEVICE_RULES_MAX)
            }
            _ => self.seccomp.take(id, value, variables, accept),
        }
    }

    /// Puts all of it into the settings, with the defaults of what was not given.
    pub(super) fn finish(self, mut settings: Settings) -> Result<Settings, (KeyId, Cow<'static, str>)> {
        let Capabilities { inheritable, ambient, .. } = Capabilities::default();
        let most = self.capability.unwrap_or(CapabilitySet::DEFAULT);
        settings.process.capabilities = Capabilities {
            bounding: self.bounding.unwrap_or(most),
            effective: self.effective.unwrap_or(most),
            permitted: self.permitted.unwrap_or(most),
            inheritable: self.inheritable.unwrap_or(inheritable),
            ambient: self.ambient.unwrap_or(ambient),
        };
        let own_root = settings.namespaces.is_new(NamespaceKind::Mount);
        settings.masked_paths = self.masked_paths.unwrap_or_else(|| default_paths(&MASKED_PATHS, own_root));
        settings.readonly_paths = self.readonly_paths.unwrap_or_else(|| default_paths(&READONLY_PATHS, own_root));
        if let Some(rules) = self.device_rules {
            settings.resources.devices = rules;
        }
        settings.seccomp = self.seccomp.finish()?;
        Ok(settings)
    }
}

/// Adds to a list; a word for no items stands alone.
fn extend<T>(list: &mut Option<Vec<T>>, items: Vec<T>, value: &str, most: usize) -> Result<(), String> {
    if list.as_ref().is_some_and(|list| list.is_empty() || items.is_empty()) {
        return Err(format!("{value} cannot be given together with others"));
    }
    let list = list.get_or_insert_default();
    list.extend(items);
    bounded(list.len(), most)
}

fn add_capability(set: &mut Option<CapabilitySet>, value: &str, variables: &mut Variables<'_>) -> Result<(), String> {
    let more = read(value, variables, process::capability)?;
    match set {
        Some(set) if set.is_empty() || more.is_empty() => {
            Err(String::from("none cannot be given together with others"))
        }
        Some(set) if set.contains(more) => Err(about(value, "says again what another line says")),
        Some(set) => {
            *set |= more;
            Ok(())
        }
        None => {
            *set = Some(more);
            Ok(())
        }
    }
}

fn add_path(
    paths: &mut Option<Vec<String>>,
    value: &str,
    variables: &mut Variables<'_>,
    defaults: &[&str],
) -> Result<(), String> {
    let more = match value {
        "default" => defaults.iter().copied().map(String::from).collect(),
        "none" => Vec::new(),
        _ => Vec::from([checked(value, variables, text::absolute_path)?]),
    };
    extend(paths, more, value, bounds::PATHS_MAX)
}

impl SeccompLines {
    fn take(&mut self, id: KeyId, value: &str, variables: &mut Variables<'_>, accept: Accept) -> Result<(), String> {
        let enforced = |action: SeccompAction| match accept {
            Accept::Enforced => support::action(action),
            #[cfg(any(test, fuzzing))]
            Accept::All => Ok(()),
        };
        match id {
            KeyId::SeccompDefault => {
                let action = read(value, variables, seccomp::action)?;
                enforced(action)?;
                self.default_action = Some(action);
            }
            KeyId::SeccompArch => {
                let architecture = read(value, variables, seccomp::architecture)?;
                if self.architectures.contains(&architecture) {
                    return Err(format!("{} is given twice", architecture.name()));
                }
                self.architectures.push(architecture);
            }
            KeyId::SeccompFlag => {
                let flag = read(value, variables, seccomp::flag)?;
                if self.flags.contains(flag) {
                    return Err(about(value, "is given twice"));
                }
                self.flags |= flag;
            }
            _ => {
                let whole = match value {
                    "default" => Some(Seccomp::Default),
                    "unconfined" => Some(Seccomp::Unconfined),
                    _ => None,
                };
                if self.whole.is_some() || (whole.is_some() && !self.rules.is_empty()) {
                    return Err(String::from("default and unconfined stand alone"));
                }
                self.whole = whole;
                if self.whole.is_none() {
                    let rule = seccomp::rule(value, variables)?;
                    enforced(rule.action)?;
                    self.rules.push(rule);
                    bounded(self.rules.len(), seccomp::RULES_MAX)?;
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Seccomp, (KeyId, Cow<'static, str>)> {
        let Self { whole, default_action, architectures, flags, rules } = self;
        let first_of_profile = [
            (KeyId::SeccompDefault, default_action.is_some()),
            (KeyId::Seccomp, !rules.is_empty()),
            (KeyId::SeccompArch, !architectures.is_empty()),
            (KeyId::SeccompFlag, !flags.is_empty()),
        ]
        .into_iter()
        .find_map(|(key, given)| given.then_some(key));
        match (whole, default_action, first_of_profile) {
            (Some(_), _, Some(_)) => Err((KeyId::Seccomp, Cow::Borrowed("default and unconfined stand alone"))),
            (Some(whole), _, None) => Ok(whole),
            (None, Some(default_action), _) => {
                Ok(Seccomp::Profile(SeccompProfile { default_action, architectures, flags, rules }))
            }
            (None, None, Some(key)) => {
                Err((key, Cow::Borrowed("needs seccomp_default: what becomes of calls without a rule")))
            }
            (None, None, None) => Ok(Seccomp::Default),
        }
    }
}
