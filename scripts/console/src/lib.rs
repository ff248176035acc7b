//! The console in a browser.

#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "the run's page is next"))]
mod graph;
