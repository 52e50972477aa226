//! A serializer that refuses what could not be read back: values that are nested too
//! deeply, and numbers that JSON does not have.
//!
//! It passes everything on to the serializer of a format. It grows the stack as it goes
//! down, so that a value of any depth is refused instead of overflowing the stack.

use std::cell::Cell;
use std::fmt::Display;

use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::Value;

use super::MOST_LEVELS;

/// After how many levels the stack is looked at.
const STEP: usize = 32;

/// What these levels may need at most.
const STEP_STACK: usize = 256 << 10;

/// How much the stack grows at a time.
const MORE_STACK: usize = 4 << 20;

/// The name that serde_json gives to a number, and to its only field, if the program was
/// built with its feature `arbitrary_precision`.
pub(super) const NUMBER: &str = "$serde_json::private::Number";

/// What a format can hold, and whether a value was refused for its depth.
#[derive(Clone, Copy)]
pub(super) struct Rules<'r> {
    /// Whether the format is JSON, which holds finite numbers of any length.
    pub(super) json: bool,
    pub(super) too_deep: &'r Cell<bool>,
}

/// A serializer at some level of a value.
pub(super) struct Checked<'r, S> {
    pub(super) inner: S,
    pub(super) rules: Rules<'r>,
    pub(super) level: usize,
}

impl<'r, S: Serializer> Checked<'r, S> {
    /// The level of what is inside, `levels` below this one.
    fn enter(&self, levels: usize) -> Result<usize, S::Error> {
        let level = self.level.saturating_add(levels);
        if level > MOST_LEVELS {
            self.rules.too_deep.set(true);
            return Err(S::Error::custom("it is nested too deeply"));
        }
        Ok(level)
    }

    fn child<'v, T: ?Sized>(&self, value: &'v T, level: usize) -> Child<'v, 'r, T> {
        Child {
            value,
            rules: self.rules,
            level,
        }
    }

    fn finite(&self, finite: bool) -> Result<(), S::Error> {
        if self.rules.json && !finite {
            return Err(S::Error::custom(
                "a number is infinite or NaN, which JSON does not have",
            ));
        }
        Ok(())
    }
}

/// A value at some level.
struct Child<'v, 'r, T: ?Sized> {
    value: &'v T,
    rules: Rules<'r>,
    level: usize,
}

impl<T: Serialize + ?Sized> Serialize for Child<'_, '_, T> {
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        let checked = Checked {
            inner,
            rules: self.rules,
            level: self.level,
        };
        if self.level.is_multiple_of(STEP) {
            stacker::maybe_grow(STEP_STACK, MORE_STACK, || self.value.serialize(checked))
        } else {
            self.value.serialize(checked)
        }
    }
}

/// A list, a map or a structure that is being serialized.
pub(super) struct Compound<'r, C> {
    inner: C,
    rules: Rules<'r>,
    level: usize,
}

impl<'r, C> Compound<'r, C> {
    fn child<'v, T: ?Sized>(&self, value: &'v T) -> Child<'v, 'r, T> {
        Child {
            value,
            rules: self.rules,
            level: self.level,
        }
    }
}

/// Passes scalars on.
macro_rules! scalars {
    ($($name:ident: $type:ty),*) => {$(
        fn $name(self, value: $type) -> Result<S::Ok, S::Error> {
            self.inner.$name(value)
        }
    )*};
}

/// Begins a list, a map or a structure, which is so many levels down.
macro_rules! compounds {
    ($($name:ident($($argument:ident: $type:ty),*) -> $compound:ident, $levels:literal;)*) => {$(
        fn $name(self, $($argument: $type),*) -> Result<Self::$compound, S::Error> {
            let level = self.enter($levels)?;
            let inner = self.inner.$name($($argument),*)?;
            Ok(Compound { inner, rules: self.rules, level })
        }
    )*};
}

