//! A column type of Postgres with its arguments, as people and as Postgres write it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::value_type::{Arguments, MAX_PRECISION, TypeName, ValueType};

/// A column type of Postgres as its catalogue spells it, and the [`ValueType`] that travels for it.
///
/// Displays as `format_type` prints it, so that a wanted and a live type compare as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PgType {
    /// What travels.
    pub value: ValueType,
    name: String,
    /// `numeric` without precision: any decimal fits.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    unconstrained: bool,
}

impl PgType {
    /// The type a warehouse column gets when the catalogue names none.
    #[must_use]
    pub fn of(value: ValueType) -> Self {
        if value == ValueType::Text { Self::named(TypeName::VarChar, value) } else { Self::exactly(value) }
    }

    /// The type that holds every value of that type and no other.
    pub(crate) fn exactly(value: ValueType) -> Self {
        Self::named(value.type_name(), value)
    }

    fn named(name: TypeName, value: ValueType) -> Self {
        Self { value, name: printed(name, &value.arguments()), unconstrained: false }
    }

    /// Reads a type as people and as Postgres write it: `int`, `varchar(40)`, `numeric(10, 2)`,
    /// `timestamp(3) without time zone`. `None` for what the pipeline cannot carry.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (base, arguments) = split_arguments(text)?;
        let name = TypeName::ALL.into_iter().find(|name| name.row().spellings.contains(&base.as_str()))?;
        let row = name.row();
        let (value, shown) = match (row.arguments, &arguments[..]) {
            (_, []) => (row.value, String::new()),
            (Arguments::Length, [length @ 1..=u32::MAX]) => (row.value, format!("({length})")),
            (Arguments::Seconds, [digits @ 0..=6]) => (row.value, format!("({digits})")),
            (Arguments::Digits, [precision]) => digits(*precision, 0)?,
            (Arguments::Digits, [precision, scale]) => digits(*precision, *scale)?,
            (Arguments::None | Arguments::Length | Arguments::Seconds | Arguments::Digits, _) => return None,
        };
        let unconstrained = row.arguments == Arguments::Digits && arguments.is_empty();
        Some(Self { value, name: printed(name, &shown), unconstrained })
    }

    /// How many characters a text may have at most; `None` where it is not limited.
    #[must_use]
    pub fn max_chars(&self) -> Option<usize> {
        let length = self.name.strip_prefix("character varying(")?.strip_suffix(')')?;
        length.parse().ok()
    }

    /// Whether this is `numeric` without precision.
    #[must_use]
    pub fn is_unconstrained(&self) -> bool {
        self.unconstrained
    }

    /// Whether a warehouse column of this type can hold every value that travels as `value`, exactly. What Postgres would
    /// round, cut or pad on assignment comes back different and would look like a change in every batch; only a text may
    /// be limited in length, because Postgres refuses a longer one.
    #[must_use]
    pub fn holds(&self, value: ValueType) -> bool {
        match (self.value, value) {
            (
                ValueType::Numeric { precision, scale },
                ValueType::Numeric { precision: its_precision, scale: its_scale },
            ) => self.unconstrained || (scale >= its_scale && precision - scale >= its_precision - its_scale),
            (ValueType::Text, ValueType::Text) => !self.name.starts_with("character("),
            (mine, theirs) => mine == theirs && self.name == Self::of(mine).name,
        }
    }

    /// Whether a live warehouse column may stand where this type is wanted: the same, or text under its other name.
    #[must_use]
    pub fn is_met_by(&self, live: &str) -> bool {
        let textual = |name: &str| matches!(name, "text" | "character varying");
        self.name == live || (textual(&self.name) && textual(live))
    }
}

impl fmt::Display for PgType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A type with its arguments, as `format_type` prints it.
fn printed(name: TypeName, arguments: &str) -> String {
    match name.row().printed {
        (before, "") => format!("{before}{arguments}"),
        (before, after) => format!("{before}{arguments} {after}"),
    }
}

