//! The source is the one that the warehouse's rows came from, has come as far, and is not the warehouse.

use catalog::message::{Checkpoint, RunInput};
use catalog::state::{SourceIdentity, State};
use catalog::{Catalog, Error, Fault, Result};

use crate::observe::Observation;

/// Refuses a source that is not meant.
///
/// # Errors
/// `Source.Replaced` for another server or database than the warehouse's rows came from, unless the run adopts it;
/// `Warehouse.IsSource` where a target would be loaded into a table that is read.
pub(crate) fn is_meant(
    catalog: &Catalog,
    checkpoint: &Checkpoint,
    seen: &SourceIdentity,
    input: RunInput,
) -> Result<()> {
    if let Some(base) = &checkpoint.base
        && !base.source.is_same_database(seen)
        && !input.adopt_source
    {
        let (here, before) = (described(seen), described(&base.source));
        let what = format!("the source is {here}, but the rows in the warehouse came from {before}");
        return Err(Error::new(Fault::SourceReplaced, what));
    }
    let is_warehouse = |warehouse: &SourceIdentity| !seen.system.is_empty() && seen.is_same_database(warehouse);
    if checkpoint.warehouse.as_ref().is_some_and(is_warehouse) && catalog.source.schema == catalog.warehouse.schema {
        let read = |name: &str| catalog.table(name).is_some();
        let both: Vec<&str> =
            catalog.warehouse.targets.iter().map(|target| target.name.as_str()).filter(|name| read(name)).collect();
        if !both.is_empty() {
            let what =
                format!("source and warehouse are one database, and what is read is loaded: {}", both.join(", "));
            return Err(Error::new(Fault::WarehouseIsSource, what));
        }
    }
    Ok(())
}

/// Refuses a replica that has not come to what the last batch read: read from it, the warehouse would go back in time.
///
/// # Errors
/// `Source.Busy`.
pub(crate) fn has_come_to(base: Option<&State>, seen: &Observation) -> Result<()> {
    let is_replica = seen.identity.began.is_none();
    let known = base.filter(|base| is_replica && seen.identity.continues(&base.source));
    // What was read is before the next transaction of then, however old the oldest one was that was open.
    let next = known.and_then(|base| base.life.as_ref()).map(|life| life.next);
    let read = known.and_then(|base| base.tables.values().map(|state| state.horizon).max());
    match read {
        Some(read) if seen.horizon < read || next.is_some_and(|next| seen.next < next) => {
            let what = format!(
                "this replica of the source lags behind: it is at transaction {}, the last batch at {read}",
                seen.horizon
            );
            Err(Error::new(Fault::SourceBusy, what))
        }
        _ => Ok(()),
    }
}

fn described(identity: &SourceIdentity) -> String {
    let SourceIdentity { system, database, .. } = identity;
    if system.is_empty() { format!("database {database}") } else { format!("database {database} of server {system}") }
}

#[cfg(test)]
mod tests {
    use catalog::BatchName;
    use catalog::message::Base;

    use super::*;

    fn identity(system: &str, database: i64) -> SourceIdentity {
        SourceIdentity { system: system.to_owned(), timeline: 1, database, began: None }
    }

    fn catalog(target: &str) -> Catalog {
        let text = format!(
            "[pipeline]\nname = 'p'\n[source.tables.staff]\nkey = 'id'\ncapture = 'snapshot'\ncolumns = {{ id = 'integer' }}\n\
             [dimensions.{target}]\nfrom = 'staff'\ncolumns = {{ id = 'id' }}\n"
        );
        Catalog::parse("p", &text).unwrap()
    }

    #[test]
    fn rows_of_another_source_are_not_merged_unless_that_is_said() {
        let base = |source| Base { batch: BatchName::new("b").unwrap(), source, state: "_states/b-0.json".to_owned() };
        let checkpoint = |source| Checkpoint { base: Some(base(source)), ..Checkpoint::default() };
        let ask = |before, adopt_source| {
            let input = RunInput { full: false, adopt_source };
            is_meant(&catalog("dim_staff"), &checkpoint(before), &identity("7", 5), input)
        };
        assert!(ask(identity("7", 5), false).is_ok());
        for before in [identity("8", 5), identity("7", 6)] {
            let error = ask(before.clone(), false).unwrap_err();
            assert_eq!(error.fault(), Fault::SourceReplaced);
            assert!(error.to_string().starts_with("the source is database 5 of server 7, but"), "{error}");
            assert!(ask(before, true).is_ok());
        }
    }

    #[test]
    fn a_table_is_not_read_and_loaded() {
        let checkpoint = Checkpoint { warehouse: Some(identity("7", 5)), ..Checkpoint::default() };
        let ask = |target: &str, database| {
            is_meant(&catalog(target), &checkpoint, &identity("7", database), RunInput::default())
        };
        let error = ask("staff", 5).unwrap_err();
        assert_eq!(error.fault(), Fault::WarehouseIsSource);
        assert!(error.to_string().ends_with("what is read is loaded: staff"), "{error}");
        assert!(ask("dim_staff", 5).is_ok(), "side by side");
        assert!(ask("staff", 6).is_ok(), "another database of the server");
    }
}
