//! The parts of `docs/catalogue.md` that come from the tables: types, vocabulary, calendar.
//!
//! A generated part stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`; everything else of the page is
//! written by hand and stays.

use crate::model::{Arguments, CalendarAttribute, TypeName, ValueType, Word};

/// A page that lacks the place of a generated part.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the page lacks a line <!-- generated: {0} --> with a line <!-- end: {0} --> after it")]
pub struct NoPlace(&'static str);

/// The page with every generated part as the tables have it now.
///
/// # Errors
/// When the page lacks the place of one.
pub fn catalogue(page: &str) -> Result<String, NoPlace> {
    let parts = [("types", types()), ("words", words()), ("calendar", calendar())];
    parts.iter().try_fold(page.to_owned(), |page, (name, text)| put(&page, name, text).ok_or(NoPlace(name)))
}

fn put(page: &str, name: &str, text: &str) -> Option<String> {
    let begin = format!("<!-- generated: {name} -->\n");
    let end = format!("<!-- end: {name} -->\n");
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{text}\n{end}{after}"))
}

fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let rule = vec!["---".to_owned(); head.len()];
    [head, rule].into_iter().chain(rows).map(|cells| line(&cells)).collect()
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn list(texts: impl IntoIterator<Item = String>) -> String {
    texts.into_iter().map(|text| code(&text)).collect::<Vec<_>>().join(", ")
}

fn types() -> String {
    let rows = TypeName::ALL.map(|name| {
        let row = name.row();
        let arguments = match row.arguments {
            Arguments::None | Arguments::Seconds => "",
            Arguments::Length => "(n)",
            Arguments::Digits => "(p,s)",
        };
        let others = list(row.spellings[1..].iter().map(ToString::to_string));
        vec![code(&format!("{}{arguments}", name.name())), others, code(row.example.1), row.remark.to_owned()]
    });
    table(&["type", "also written", "a value", "remarks"], rows)
}

fn words() -> String {
    let rows = Word::ALL.map(|word| {
        let row = word.row();
        let reads =
            row.reads.map_or_else(|| "anything".to_owned(), |reads| list(reads.iter().map(ValueType::to_string)));
        let gives = row.gives.map_or_else(|| "the same".to_owned(), |value| code(&value.to_string()));
        let example = format!("{} → {}", code(row.example.0), code(row.example.1));
        vec![code(&format!("{} = \"column\"", row.name)), reads, gives, row.meaning.to_owned(), example]
    });
    table(&["word", "reads", "gives", "what", "example"], rows)
}

fn calendar() -> String {
    let example = format!("on {}", CalendarAttribute::EXAMPLE);
    let rows = CalendarAttribute::ALL.map(|attribute| {
        let row = attribute.row();
        vec![
            code(&format!("calendar = \"{}\"", row.name)),
            code(&row.value.to_string()),
            row.meaning.to_owned(),
            code(row.example),
        ]
    });
    table(&["column of a calendar", "gives", "what", &example], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_a_generated_part_stays() {
        let page = "a\n<!-- generated: types -->\nold\n<!-- end: types -->\nb\n";
        assert_eq!(
            put(page, "types", "new\n").as_deref(),
            Some("a\n<!-- generated: types -->\n\nnew\n\n<!-- end: types -->\nb\n")
        );
        assert_eq!(catalogue("a\n"), Err(NoPlace("types")));
    }
}