fn digits(precision: u32, scale: u32) -> Option<(ValueType, String)> {
    let precision = u8::try_from(precision).ok().filter(|p| (1..=MAX_PRECISION).contains(p))?;
    let scale = u8::try_from(scale).ok().filter(|s| *s <= precision)?;
    Some((ValueType::Numeric { precision, scale }, format!("({precision},{scale})")))
}

/// `Timestamp(3)  without time zone` → (`timestamp without time zone`, [3]).
fn split_arguments(text: &str) -> Option<(String, Vec<u32>)> {
    let lower = text.to_ascii_lowercase();
    let (base, arguments) = match lower.split_once('(') {
        None => (lower, Vec::new()),
        Some((before, rest)) => {
            let (inside, after) = rest.split_once(')')?;
            let arguments = inside.split(',').map(|n| n.trim().parse().ok()).collect::<Option<Vec<u32>>>()?;
            (format!("{before} {after}"), arguments)
        }
    };
    Some((base.split_whitespace().collect::<Vec<_>>().join(" "), arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_prints_as_postgres_prints_it() {
        let check = |text: &str, printed: &str| assert_eq!(PgType::parse(text).unwrap().to_string(), printed);
        check("int", "integer");
        check("VARCHAR(3)", "character varying(3)");
        check("numeric(10, 2)", "numeric(10,2)");
        check("numeric", "numeric");
        check("numeric(5)", "numeric(5,0)");
        check("timestamp(3)", "timestamp(3) without time zone");
        check("timestamp(3) without time zone", "timestamp(3) without time zone");
        check("timestamptz", "timestamp with time zone");
        check("double  precision", "double precision");
    }

    #[test]
    fn a_text_is_limited_where_its_type_says_so() {
        for (text, most) in [("varchar(3)", Some(3)), ("varchar", None), ("text", None), ("numeric(10,2)", None)] {
            assert_eq!(PgType::parse(text).unwrap().max_chars(), most, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_carried_has_no_type() {
        for text in
            ["", "money", "numeric(39,2)", "numeric(4,5)", "int(4)", "varchar(0)", "integer[]", "time(7)", "point"]
        {
            assert_eq!(PgType::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_warehouse_column_may_not_change_values() {
        let price = ValueType::Numeric { precision: 10, scale: 2 };
        for (wanted, value, holds) in [
            ("numeric", price, true),
            ("numeric(12,4)", price, true),
            ("numeric(12,1)", price, false),
            ("varchar(3)", ValueType::Text, true),
            ("text", ValueType::Text, true),
            ("char(3)", ValueType::Text, false),
            ("timestamp(0)", ValueType::Timestamp, false),
            ("json", ValueType::Json, true),
            ("jsonb", ValueType::Json, false),
            ("json", ValueType::JsonB, false),
            ("integer", ValueType::BigInt, false),
        ] {
            assert_eq!(PgType::parse(wanted).unwrap().holds(value), holds, "{value} in {wanted}");
        }
    }

    #[test]
    fn every_example_of_the_table_is_read_and_printed_and_read_again() {
        for name in TypeName::ALL {
            let (declared, _) = name.row().example;
            let read = PgType::parse(declared).unwrap();
            assert!(name.row().spellings.iter().any(|spelling| declared.starts_with(spelling)), "{declared}");
            assert_eq!(PgType::parse(&read.to_string()), Some(read.clone()), "{declared}");
            assert_eq!(PgType::parse(&read.value.to_string()).unwrap().value, read.value, "{declared}");
        }
    }

    #[test]
    fn every_spelling_belongs_to_one_type() {
        for name in TypeName::ALL {
            for spelling in name.row().spellings {
                let read = PgType::parse(spelling).unwrap();
                assert_eq!((read.value, read.to_string()), (name.row().value, printed(name, "")), "{spelling}");
            }
        }
    }
}