impl<'r, S: Serializer> Serializer for Checked<'r, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Compound<'r, S::SerializeSeq>;
    type SerializeTuple = Compound<'r, S::SerializeTuple>;
    type SerializeTupleStruct = Compound<'r, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Compound<'r, S::SerializeTupleVariant>;
    type SerializeMap = Compound<'r, S::SerializeMap>;
    type SerializeStruct = Structure<'r, S>;
    type SerializeStructVariant = Compound<'r, S::SerializeStructVariant>;

    scalars! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64, serialize_i128: i128, serialize_u8: u8, serialize_u16: u16,
        serialize_u32: u32, serialize_u64: u64, serialize_u128: u128, serialize_char: char,
        serialize_str: &str, serialize_bytes: &[u8], serialize_unit_struct: &'static str
    }

    compounds! {
        serialize_seq(len: Option<usize>) -> SerializeSeq, 1;
        serialize_tuple(len: usize) -> SerializeTuple, 1;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct, 1;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeTupleVariant, 2;
        serialize_map(len: Option<usize>) -> SerializeMap, 1;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeStructVariant, 2;
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.finite(value.is_finite())?;
        self.inner.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.finite(value.is_finite())?;
        self.inner.serialize_f64(value)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let child = self.child(value, self.level);
        self.inner.serialize_some(&child)
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let child = self.child(value, self.level);
        self.inner.serialize_newtype_struct(name, &child)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let child = self.child(value, self.enter(1)?);
        self.inner
            .serialize_newtype_variant(name, index, variant, &child)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        if name == NUMBER {
            return Ok(Structure::Number {
                checked: self,
                text: String::new(),
            });
        }
        let level = self.enter(1)?;
        let inner = self.inner.serialize_struct(name, len)?;
        Ok(Structure::Plain(Compound {
            inner,
            rules: self.rules,
            level,
        }))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// A structure that is being serialized.
pub(super) enum Structure<'r, S: Serializer> {
    Plain(Compound<'r, S::SerializeStruct>),
    /// A number of serde_json's, in a program that keeps its digits.
    Number {
        checked: Checked<'r, S>,
        text: String,
    },
}

impl<S: Serializer> SerializeStruct for Structure<'_, S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), S::Error> {
        match self {
            Self::Plain(compound) => {
                let child = compound.child(value);
                compound.inner.serialize_field(key, &child)
            }
            Self::Number { text, .. } => {
                match value.serialize(serde_json::value::Serializer) {
                    Ok(Value::String(digits)) => *text = digits,
                    _ => return Err(S::Error::custom("a number has no digits")),
                }
                Ok(())
            }
        }
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
        match self {
            Self::Plain(compound) => compound.inner.skip_field(key),
            Self::Number { .. } => Ok(()),
        }
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(compound) => compound.inner.end(),
            Self::Number { checked, text } => number(checked.inner, &text),
        }
    }
}

/// Writes a number as a program does that does not keep the digits, if it is the same number
/// there.
fn number<S: Serializer>(inner: S, text: &str) -> Result<S::Ok, S::Error> {
    if let Ok(number) = text.parse::<u64>() {
        return inner.serialize_u64(number);
    }
    match text.parse::<i64>() {
        // Zero with a sign is a number that an integer cannot be.
        Ok(number) if number != 0 => return inner.serialize_i64(number),
        _ => {}
    }
    let nearest: f64 = text.parse().map_err(S::Error::custom)?;
    if !nearest.is_finite() || digits(text) != digits(&format!("{nearest:e}")) {
        let reason = "a number is larger or has more digits than f64 keeps; store it as text";
        return Err(S::Error::custom(reason));
    }
    inner.serialize_f64(nearest)
}

/// The digits of a decimal number that count, and the place of the last one.
fn digits(text: &str) -> Option<(String, i64)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{}{fraction}", whole.trim_start_matches('-'));
    let counted = all.trim_end_matches('0');
    let dropped = i64::try_from(all.len().checked_sub(counted.len())?).ok()?;
    let places = i64::try_from(fraction.len()).ok()?;
    let exponent: i64 = exponent.parse().ok()?;
    let counted = counted.trim_start_matches('0');
    if counted.is_empty() {
        return Some((String::new(), 0));
    }
    let last = exponent.checked_sub(places)?.checked_add(dropped)?;
    Some((counted.to_owned(), last))
}

/// Passes the items of a list, the fields of a structure on.
macro_rules! items {
    ($($trait:ident::$name:ident;)*) => {$(
        impl<C: $trait> $trait for Compound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $name<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let child = self.child(value);
                self.inner.$name(&child)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

items! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
    SerializeTupleVariant::serialize_field;
}

impl<C: SerializeMap> SerializeMap for Compound<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let child = self.child(key);
        self.inner.serialize_key(&child)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let child = self.child(value);
        self.inner.serialize_value(&child)
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), C::Error> {
        let (key, value) = (self.child(key), self.child(value));
        self.inner.serialize_entry(&key, &value)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

impl<C: SerializeStructVariant> SerializeStructVariant for Compound<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), C::Error> {
        let child = self.child(value);
        self.inner.serialize_field(key, &child)
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), C::Error> {
        self.inner.skip_field(key)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn numbers_are_compared_by_their_value() {
        let same = |a: &str, b: &str| digits(a).unwrap() == digits(b).unwrap();
        assert!(same("1.50", "1.5e0"));
        assert!(same("0.015", "1.5e-2"));
        assert!(same("1500", "1.5E3"));
        assert!(same("0.0", "0e0"));
        assert!(same("100", "1e2"));
        assert!(!same("0.1000000000000000055", "1e-1"));
        assert!(!same("15", "1.5"));
    }
}
