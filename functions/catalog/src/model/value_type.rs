//! The types that a value may have on its way from source to warehouse, and the types of Postgres that carry them: one
//! table. Parser, suggestions and documentation read it here; how a value is read, stored and packed is `columnar`'s, in
//! matches that forget no type.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;
use crate::model::PgType;

/// The largest precision of a 128-bit decimal.
pub const MAX_PRECISION: u8 = 38;

/// The type of a column while it travels: in CSV as Postgres prints it, in Parquet and in binary COPY exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// 16-bit integer.
    SmallInt,
    /// 32-bit integer.
    Integer,
    /// 64-bit integer.
    BigInt,
    /// Exact decimal with `precision` digits, `scale` of them behind the point.
    Numeric {
        /// 1 to 38.
        precision: u8,
        /// 0 to `precision`.
        scale: u8,
    },
    /// 32-bit binary float.
    Real,
    /// 64-bit binary float.
    Double,
    /// `t` or `f`.
    Boolean,
    /// Unicode text of any length; also what enumerations arrive as.
    Text,
    /// Calendar day, proleptic Gregorian.
    Date,
    /// Time of day, microseconds.
    Time,
    /// Day and time without zone, microseconds.
    Timestamp,
    /// Instant, microseconds, carried in UTC.
    TimestampTz,
    /// 128-bit identifier; text in CSV and Parquet.
    Uuid,
    /// JSON document that is the text that it was; text in CSV and Parquet.
    Json,
    /// JSON document as `jsonb` has it; text in CSV and Parquet.
    JsonB,
}

enumeration! {
    /// A type of Postgres that can be carried, whatever its arguments.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum TypeName {
        /// `smallint`
        SmallInt,
        /// `integer`
        Integer,
        /// `bigint`
        BigInt,
        /// `numeric(p,s)`
        Numeric,
        /// `real`
        Real,
        /// `double precision`
        Double,
        /// `boolean`
        Boolean,
        /// `text`
        Text,
        /// `varchar(n)`
        VarChar,
        /// `char(n)`
        Char,
        /// `date`
        Date,
        /// `time`
        Time,
        /// `timestamp`
        Timestamp,
        /// `timestamptz`
        TimestampTz,
        /// `uuid`
        Uuid,
        /// `json`
        Json,
        /// `jsonb`
        JsonB,
    }
}

/// What there is to say of a type of Postgres.
#[derive(Clone, Copy, Debug)]
pub struct TypeRow {
    /// Every way to write it, in lower case and without its arguments; people's first, then Postgres' other ones.
    pub spellings: &'static [&'static str],
    /// As `format_type` prints it: what comes before its arguments, and after.
    pub printed: (&'static str, &'static str),
    /// What may stand in brackets behind it.
    pub arguments: Arguments,
    /// What travels for it. A [`ValueType::Numeric`] has the digits of its arguments instead of those here.
    pub value: ValueType,
    /// What a reader should know of it, for the documentation; empty where the name says it all.
    pub remark: &'static str,
    /// The type as a catalogue may write it, and a value of it as Postgres prints it.
    pub example: (&'static str, &'static str),
}

/// What may stand in brackets behind the name of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// Nothing.
    None,
    /// How many characters.
    Length,
    /// How many digits of a second, which bounds the values of a column and not how they travel.
    Seconds,
    /// Precision and scale.
    Digits,
}

/// An unconstrained numeric: as many digits as a decimal carries.
const WIDEST: ValueType = ValueType::Numeric { precision: MAX_PRECISION, scale: 0 };

