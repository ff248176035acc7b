//! What is generated of the documentation is as the tables have it.

#[test]
fn the_page_of_the_catalogue_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/catalogue.md");
    let page = std::fs::read_to_string(path).expect("the repository holds docs/catalogue.md");
    let fresh = catalog::docs::catalogue(&page).unwrap_or_else(|error| panic!("{error}"));
    assert!(page == fresh, "docs/catalogue.md is stale; run: cargo run -- synth");
}
