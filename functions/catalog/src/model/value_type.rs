//! The types a value may have on its way from source to warehouse, and their names in Postgres.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// JSON document; text in CSV and Parquet, `jsonb` in the warehouse.
    Json,
}

impl ValueType {
    /// The type of the staging column that binary COPY fills.
    #[must_use]
    pub fn stage_sql(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            other => PgType::of(other).to_string(),
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
            // Types we have no name for but whose printed form is their value.
            return self == Self::Text && matches!(live, "citext" | "name" | "inet" | "cidr" | "xml" | "ltree");
        };
        match (self, live.value) {
            (Self::BigInt, ValueType::Integer | ValueType::SmallInt) | (Self::Integer, ValueType::SmallInt) => true,
            (Self::Double, ValueType::Real) => true,
            (Self::Numeric { precision, scale }, ValueType::Numeric { precision: live_p, scale: live_s }) => {
                // An unconstrained live numeric is checked value by value.
                live.unconstrained || (scale >= live_s && precision - scale >= live_p - live_s)
            }
            (mine, theirs) => mine == theirs,
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Time => f.write_str("time"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::TimestampTz => f.write_str("timestamptz"),
            other => fmt::Display::fmt(&PgType::of(*other), f),
        }
    }
}

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
        let name = match value {
            ValueType::SmallInt => "smallint".to_owned(),
            ValueType::Integer => "integer".to_owned(),
            ValueType::BigInt => "bigint".to_owned(),
            ValueType::Numeric { precision, scale } => format!("numeric({precision},{scale})"),
            ValueType::Real => "real".to_owned(),
            ValueType::Double => "double precision".to_owned(),
            ValueType::Boolean => "boolean".to_owned(),
            ValueType::Text => "character varying".to_owned(),
            ValueType::Date => "date".to_owned(),
            ValueType::Time => "time without time zone".to_owned(),
            ValueType::Timestamp => "timestamp without time zone".to_owned(),
            ValueType::TimestampTz => "timestamp with time zone".to_owned(),
            ValueType::Uuid => "uuid".to_owned(),
            ValueType::Json => "jsonb".to_owned(),
        };
        Self { value, name, unconstrained: false }
    }

    /// Reads a type as people and as Postgres write it: `int`, `varchar(40)`, `numeric(10, 2)`,
    /// `timestamp(3) without time zone`. `None` for what the pipeline cannot carry.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (base, arguments) = split_arguments(text)?;
        let plain = |value| arguments.is_empty().then(|| Self::of(value));
        // The seconds' precision of a column bounds its values, not how they travel.
        let timed = |value, suffix: &str, kind: &str| match arguments[..] {
            [] => Some(Self::of(value)),
            [digits @ 0..=6] => Some(Self { value, name: format!("{kind}({digits}) {suffix}"), unconstrained: false }),
            _ => None,
        };
        let textual = |kind: &str| {
            let name = match arguments[..] {
                [] => kind.to_owned(),
                [length] if length > 0 => format!("{kind}({length})"),
                _ => return None,
            };
            Some(Self { value: ValueType::Text, name, unconstrained: false })
        };
        match base.as_str() {
            "smallint" | "int2" => plain(ValueType::SmallInt),
            "integer" | "int" | "int4" | "serial" => plain(ValueType::Integer),
            "bigint" | "int8" | "bigserial" => plain(ValueType::BigInt),
            "real" | "float4" => plain(ValueType::Real),
            "double precision" | "float8" => plain(ValueType::Double),
            "boolean" | "bool" => plain(ValueType::Boolean),
            "text" => arguments.is_empty().then(|| textual("text")).flatten(),
            "character varying" | "varchar" => textual("character varying"),
            "character" | "char" | "bpchar" => textual("character"),
            "date" => plain(ValueType::Date),
            "time" | "time without time zone" => timed(ValueType::Time, "without time zone", "time"),
            "timestamp" | "timestamp without time zone" => {
                timed(ValueType::Timestamp, "without time zone", "timestamp")
            }
            "timestamptz" | "timestamp with time zone" => timed(ValueType::TimestampTz, "with time zone", "timestamp"),
            "uuid" => plain(ValueType::Uuid),
            "json" | "jsonb" => arguments.is_empty().then(|| Self { name: base.clone(), ..Self::of(ValueType::Json) }),
            "numeric" | "decimal" => match arguments[..] {
                [] => Some(Self {
                    value: ValueType::Numeric { precision: MAX_PRECISION, scale: 0 },
                    name: "numeric".to_owned(),
                    unconstrained: true,
                }),
                [precision] => numeric(precision, 0),
                [precision, scale] => numeric(precision, scale),
                _ => None,
            },
            _ => None,
        }
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

fn numeric(precision: u32, scale: u32) -> Option<PgType> {
    let precision = u8::try_from(precision).ok().filter(|p| (1..=MAX_PRECISION).contains(p))?;
    let scale = u8::try_from(scale).ok().filter(|s| *s <= precision)?;
    Some(PgType::of(ValueType::Numeric { precision, scale }))
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
            ("json", ValueType::Json, false),
            ("integer", ValueType::BigInt, false),
        ] {
            assert_eq!(PgType::parse(wanted).unwrap().holds(value), holds, "{value} in {wanted}");
        }
    }

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
            (ValueType::Text, "integer", false, false),
            (ten_two, "numeric(10,2)", false, true),
            (ten_two, "numeric(9,1)", false, true),
            (ten_two, "numeric(12,2)", false, false),
            (ten_two, "numeric(10,3)", false, false),
            (ten_two, "numeric", false, true),
            (ten_two, "text", false, false),
            (ValueType::Timestamp, "timestamp(3) without time zone", false, true),
            (ValueType::Timestamp, "timestamp with time zone", false, false),
        ] {
            assert_eq!(declared.reads(live, is_enum), fits, "{declared} from {live}");
        }
    }
}
