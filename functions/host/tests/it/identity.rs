//! Two databases of one server are told apart, and one is told again.

use catalog::Side;
use host::postgres::identity;
use testbed::Testbed;

#[tokio::test]
async fn a_database_is_known_again_and_told_from_its_neighbour() {
    let mut bed = Testbed::new(crate::CATALOGUE).await;
    let source = identity(&mut bed.source, Side::Source).await.expect("it answers");
    let warehouse = identity(&mut bed.warehouse, Side::Warehouse).await.expect("it answers");
    assert_eq!(identity(&mut bed.source, Side::Source).await.expect("it answers"), source);
    assert_eq!((&source.system, source.timeline), (&warehouse.system, warehouse.timeline), "one server");
    assert!(!source.system.is_empty() && source.timeline > 0 && source.began.is_some(), "{source:?}");
    assert!(!source.is_same_database(&warehouse));
    bed.end().await;
}

#[tokio::test]
async fn a_server_that_hides_itself_is_known_by_its_database() {
    let mut bed = Testbed::new(crate::CATALOGUE).await;
    let mut server = bed.superuser(Side::Source).await;
    testbed::execute(&mut server, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC").await;
    let hidden = identity(&mut bed.source, Side::Source).await.expect("it answers");
    let whole = identity(&mut server, Side::Source).await.expect("it answers");
    assert_eq!((hidden.system.as_str(), hidden.timeline), ("", 0));
    assert_eq!((hidden.database, &hidden.began), (whole.database, &whole.began));
    bed.end().await;
}
