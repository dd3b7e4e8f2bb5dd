//! A JSON document as a tree, read with bounds: no name twice in an object, not too deep, not too many values.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde_core::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::super::error::{ConfigError, Shown};

/// The most bytes of a document. Docker's, with its seccomp profile spelt out, has some 50 KiB.
pub const JSON_LEN_MAX: usize = 256 * 1024;
/// How deep values may lie in each other. The deepest of runtime-spec is at 6.
const DEPTH_MAX: usize = 16;
/// The most values in a document: what they take of the heap is bounded by it.
const VALUES_MAX: usize = 32 * 1024;

/// A value; texts without escapes are borrowed from the document.
#[derive(Debug)]
pub(super) enum Node<'d> {
    Null,
    Boolean(bool),
    /// A whole number, from -2^63 to 2^64 - 1.
    Integer(Integer),
    /// Any other number.
    Fraction,
    Text(Cow<'d, str>),
    Array(Vec<Node<'d>>),
    Object(Vec<(Cow<'d, str>, Node<'d>)>),
}

/// A whole number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Integer {
    Positive(u64),
    Negative(i64),
}

/// Reads a document.
pub(super) fn read(document: &[u8]) -> Result<Node<'_>, ConfigError> {
    if document.len() > JSON_LEN_MAX {
        return Err(ConfigError::without_line("", format!("the document is too long: more than {JSON_LEN_MAX} bytes")));
    }
    // Once for the whole, not for each text in it.
    let text = core::str::from_utf8(document).map_err(|error| not_text(document, error.valid_up_to()))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let mut left = VALUES_MAX;
    let seed = Seed { depth: DEPTH_MAX, left: &mut left };
    let read = seed.deserialize(&mut reader).and_then(|node| reader.end().map(|()| node));
    read.map_err(|error| {
        let text = error.to_string();
        let reason = text.rsplit_once(" at line ").map_or(&*text, |(reason, _)| reason);
        let line = u32::try_from(error.line()).unwrap_or(0);
        ConfigError::on_line(line, "", format!("column {}: {reason}", error.column()))
    })
}

/// That the byte at `at` is part of no character.
fn not_text(document: &[u8], at: usize) -> ConfigError {
    let lines = document[..at].split(|&byte| byte == b'\n');
    let (line, column) = lines.fold((0, 0), |(line, _), text| (line + 1, text.len() + 1));
    ConfigError::on_line(line, "", format!("column {column}: not UTF-8"))
}

/// How deep the next value may go, and how many there may still be.
struct Seed<'s> {
    depth: usize,
    left: &'s mut usize,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Node<'de>, D::Error> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| D::Error::custom("too many values in one document"))?;
        reader.deserialize_any(self)
    }
}

impl Seed<'_> {
    /// The seed of the values in this one.
    fn below<E: Error>(&mut self) -> Result<Seed<'_>, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| E::custom("values lie too deep in each other"))?;
        Ok(Seed { depth, left: self.left })
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Boolean(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(Node::Integer(Integer::Positive(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Integer(u64::try_from(value).map_or(Integer::Negative(value), Integer::Positive)))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node<'de>, E> {
        Ok(Node::Fraction)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(String::from(text))))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Node<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self.below()?)? {
            items.push(item);
        }
        Ok(Node::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Node<'de>, A::Error> {
        let mut object = Vec::new();
        let mut names = Names::default();
        while let Some(Name(name)) = map.next_key_seed(NameSeed)? {
            if !names.add(name.clone(), &object) {
                return Err(A::Error::custom(format!("the name {} is given twice in one object", Shown(&name))));
            }
            let value = map.next_value_seed(self.below()?)?;
            object.push((name, value));
        }
        Ok(Node::Object(object))
    }
}

/// The names of an object that has so many that looking at each of them would take too long.
#[derive(Default)]
struct Names<'d>(BTreeSet<Cow<'d, str>>);

impl<'d> Names<'d> {
    /// How many are looked at one by one.
    const FEW: usize = 16;

    /// Whether a name is none of those of the object so far.
    fn add(&mut self, name: Cow<'d, str>, object: &[(Cow<'d, str>, Node<'d>)]) -> bool {
        let names = object.iter().map(|(name, _)| name);
        if object.len() < Self::FEW {
            return names.into_iter().all(|other| *other != name);
        }
        if self.0.is_empty() {
            self.0.extend(names.cloned());
        }
        self.0.insert(name)
    }
}

/// The name of a property.
struct Name<'d>(Cow<'d, str>);

struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Name<'de>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Name<'de>, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a property")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(String::from(name))))
    }
}
