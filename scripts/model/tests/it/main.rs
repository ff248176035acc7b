//! The short mode: a seed of every circumstance. A stack, a server and a folder of its own each; the long mode is
//! `cargo run -p model -- --seeds 1000..1200`.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use model::{Circumstance, Course, Length, Tally};

/// Seeds at once: they wait more than they work.
const AT_ONCE: usize = 4;

#[test]
fn no_run_is_green_over_a_wrong_warehouse() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let programs = runtime.block_on(local::build_when_run_by_cargo()).expect("the functions build");
    let courses: Vec<Course> =
        Circumstance::ALL.into_iter().zip(1..).map(|(kind, seed)| course(seed, kind, &programs)).collect();
    let (courses, tally, red) = (Mutex::new(courses), Tally::default(), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(course) = courses.lock().expect("nobody panics").pop() else { return };
                    if let Err(failed) = course.run(&tally) {
                        red.lock().expect("nobody panics").push(failed.to_string());
                    }
                }
            });
        }
    });
    let red = red.into_inner().expect("nobody panics");
    assert!(red.is_empty(), "{}\n{:?}", red.join("\n"), tally.counts());
}

fn course(seed: u64, kind: Circumstance, programs: &Path) -> Course {
    Course {
        seed,
        circumstances: vec![kind],
        length: Length::Short,
        model: PathBuf::from(env!("CARGO_BIN_EXE_model")),
        functions: programs.join("functions"),
        folder: std::env::temp_dir().join("model-short").join(format!("{}-{seed}", std::process::id())),
    }
}
