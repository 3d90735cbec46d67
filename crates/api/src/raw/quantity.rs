//! Kubernetes quantities: `512Mi`, `1G`, `500m`.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::ValueError;

/// A Kubernetes quantity, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quantity(String);

/// Suffixes and what they multiply by, in thousandths, so that `m` is a whole number too.
const SUFFIXES: [(&str, u128); 14] = [
    ("m", 1),
    ("", 1_000),
    ("k", 1_000_000),
    ("M", 1_000_000_000),
    ("G", 1_000_000_000_000),
    ("T", 1_000_000_000_000_000),
    ("P", 1_000_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000_000),
    ("Ki", 1_000 << 10),
    ("Mi", 1_000 << 20),
    ("Gi", 1_000 << 30),
    ("Ti", 1_000 << 40),
    ("Pi", 1_000 << 50),
    ("Ei", 1_000 << 60),
];

impl Quantity {
    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In thousandths of the base unit (byte, core).
    #[must_use]
    pub fn thousandths(&self) -> u128 {
        thousandths(&self.0).unwrap_or_default()
    }

    /// In whole base units, rounded up as Kubernetes does.
    #[must_use]
    pub fn units(&self) -> u64 {
        u64::try_from(self.thousandths().div_ceil(1_000)).unwrap_or(u64::MAX)
    }
}

/// The value of a quantity's text; `None` when it is none.
fn thousandths(text: &str) -> Option<u128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let factor = SUFFIXES.iter().find(|(suffix, _)| *suffix == &text[end..])?.1;
    let (whole, fraction) = text[..end].split_once('.').unwrap_or((&text[..end], ""));
    if whole.is_empty() || fraction.len() > MAX_DECIMALS || text[..end].ends_with('.') {
        return None;
    }
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    Some(digits.checked_mul(factor)?.div_ceil(scale))
}

/// Digits after the point: Kubernetes counts down to 10⁻⁹.
const MAX_DECIMALS: usize = 9;

impl FromStr for Quantity {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match thousandths(text) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(ValueError(format!("{text:?} is not a quantity; {}", quantity_hint(text)))),
        }
    }
}

/// What was meant by `1GB`, `512mb` or `2 Gi`.
fn quantity_hint(text: &str) -> String {
    let compact: String = text.split_whitespace().collect();
    let end = compact.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(compact.len());
    let (number, unit) = compact.split_at(end);
    let letter = unit.chars().next().map(|c| c.to_ascii_uppercase());
    match letter {
        Some(c @ ('K' | 'M' | 'G' | 'T' | 'P' | 'E')) if !number.is_empty() && unit.len() <= 3 => {
            format!("write {number}{c}i (powers of 1024) or {number}{} (powers of 1000)", decimal(c))
        }
        _ => "write a number with a unit: 500m (thousandths), 2, 512Mi, 1Gi, 10G".to_owned(),
    }
}

/// The decimal suffix is a small `k`, and large letters from there on.
fn decimal(letter: char) -> char {
    if letter == 'K' { 'k' } else { letter }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

struct QuantityVisitor;

impl de::Visitor<'_> for QuantityVisitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quantity such as 512Mi")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
        text.parse().map_err(de::Error::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuantityVisitor)
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "number"],
            "format": "quantity",
            "pattern": "^[0-9]+(\\.[0-9]{1,9})?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$",
        })
    }
}
