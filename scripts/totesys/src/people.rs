//! The small tables of totesys: who and what the orders refer to.

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};
use fastrand::Rng;

/// How many there are, as in the real database.
pub(crate) const ADDRESSES: u32 = 30;
pub(crate) const COUNTERPARTIES: u32 = 20;
pub(crate) const DESIGNS: u32 = 473;
pub(crate) const STAFF: u32 = 20;
pub(crate) const CURRENCIES: [&str; 3] = ["GBP", "USD", "EUR"];
const PAYMENT_TYPES: [&str; 4] = ["SALES_RECEIPT", "SALES_REFUND", "PURCHASE_PAYMENT", "PURCHASE_REFUND"];
const DEPARTMENTS: [(&str, &str, &str); 8] = [
    ("Sales", "Manchester", "Ruth Roman"),
    ("Purchasing", "Manchester", "Nadia Lapin"),
    ("Production", "Leeds", "Chester Minh"),
    ("Dispatch", "Leeds", "Mark Hannah"),
    ("Finance", "Manchester", "Jordan Belmore"),
    ("Facilities", "Manchester", "Shelley Levant"),
    ("Communications", "Leeds", "Ann Blake"),
    ("HR", "Leeds", "James Link"),
];
const FIRST: [&str; 10] = ["Ada", "Bram", "Cleo", "Dev", "Efua", "Finn", "Greta", "Hugo", "Ines", "Jun"];
const LAST: [&str; 10] =
    ["O'Keefe", "Franey", "Beier", "Erdman", "Schmidt-Ott", "D'Amore", "Okafor", "Nguyen", "Larsen", "Quill"];
const CITIES: [&str; 8] =
    ["New Patience", "Aliso Viejo", "Lake Charles", "Leeds", "Port-au-Prince", "Gouda", "Cork", "Kobe"];
const COUNTRIES: [&str; 8] = [
    "Turkey",
    "San Marino",
    "Samoa",
    "United Kingdom",
    "Haiti",
    "Democratic People's Republic of Korea",
    "Ireland",
    "Japan",
];
const STREETS: [&str; 6] =
    ["Herzog Via", "Alexie Cliffs", "Sincere Fort", "Mill Lane", "Rue de l'Hôpital", "Station Rd"];
const MATERIALS: [&str; 8] = ["Wooden", "Bronze", "Cotton", "Granite", "Soft", "Steel", "Plastic", "Rubber"];
const FOLDERS: [&str; 6] = ["/usr", "/private", "/lost+found", "/opt/include", "/var/cache/dir", "/srv"];

/// The day on which the real database begins.
pub(crate) fn beginning() -> NaiveDateTime {
    NaiveDate::from_ymd_opt(2022, 11, 3).and_then(|day| day.and_hms_milli_opt(14, 20, 49, 962)).unwrap_or_default()
}

/// As Postgres prints a `timestamp(3)`.
pub(crate) fn stamp(at: NaiveDateTime) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// A table, its columns in COPY's order, and its rows as CSV.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static str,
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