impl TypeName {
    /// The table. No wildcard: a new type has to say all of it.
    #[must_use]
    pub fn row(self) -> TypeRow {
        let row = |spellings, printed, arguments, value, remark, example| TypeRow {
            spellings,
            printed,
            arguments,
            value,
            remark,
            example,
        };
        let plain = |spellings: &'static [&'static str], value, example| {
            row(spellings, (spellings[0], ""), Arguments::None, value, "", (spellings[0], example))
        };
        match self {
            Self::SmallInt => plain(&["smallint", "int2"], ValueType::SmallInt, "-32768"),
            Self::Integer => plain(&["integer", "int", "int4", "serial"], ValueType::Integer, "42"),
            Self::BigInt => plain(&["bigint", "int8", "bigserial"], ValueType::BigInt, "9007199254740993"),
            Self::Numeric => row(
                &["numeric", "decimal"],
                ("numeric", ""),
                Arguments::Digits,
                WIDEST,
                "up to 38 digits, never through a float; in the source precision and scale must be said",
                ("numeric(10,2)", "-0.05"),
            ),
            Self::Real => plain(&["real", "float4"], ValueType::Real, "0.1"),
            Self::Double => plain(&["double precision", "float8"], ValueType::Double, "0.30000000000000004"),
            Self::Boolean => plain(&["boolean", "bool"], ValueType::Boolean, "t"),
            Self::Text => plain(&["text"], ValueType::Text, "O'Keefe, \"Jr\""),
            Self::VarChar => row(
                &["varchar", "character varying"],
                ("character varying", ""),
                Arguments::Length,
                ValueType::Text,
                "",
                ("varchar(3)", "GBP"),
            ),
            Self::Char => row(
                &["char", "character", "bpchar"],
                ("character", ""),
                Arguments::Length,
                ValueType::Text,
                "in the source alone; its padding is kept",
                ("char(4)", "GBP "),
            ),
            Self::Date => plain(&["date"], ValueType::Date, "2024-11-15"),
            Self::Time => row(
                &["time", "time without time zone"],
                ("time", "without time zone"),
                Arguments::Seconds,
                ValueType::Time,
                "microseconds kept",
                ("time", "14:20:52.186"),
            ),
            Self::Timestamp => row(
                &["timestamp", "timestamp without time zone"],
                ("timestamp", "without time zone"),
                Arguments::Seconds,
                ValueType::Timestamp,
                "microseconds kept",
                ("timestamp(3)", "2022-11-03 14:20:52.186"),
            ),
            Self::TimestampTz => row(
                &["timestamptz", "timestamp with time zone"],
                ("timestamp", "with time zone"),
                Arguments::Seconds,
                ValueType::TimestampTz,
                "microseconds kept; travels in UTC",
                ("timestamptz", "2022-11-03 14:20:52.186+00"),
            ),
            Self::Uuid => plain(&["uuid"], ValueType::Uuid, "550e8400-e29b-41d4-a716-446655440000"),
            Self::Json => row(
                &["json"],
                ("json", ""),
                Arguments::None,
                ValueType::Json,
                "stays the text that it was; `type = \"jsonb\"` in the warehouse is for whoever queries it",
                ("json", "{\"a\": [1, null]}"),
            ),
            Self::JsonB => row(
                &["jsonb"],
                ("jsonb", ""),
                Arguments::None,
                ValueType::JsonB,
                "a row is rejected whose `json` a `jsonb` does not hold: `\\u0000`, half a surrogate pair, a number out of range",
                ("jsonb", "{\"a\": [1, null]}"),
            ),
        }
    }

    /// How people write it, without its arguments.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().spellings[0]
    }
}

impl ValueType {
    /// The type of Postgres that holds every value of this type and no other.
    #[must_use]
    pub fn type_name(self) -> TypeName {
        match self {
            Self::SmallInt => TypeName::SmallInt,
            Self::Integer => TypeName::Integer,
            Self::BigInt => TypeName::BigInt,
            Self::Numeric { .. } => TypeName::Numeric,
            Self::Real => TypeName::Real,
            Self::Double => TypeName::Double,
            Self::Boolean => TypeName::Boolean,
            Self::Text => TypeName::Text,
            Self::Date => TypeName::Date,
            Self::Time => TypeName::Time,
            Self::Timestamp => TypeName::Timestamp,
            Self::TimestampTz => TypeName::TimestampTz,
            Self::Uuid => TypeName::Uuid,
            Self::Json => TypeName::Json,
            Self::JsonB => TypeName::JsonB,
        }
    }

    /// What stands in brackets behind its name, with the brackets; nothing for most.
    pub(super) fn arguments(self) -> String {
        match self {
            Self::Numeric { precision, scale } => format!("({precision},{scale})"),
            Self::SmallInt
            | Self::Integer
            | Self::BigInt
            | Self::Real
            | Self::Double
            | Self::Boolean
            | Self::Text
            | Self::Date
            | Self::Time
            | Self::Timestamp
            | Self::TimestampTz
            | Self::Uuid
            | Self::Json
            | Self::JsonB => String::new(),
        }
    }

