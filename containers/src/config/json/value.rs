//! A value of a document that knows its path.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::super::error::{ConfigError, Shown};
use super::super::support::NOT_ENFORCED;
use super::tree::{Integer, Node};

/// For how many items of a list room is made before the first is read: a long list may hold anything.
const ROOM_MAX: usize = 64;

/// A value, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    node: &'a Node<'a>,
    path: Path<'a>,
}

/// Where a value is: a step from where another is.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    /// The document, or the property of this name that it stands for.
    Root(&'a str),
    Name(&'a str),
    Index(usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        let in_document = self.parent.is_none_or(|parent| matches!(parent.step, Step::Root("")));
        match self.step {
            Step::Root(name) => f.write_str(name),
            Step::Name(name) => {
                f.write_str(if in_document { "" } else { "." })?;
                let is_plain = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_graphic());
                if is_plain { f.write_str(name) } else { Shown(name).fmt(f) }
            }
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl<'a> Value<'a> {
    /// The value of a document, which stands for the property of config.json with this path.
    pub(super) const fn root(node: &'a Node<'a>, path: &'a str) -> Self {
        Self { node, path: Path { parent: None, step: Step::Root(path) } }
    }

    /// That something is wrong here.
    pub(super) fn refuse(&self, reason: impl Into<Cow<'static, str>>) -> ConfigError {
        ConfigError::without_line(self.path.to_string(), reason)
    }

    /// That what is asked for here is known and not enforced.
    pub(super) fn not_enforced(&self) -> ConfigError {
        self.refuse(NOT_ENFORCED)
    }

    fn is_not(&self, what: &str) -> ConfigError {
        let is = match self.node {
            Node::Null => "null",
            Node::Boolean(_) => "a boolean",
            Node::Integer(_) => "a number",
            Node::Fraction => "a number that is not whole, or too large",
            Node::Text(_) => "a string",
            Node::Array(_) => "an array",
            Node::Object(_) => "an object",
        };
        self.refuse(format!("is {is}, not {what}"))
    }

    /// The property of a name, if there is one.
    pub(super) fn get<'s>(&'s self, name: &'s str) -> Result<Option<Value<'s>>, ConfigError> {
        let Node::Object(properties) = self.node else {
            return Err(self.is_not("an object"));
        };
        let named = properties.iter().find(|(of, _)| of == name);
        Ok(named.map(|(_, node)| Value { node, path: self.below(Step::Name(name)) }))
    }

    const fn below<'s>(&'s self, step: Step<'s>) -> Path<'s> {
        Path { parent: Some(&self.path), step }
    }

    /// The property of a name, which must be there.
    pub(super) fn require<'s>(&'s self, name: &'s str) -> Result<Value<'s>, ConfigError> {
        let missing = || ConfigError::without_line(self.below(Step::Name(name)).to_string(), "is required");
        self.get(name)?.ok_or_else(missing)
    }

    /// What `read` makes of the property of a name, if there is one.
    pub(super) fn map<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Value<'_>) -> Result<T, ConfigError>,
    ) -> Result<Option<T>, ConfigError> {
        self.get(name)?.map(|value| read(&value)).transpose()
    }

    /// What `read` makes of each item of the array of a name; nothing if there is none.
    pub(super) fn list<T>(
        &self,
        name: &str,
        read: impl FnMut(&Value<'_>) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        self.get(name)?.map_or(Ok(Vec::new()), |array| array.items(read))
    }

    /// What `read` makes of each item.
    pub(super) fn items<T>(
        &self,
        mut read: impl FnMut(&Value<'_>) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        let Node::Array(items) = self.node else {
            return Err(self.is_not("an array"));
        };
        let mut list = Vec::with_capacity(items.len().min(ROOM_MAX));
        for (index, node) in items.iter().enumerate() {
            list.push(read(&Value { node, path: self.below(Step::Index(index)) })?);
        }
        Ok(list)
    }

    /// The properties of an object of strings.
    pub(super) fn texts(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        let Node::Object(properties) = self.node else {
            return Err(self.is_not("an object"));
        };
        let text = |(name, node): &'a (Cow<'_, str>, Node<'_>)| {
            let value = Value { node, path: self.below(Step::Name(name)) };
            Ok((String::from(&**name), value.owned()?))
        };
        properties.iter().map(text).collect()
    }

    /// The names of an object's properties.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        let properties = if let Node::Object(properties) = self.node { Some(properties) } else { None };
        properties.into_iter().flatten().map(|(name, _)| &**name)
    }

    pub(super) fn text(&self) -> Result<&'a str, ConfigError> {
        if let Node::Text(text) = self.node { Ok(text) } else { Err(self.is_not("a string")) }
    }

    pub(super) fn owned(&self) -> Result<String, ConfigError> {
        self.text().map(String::from)
    }

    pub(super) fn boolean(&self) -> Result<bool, ConfigError> {
        if let Node::Boolean(value) = self.node { Ok(*value) } else { Err(self.is_not("a boolean")) }
    }

    /// A whole number in the range of a type.
    pub(super) fn number<T: TryFrom<u64> + TryFrom<i64>>(&self) -> Result<T, ConfigError> {
        let number = match self.node {
            Node::Integer(Integer::Positive(number)) => T::try_from(*number).ok(),
            Node::Integer(Integer::Negative(number)) => T::try_from(*number).ok(),
            _ => return Err(self.is_not("a whole number")),
        };
        number.ok_or_else(|| self.refuse("is out of range"))
    }

    /// What a text means to `read`.
    pub(super) fn word<T>(&self, read: impl FnOnce(&str) -> Option<T>, reason: &str) -> Result<T, ConfigError> {
        let text = self.text()?;
        read(text).ok_or_else(|| self.refuse(format!("{} {reason}", Shown(text))))
    }

    /// Refuses properties that are known and not enforced, unless they ask for nothing: `false`, 0, an empty text,
    /// an empty list.
    pub(super) fn refuse_unless_inert(&self, names: &[&str]) -> Result<(), ConfigError> {
        names.iter().try_for_each(|name| self.get(name)?.map_or(Ok(()), |value| value.inert()))
    }

    fn inert(&self) -> Result<(), ConfigError> {
        match self.node {
            Node::Null | Node::Boolean(false) | Node::Integer(Integer::Positive(0)) => Ok(()),
            Node::Text(text) if text.is_empty() => Ok(()),
            Node::Array(items) => items
                .first()
                .map_or(Ok(()), |node| Err(Value { node, path: self.below(Step::Index(0)) }.not_enforced())),
            Node::Object(properties) => properties
                .iter()
                .try_for_each(|(name, node)| Value { node, path: self.below(Step::Name(name)) }.inert()),
            _ => Err(self.not_enforced()),
        }
    }
}

// What to make of a value: functions, since a method of a type with a lifetime is one of that lifetime only.

/// A text of one's own.
pub(super) fn owned(value: &Value<'_>) -> Result<String, ConfigError> {
    value.text().map(String::from)
}

/// `true` or `false`.
pub(super) fn boolean(value: &Value<'_>) -> Result<bool, ConfigError> {
    value.boolean()
}

/// A whole number in the range of a type.
pub(super) fn number<T: TryFrom<u64> + TryFrom<i64>>(value: &Value<'_>) -> Result<T, ConfigError> {
    value.number()
}

/// The properties of an object of strings.
pub(super) fn texts(value: &Value<'_>) -> Result<BTreeMap<String, String>, ConfigError> {
    value.texts()
}
