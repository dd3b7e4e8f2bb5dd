//! `rlimit`, the capability sets, `process_console_size`, `umask`, `oom_score_adj`.

use alloc::string::String;
use core::fmt;

use super::{Fields, read, signed};
use crate::config::error::about;
use crate::config::model::{CapabilitySet, ConsoleSize, Rlimit, RlimitKind};
use crate::config::variables::Variables;
use crate::text::{self, Range, Reason};

/// Reads `KIND:SOFT[:HARD]`; a limit given once is both.
pub(in crate::config) fn rlimit(value: &str, variables: &mut Variables<'_>) -> Result<(RlimitKind, Rlimit), String> {
    let mut fields = Fields::of(value);
    let (Some(kind), Some(soft)) = (fields.next(), fields.next()) else {
        return Err(about(value, "is not a resource limit: KIND:SOFT[:HARD]"));
    };
    let kind = read(kind, variables, |name| {
        RlimitKind::from_name(name).ok_or(
            "is not a resource limit: cpu, fsize, data, stack, core, rss, nproc, nofile, memlock, as, locks, \
             sigpending, msgqueue, nice, rtprio, rttime",
        )
    })?;
    let soft = read(soft, variables, rlimit_value)?;
    let hard = fields.next().map_or(Ok(soft), |hard| read(hard, variables, rlimit_value))?;
    if fields.rest().is_some() {
        return Err(about(value, "has more than three fields"));
    }
    Ok((kind, Rlimit { soft, hard }))
}

fn rlimit_value(text: &str) -> Result<u64, Reason> {
    match text {
        "max" => Ok(Rlimit::INFINITY),
        _ => text::decimal(text).ok_or("is not a limit: a decimal number, or max"),
    }
}

/// Prints a resource limit as the value of its line.
pub(in crate::config) struct PrintedRlimit(pub(in crate::config) RlimitKind, pub(in crate::config) Rlimit);

impl fmt::Display for PrintedRlimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())?;
        [self.1.soft, self.1.hard].into_iter().try_for_each(|limit| match limit {
            Rlimit::INFINITY => f.write_str(":max"),
            limit => write!(f, ":{limit}"),
        })
    }
}

/// Words that stand for a whole set of capabilities.
const SETS: [(&str, CapabilitySet); 3] =
    [("none", CapabilitySet::empty()), ("default", CapabilitySet::DEFAULT), ("all", CapabilitySet::all())];

/// Reads a capability, with or without its `CAP_`, or a word for many.
pub(in crate::config) fn capability(text: &str) -> Result<CapabilitySet, Reason> {
    let set = SETS.iter().find_map(|&(word, set)| (word == text).then_some(set));
    set.or_else(|| CapabilitySet::from_name(text.strip_prefix("CAP_").unwrap_or(text)))
        .ok_or("is not a capability: CAP_CHOWN and so on (capabilities(7)), default, all, none")
}

/// The values that say a set, one a line.
pub(in crate::config) fn capability_words(set: CapabilitySet) -> impl Iterator<Item = CapabilityWord> {
    let whole = SETS.iter().find(|(_, known)| *known == set).map(|(word, _)| CapabilityWord { prefix: "", name: word });
    let single = set.iter_names().filter(move |_| whole.is_none());
    whole.into_iter().chain(single.map(|(name, _)| CapabilityWord { prefix: "CAP_", name }))
}

/// A capability, or a word for many, as it is printed.
#[derive(Clone, Copy)]
pub(in crate::config) struct CapabilityWord {
    prefix: &'static str,
    name: &'static str,
}

impl fmt::Display for CapabilityWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix, self.name)
    }
}

/// Reads `COLUMNSxLINES`.
pub(in crate::config) fn console_size(text: &str) -> Result<ConsoleSize, Reason> {
    let side = |digits: &str| text::decimal(digits).and_then(|number| u16::try_from(number).ok());
    let sides = text.split_once('x').and_then(|(width, height)| Some((side(width)?, side(height)?)));
    let (width, height) = sides.ok_or("is not a size of a terminal: COLUMNSxLINES, such as 80x24")?;
    Ok(ConsoleSize { height, width })
}

/// Reads the octal permission bits of a umask.
pub(in crate::config) fn umask(text: &str) -> Result<u16, Reason> {
    text::octal(text, &UMASK)
}

/// Of a umask.
pub(in crate::config) const UMASK: Range =
    Range { least: 0, most: 0o777, otherwise: "is not a umask: an octal number up to 777" };

/// Reads a score of -1000 to 1000.
pub(in crate::config) fn oom_score_adj(text: &str) -> Result<i16, Reason> {
    let score = signed(text).and_then(|score| i16::try_from(score).ok()).ok_or(NOT_A_SCORE)?;
    is_score(score).map(|()| score)
}

const NOT_A_SCORE: Reason = "is not a score from -1000 to 1000";

/// Checks a score.
pub(in crate::config) fn is_score(score: i16) -> Result<(), Reason> {
    if (-1000..=1000).contains(&score) { Ok(()) } else { Err(NOT_A_SCORE) }
}