    /// The type of the staging column that binary COPY fills.
    #[must_use]
    pub fn stage_sql(self) -> String {
        PgType::exactly(self).to_string()
    }

    /// Whether `text` is how Postgres prints a value of this type that may stand for NULL (`if_null`). Only the types
    /// that a constant makes sense for have any.
    #[must_use]
    pub fn has_constant(self, text: &str) -> bool {
        match self {
            Self::Text => true,
            Self::SmallInt => text.parse::<i16>().is_ok(),
            Self::Integer => text.parse::<i32>().is_ok(),
            Self::BigInt => text.parse::<i64>().is_ok(),
            Self::Boolean => matches!(text, "t" | "f"),
            Self::Date => text.parse::<chrono::NaiveDate>().is_ok(),
            Self::Numeric { precision, scale } => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
                !whole.is_empty()
                    && whole.len() <= usize::from(precision - scale).max(1)
                    && fraction.len() <= usize::from(scale)
                    && format!("{whole}{fraction}").bytes().all(|b| b.is_ascii_digit())
            }
            Self::Real
            | Self::Double
            | Self::Time
            | Self::Timestamp
            | Self::TimestampTz
            | Self::Uuid
            | Self::Json
            | Self::JsonB => false,
        }
    }

    /// Whether values of a live column can be read as this type without loss.
    ///
    /// `live` is what `format_type` prints for it (domains resolved); `is_enum` tells user-defined enumerations.
    #[must_use]
    pub fn reads(self, live: &str, is_enum: bool) -> bool {
        if is_enum {
            return self == Self::Text;
        }
        let Some(live) = PgType::parse(live) else {
            // Types we have no name for but whose printed form is their value; those of an extension with their schema.
            let bare = live.rsplit_once('.').map_or(live, |(_, name)| name);
            return self == Self::Text
                && (matches!(live, "name" | "inet" | "cidr" | "xml") || matches!(bare, "citext" | "ltree"));
        };
        match (self, live.value) {
            (Self::BigInt, ValueType::Integer | ValueType::SmallInt) | (Self::Integer, ValueType::SmallInt) => true,
            // Whatever a `jsonb` prints is a `json`, but not the other way round.
            (Self::Double, ValueType::Real) | (Self::Json, ValueType::JsonB) => true,
            (Self::Numeric { precision, scale }, ValueType::Numeric { precision: live_p, scale: live_s }) => {
                // An unconstrained live numeric is checked value by value.
                live.is_unconstrained() || (scale >= live_s && precision - scale >= live_p - live_s)
            }
            (mine, theirs) => mine == theirs,
        }
    }
}

/// As people write it.
impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.type_name().name(), self.arguments())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_column_is_read_only_when_nothing_can_be_lost() {
        let ten_two = ValueType::Numeric { precision: 10, scale: 2 };
        for (declared, live, is_enum, fits) in [
            (ValueType::Integer, "integer", false, true),
            (ValueType::Integer, "smallint", false, true),
            (ValueType::Integer, "bigint", false, false),
            (ValueType::Text, "character varying(3)", false, true),
            (ValueType::Text, "\"PaymentTypeName\"", true, true),
            (ValueType::Integer, "\"PaymentTypeName\"", true, false),
            (ValueType::Text, "citext", false, true),
            (ValueType::Text, "public.citext", false, true),
            (ValueType::Text, "public.inet", false, false),
            (ValueType::Text, "integer", false, false),
            (ten_two, "numeric(10,2)", false, true),
            (ten_two, "numeric(9,1)", false, true),
            (ten_two, "numeric(12,2)", false, false),
            (ten_two, "numeric(10,3)", false, false),
            (ten_two, "numeric", false, true),
            (ten_two, "text", false, false),
            (ValueType::Timestamp, "timestamp(3) without time zone", false, true),
            (ValueType::Timestamp, "timestamp with time zone", false, false),
            (ValueType::Json, "json", false, true),
            (ValueType::Json, "jsonb", false, true),
            (ValueType::JsonB, "json", false, false),
        ] {
            assert_eq!(declared.reads(live, is_enum), fits, "{declared} from {live}");
        }
    }
}