/// Every small table, those first that others refer to. `days` is how long designs keep appearing.
pub(crate) fn tables(rng: &mut Rng, days: i64) -> Vec<Table> {
    let at = stamp(beginning());
    let stamped = |mut row: Vec<Option<String>>| {
        row.extend([Some(at.clone()), Some(at.clone())]);
        row
    };
    let text = |text: &str| Some(text.to_owned());
    let pick = |rng: &mut Rng, words: &[&str]| words[rng.usize(..words.len())].to_owned();
    let mut addresses = Vec::new();
    for id in 1..=ADDRESSES {
        let place = rng.usize(..CITIES.len());
        addresses.push(stamped(vec![
            Some(id.to_string()),
            Some(format!("{} {}", rng.u32(1..9_999), pick(rng, &STREETS))),
            rng.bool().then(|| format!("Suite {}", rng.u32(1..99))),
            rng.bool().then(|| "Avon".to_owned()),
            text(CITIES[place]),
            Some(format!("{:05}", rng.u32(..99_999))), // leading zeros are part of it
            text(COUNTRIES[place]),
            Some(format!("0{} {:06}", rng.u32(100..999), rng.u32(..999_999))),
        ]));
    }
    let mut counterparties = Vec::new();
    for id in 1..=COUNTERPARTIES {
        let name = match id % 3 {
            0 => format!("{} Inc", pick(rng, &LAST)),
            1 => format!("{} and Sons", pick(rng, &LAST)),
            _ => format!("{}, {} and {}", pick(rng, &LAST), pick(rng, &LAST), pick(rng, &LAST)),
        };
        counterparties.push(stamped(vec![
            Some(id.to_string()),
            Some(name),
            Some(rng.u32(1..=ADDRESSES).to_string()),
            Some(format!("Dr. {} {}", pick(rng, &FIRST), pick(rng, &LAST))),
            None,
        ]));
    }
    let mut staff = Vec::new();
    for id in 1..=STAFF {
        let (first, last) = (pick(rng, &FIRST), pick(rng, &LAST));
        let address =
            format!("{}.{}{id}@terrifictotes.com", first.to_lowercase(), last.to_lowercase().replace('\'', ""));
        staff.push(stamped(vec![
            Some(id.to_string()),
            Some(first),
            Some(last),
            Some((id % 8 + 1).to_string()),
            Some(address),
        ]));
    }
    let mut designs = Vec::new();
    for id in 1..=DESIGNS {
        // The first come with the database, the others one by one.
        let day = if id <= 40 { 0 } else { i64::from(id - 40) * days / i64::from(DESIGNS) };
        let created = stamp(beginning() + TimeDelta::days(day));
        let material = pick(rng, &MATERIALS);
        let file = format!("{}-2022{:04}-{:04x}.json", material.to_lowercase(), rng.u32(101..1_231), rng.u16(..));
        designs.push(vec![
            Some(id.to_string()),
            Some(created.clone()),
            Some(material),
            Some(pick(rng, &FOLDERS)),
            Some(file),
            Some(created),
        ]);
    }
    let numbered = |names: &[&str]| {
        let row = |(at, name): (usize, &&str)| stamped(vec![Some((at + 1).to_string()), text(name)]);
        names.iter().enumerate().map(row).collect()
    };
    let departments = DEPARTMENTS.iter().enumerate().map(|(at, (name, location, manager))| {
        // One has no place: the warehouse has to say something about it all the same.
        let location = (at != 7).then(|| (*location).to_owned());
        stamped(vec![Some((at + 1).to_string()), text(name), location, text(manager)])
    });
    vec![
        Table {
            name: "address",
            columns: "address_id, address_line_1, address_line_2, district, city, postal_code, country, phone, created_at, last_updated",
            rows: addresses,
        },
        Table {
            name: "counterparty",
            columns: "counterparty_id, counterparty_legal_name, legal_address_id, commercial_contact, delivery_contact, created_at, last_updated",
            rows: counterparties,
        },
        Table {
            name: "currency",
            columns: "currency_id, currency_code, created_at, last_updated",
            rows: numbered(&CURRENCIES),
        },
        Table {
            name: "department",
            columns: "department_id, department_name, location, manager, created_at, last_updated",
            rows: departments.collect(),
        },
        Table {
            name: "design",
            columns: "design_id, created_at, design_name, file_location, file_name, last_updated",
            rows: designs,
        },
        Table {
            name: "staff",
            columns: "staff_id, first_name, last_name, department_id, email_address, created_at, last_updated",
            rows: staff,
        },
        Table {
            name: "payment_type",
            columns: "payment_type_id, payment_type_name, created_at, last_updated",
            rows: numbered(&PAYMENT_TYPES),
        },
    ]
}
