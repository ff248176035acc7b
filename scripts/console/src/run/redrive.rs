//! What a redrive would do, said before it is done: which states run again, which answers stay, whether it still counts.

use catalog::message::{HaltRequest, Phase};
use runs::Status;

use super::Run;
use crate::site::Site;

/// What would come of a redrive.
pub(crate) struct Preview {
    /// What runs again, and why.
    pub(crate) again: Vec<(String, String)>,
    /// What stays as it is.
    pub(crate) stays: Vec<(String, String)>,
    /// Name of a newer run that has loaded: what this one read is old, and it would change nothing.
    pub(crate) overtaken_by: Option<String>,
}

/// The phases in their order, under the names of their states.
const PHASES: [(Phase, &str); 5] = [
    (Phase::Checkpoint, "Checkpoint"),
    (Phase::Plan, "Plan"),
    (Phase::Extract, "Extract"),
    (Phase::Transform, "Transform"),
    (Phase::Load, "Load"),
];

/// The place of the plan. A run that failed there or before has read nothing yet: it begins anew, from what the warehouse
/// holds then.
const PLAN: usize = 1;

/// Newer runs that are looked at.
const NEWER: i32 = 100;

impl Preview {
    /// Says it of a run that has failed or was stopped.
    ///
    /// # Errors
    /// What Step Functions answers.
    pub(crate) async fn of(site: &Site, run: &Run) -> anyhow::Result<Self> {
        let (mut again, mut stays) = (Vec::new(), Vec::new());
        let failed = failed_phase(run);
        for (at, (_, state)) in PHASES.iter().enumerate() {
            let visit = run.view.visits.iter().enumerate().rfind(|(_, visit)| visit.state == *state);
            match (visit, failed) {
                (Some((index, visit)), Some(failed)) if at == failed && visit.is_parallel => {
                    let branches: Vec<&runs::Visit> =
                        run.view.visits.iter().filter(|it| it.parent == Some(index) && it.tries > 0).collect();
                    let is_done = |branch: &&&runs::Visit| branch.status == Status::Done;
                    let done = branches.iter().filter(is_done).count();
                    for branch in branches.iter().filter(|branch| branch.status != Status::Done) {
                        again.push((branch.state.clone(), why(branch)));
                    }
                    if done > 0 {
                        let stay = "asked again, and answered from what they have written".to_owned();
                        stays.push((format!("{state}, {done} of {}", branches.len()), stay));
                    }
                }
                (Some((_, visit)), Some(failed)) if at == failed => again.push(((*state).to_owned(), why(visit))),
                (Some(_), Some(failed)) if at < failed && failed > PLAN => {
                    stays.push(((*state).to_owned(), "its answer is in the run".to_owned()));
                }
                (visit, Some(_)) => {
                    let why = if visit.is_some() { "begins anew" } else { "had not begun" };
                    again.push(((*state).to_owned(), why.to_owned()));
                }
                // Not this pipeline's kind of failure: what was at work when it ended.
                (_, None) => {}
            }
        }
        if failed.is_none() {
            let visits = &run.view.visits;
            for (index, visit) in visits.iter().enumerate() {
                // What is around others goes on with them.
                let is_around = visits.iter().any(|other| other.parent == Some(index));
                match visit.status {
                    Status::Done if visit.tries > 0 => stays.push((visit.state.clone(), "done".to_owned())),
                    Status::Done => {}
                    _ if is_around => {}
                    _ => again.push((visit.state.clone(), why(visit))),
                }
            }
        }
        let has_read = failed.is_none_or(|failed| failed > PLAN);
        let overtaken_by = if has_read { overtaken_by(site, run).await? } else { None };
        Ok(Self { again, stays, overtaken_by })
    }
}

/// The place of the phase that failed, or that was at work when the run was stopped.
fn failed_phase(run: &Run) -> Option<usize> {
    let halt = run.view.visits.iter().rfind(|visit| visit.state == "Halt");
    let halted = halt.and_then(|halt| serde_json::from_value::<HaltRequest>(halt.request.clone()).ok());
    if let Some(request) = halted {
        return PHASES.iter().position(|(phase, _)| *phase == request.phase);
    }
    let is_open = |name: &str| {
        run.view.visits.iter().rfind(|visit| visit.state == name).is_some_and(|visit| visit.status != Status::Done)
    };
    PHASES.iter().position(|(_, state)| is_open(state))
}

fn why(visit: &runs::Visit) -> String {
    let tries = if visit.tries == 1 { "1 try".to_owned() } else { format!("{} tries", visit.tries) };
    match (&visit.error, visit.status) {
        (Some(error), _) => format!("{error} after {tries}; its retries start anew"),
        (None, Status::Aborted) => "was at work when the run ended".to_owned(),
        _ => "did not end".to_owned(),
    }
}

/// A run that loaded after this one had begun: the warehouse goes by what was loaded last, whoever was started first.
async fn overtaken_by(site: &Site, run: &Run) -> anyhow::Result<Option<String>> {
    for newer in site.orchestrator.newest_that_succeeded(NEWER).await? {
        let has_loaded_since = newer.stop_date.is_some_and(|at| at > run.described.start_date);
        if has_loaded_since
            && newer.execution_arn != run.described.execution_arn
            && site.summaries.of(&site.orchestrator, &newer).await?.ending == runs::Ending::Loaded
        {
            return Ok(Some(newer.name));
        }
    }
    Ok(None)
}
