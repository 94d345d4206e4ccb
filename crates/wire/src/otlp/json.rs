//! OTLP's JSON (proto3's, with ids in hexadecimal) as the protobuf message that it stands for, so that there is one decoder.
//!
//! Nothing but the message is built, up to a length: a bucket's count is two bytes of text and nine of protobuf. Unknown fields
//! are skipped, `null` is an absent field, 64-bit numbers come as texts or as numbers.

use super::schema::{Field, Kind, REQUEST, Table};
use crate::WireError;
use crate::remote_write::push_varint;
use crate::walk::{FIXED64, LENGTH, VARINT};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// An `ExportMetricsServiceRequest` of `size_bytes_max` at most.
pub(super) fn to_protobuf(text: &[u8], size_bytes_max: u64) -> Result<Vec<u8>, WireError> {
    let mut message = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(text);
    let request = Message { table: &REQUEST, out: &mut message, size_bytes_max };
    let read = json.deserialize_map(request).and_then(|()| json.end());
    read.map_err(|error| WireError::Otlp(format!("malformed JSON: {error}")))?;
    Ok(message)
}

/// Reads an object and writes its fields.
struct Message<'a> {
    table: &'static Table,
    out: &'a mut Vec<u8>,
    size_bytes_max: u64,
}

impl<'de> Visitor<'de> for Message<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            match self.table.fields.iter().find(|field| is_name_of(&name, field)) {
                Some(field) => {
                    map.next_value_seed(Content { field, out: self.out, size_bytes_max: self.size_bytes_max })?;
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// In lowerCamelCase, or as the protobuf file has it.
fn is_name_of(name: &str, field: &Field) -> bool {
    name == field.name
        || name.contains('_') && {
            let mut camel = String::with_capacity(name.len());
            let mut is_upper = false;
            for character in name.chars() {
                match character {
                    '_' => is_upper = true,
                    character => {
                        camel.push(if is_upper { character.to_ascii_uppercase() } else { character });
                        is_upper = false;
                    }
                }
            }
            camel == field.name
        }
}

/// Reads what a field holds; an array is the field again and again.
struct Content<'a> {
    field: &'static Field,
    out: &'a mut Vec<u8>,
    size_bytes_max: u64,
}

impl Content<'_> {
    fn key(&mut self, wire: u8) {
        push_varint(self.out, u64::from(self.field.number) << 3 | u64::from(wire));
    }

    fn bytes(mut self, bytes: &[u8]) {
        self.key(LENGTH);
        push_varint(self.out, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn fixed64(mut self, number: u64) {
        self.key(FIXED64);
        self.out.extend_from_slice(&number.to_le_bytes());
    }

    fn varint(mut self, number: u64) {
        self.key(VARINT);
        push_varint(self.out, number);
    }

    /// A whole number of whatever type the field has.
    fn whole<E: Error>(self, number: i128) -> Result<(), E> {
        let wrong = || E::custom(format!("{number} does not fit into `{}`", self.field.name));
        let (unsigned, signed) = (u64::try_from(number), i64::try_from(number));
        match self.field.kind {
            Kind::Double => self.fixed64((number as f64).to_bits()),
            Kind::Fixed64 => {
                let number = unsigned.map_err(|_| wrong())?;
                self.fixed64(number);
            }
            Kind::SignedFixed64 => {
                let number = signed.map_err(|_| wrong())?;
                self.fixed64(number as u64);
            }
            Kind::ZigZag => {
                let number = i32::try_from(number).map_err(|_| wrong())?;
                self.varint(u64::from((number << 1 ^ number >> 31) as u32));
            }
            Kind::Varint | Kind::Temporality => {
                let number = unsigned.or(signed.map(|number| number as u64)).map_err(|_| wrong())?;
                self.varint(number);
            }
            Kind::Message(_) | Kind::Text | Kind::Base64 | Kind::Hex | Kind::Bool => return Err(self.unexpected()),
        }
        Ok(())
    }

    fn float<E: Error>(self, number: f64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => {
                self.fixed64(number.to_bits());
                Ok(())
            }
            _ if number.fract() == 0.0 && number.abs() < 2f64.powi(64) => self.whole(number as i128),
            _ => Err(self.unexpected()),
        }
    }

    fn text<E: Error>(self, text: &str) -> Result<(), E> {
        match self.field.kind {
            Kind::Text => self.bytes(text.as_bytes()),
            Kind::Hex => {
                let bytes = from_hex(text).ok_or_else(|| self.unexpected())?;
                self.bytes(&bytes);
            }
            Kind::Base64 => {
                let bytes = from_base64(text).ok_or_else(|| self.unexpected())?;
                self.bytes(&bytes);
            }
            Kind::Double => {
                let number = match text {
                    "NaN" => f64::NAN,
                    "Infinity" => f64::INFINITY,
                    "-Infinity" => f64::NEG_INFINITY,
                    number => number.parse().map_err(|_| self.unexpected())?,
                };
                self.fixed64(number.to_bits());
            }
            Kind::Temporality => {
                let all = ["UNSPECIFIED", "DELTA", "CUMULATIVE"];
                let name = text.strip_prefix("AGGREGATION_TEMPORALITY_");
                let number = all.iter().position(|known| Some(*known) == name).ok_or_else(|| self.unexpected())?;
                self.varint(number as u64);
            }
            Kind::Fixed64 | Kind::SignedFixed64 | Kind::Varint | Kind::ZigZag => {
                let number: i64 = match text.parse::<u64>() {
                    Ok(number) => return self.whole(i128::from(number)),
                    Err(_) => text.parse().map_err(|_| self.unexpected())?,
                };
                return self.whole(i128::from(number));
            }
            Kind::Message(_) | Kind::Bool => return Err(self.unexpected()),
        }
        Ok(())
    }

    fn unexpected<E: Error>(&self) -> E {
        E::custom(format!("`{}` holds something else", self.field.name))
    }
}

impl<'de> DeserializeSeed<'de> for Content<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Content<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "what `{}` holds", self.field.name)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { field, out, size_bytes_max } = self;
        while items.next_element_seed(Content { field, out: &mut *out, size_bytes_max })?.is_some() {
            if out.len() as u64 > size_bytes_max {
                return Err(A::Error::custom(format!("the message has more than {size_bytes_max} bytes as protobuf")));
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(table) = self.field.kind else { return Err(self.unexpected()) };
        let mut inner = Vec::new();
        Message { table, out: &mut inner, size_bytes_max: self.size_bytes_max }.visit_map(map)?;
        self.bytes(&inner);
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool => {
                self.varint(u64::from(value));
                Ok(())
            }
            _ => Err(self.unexpected()),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.whole(i128::from(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.whole(i128::from(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.float(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.text(text)
    }
}

pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}

/// Either alphabet, padded or not.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut bits_count) = (Vec::with_capacity(text.len() / 4 * 3), 0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        bits_count += 6;
        if bits_count >= 8 {
            bits_count -= 8;
            bytes.push((bits >> bits_count) as u8);
        }
    }
    Some(bytes)
}
