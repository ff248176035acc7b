//! Processes die at any moment; the warehouse ends right.

use std::time::Duration;

use asl::Status;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::world::World;

/// The processes of that function (or of any, for `""`) whose environment names this endpoint.
pub(crate) fn functions(endpoint: &str, function: &str) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("Linux").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment);
        let is_ours = environment.contains(endpoint);
        let handler = format!("_HANDLER={function}");
        let is_named = environment
            .split('\0')
            .any(|set| if function.is_empty() { set.starts_with(&handler) } else { set == handler });
        let path = std::fs::read_link(entry.path().join("exe")).unwrap_or_default();
        if is_ours && is_named && path != std::env::current_exe().unwrap_or_default() {
            found.push(pid);
        }
    }
    found
}

impl World {
    /// Waits for a process of a function that works, and kills it.
    async fn kill_one(&self, program: &str) {
        let mut looks = tokio::time::interval(Duration::from_millis(2));
        let found = async {
            loop {
                looks.tick().await;
                let idle = self.stack.lambda.idle_processes();
                let works =
                    |pid: &Pid| !idle.iter().any(|(_, idle)| i32::try_from(*idle) == Ok(pid.as_raw_nonzero().get()));
                if let Some(pid) = functions(&self.stack.endpoint, program).into_iter().find(works) {
                    return pid;
                }
            }
        };
        let pid = tokio::time::timeout(Duration::from_secs(60), found).await.expect("the function works");
        // It may have ended by itself in between.
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[tokio::test]
async fn each_function_may_be_killed_once_and_the_run_succeeds() {
    let mut failed_tasks = 0;
    for program in ["checkpoint", "plan", "extract", "transform", "load"] {
        let mut world = World::new().await;
        let name = world.start(json!({})).await;
        world.kill_one(program).await;
        let run = world.wait(&name).await;
        assert_eq!(run.status, Status::Succeeded, "{program}: {run:?}");
        failed_tasks += world.events(&name, "TaskFailed");
        world.assert_same_as_source().await;
        world.stop().await;
    }
    // One may have answered a moment before, not all four.
    assert!(failed_tasks > 0);
}

#[tokio::test]
async fn functions_killed_all_the_time_end_in_success_or_in_a_notice_and_the_next_run_is_right() {
    let mut world = World::new().await;
    let mut trader = world.trader(3).await;
    for seed in 0..4 {
        trader.step().await.expect("a trade");
        let name = world.start(json!({})).await;
        let endpoint = world.stack.endpoint.clone();
        let killer = tokio::spawn(async move {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut ticks = tokio::time::interval(Duration::from_millis(60));
            loop {
                ticks.tick().await;
                let victims = functions(&endpoint, "");
                if !victims.is_empty() {
                    let _ = kill_process(victims[rng.usize(..victims.len())], Signal::KILL);
                }
            }
        });
        let run = world.wait(&name).await;
        killer.abort();
        if run.status != Status::Succeeded {
            // Held by the last function, or ended because that one was killed too often itself.
            let ended = run.failure.0.ends_with("Failed") || run.failure.0 == "Runtime.ExitError";
            assert!(ended, "{run:?}");
            assert!(world.alerts().iter().any(|alert| alert.contains(&name)), "nobody was told of {run:?}");
        }
    }
    drop(trader);
    world.load().await;
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn executions_survive_the_stack_and_can_be_redriven_after_it() {
    let mut world = World::new().await;
    world.application("REVOKE SELECT ON payment FROM reader").await;
    let failed = world.run().await;
    assert_eq!(failed.failure.0, "ExtractFailed");
    let events = world.events(&failed.name, "TaskScheduled");
    world = world.restart(None).await;
    assert_eq!(world.events(&failed.name, "TaskScheduled"), events);
    world.application("GRANT SELECT ON payment TO reader").await;
    world.redrive(&failed.name).await;
    assert_eq!(world.wait(&failed.name).await.status, Status::Succeeded);
    world.assert_same_as_source().await;
    world.stop().await;
}
