//! What strikes while runs are at work: at every seam between processes, servers, disks and networks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use fastrand::Rng;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::flag::Flag;
use crate::proxy::Trouble;
use crate::site::Site;
use crate::sql;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    FunctionKilled,
    FunctionFrozen,
    ReaderTerminated,
    LoaderTerminated,
    /// A backend is killed so that the server ends every connection and recovers.
    ServerCrashed,
    StackKilled,
    StackRestarted,
    LakeFull,
    LakeReadOnly,
    /// No file of the stack may grow: journals, lake and logs.
    DiskFull,
    S3(Trouble),
}

impl Fault {
    /// Each as often as it stands here.
    const ALL: [Self; 19] = [
        Self::FunctionKilled,
        Self::FunctionKilled,
        Self::FunctionKilled,
        Self::FunctionFrozen,
        Self::FunctionFrozen,
        Self::FunctionFrozen,
        Self::ReaderTerminated,
        Self::ReaderTerminated,
        Self::LoaderTerminated,
        Self::LoaderTerminated,
        Self::ServerCrashed,
        Self::StackKilled,
        Self::StackRestarted,
        Self::LakeFull,
        Self::LakeReadOnly,
        Self::DiskFull,
        Self::S3(Trouble::InternalError),
        Self::S3(Trouble::SlowDown),
        Self::S3(Trouble::AnswerLost),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::FunctionKilled => "functions killed",
            Self::FunctionFrozen => "functions frozen",
            Self::ReaderTerminated => "backends of the reader ended",
            Self::LoaderTerminated => "backends of the loader ended",
            Self::ServerCrashed => "servers crashed",
            Self::StackKilled => "stacks killed",
            Self::StackRestarted => "stacks restarted",
            Self::LakeFull => "lakes full",
            Self::LakeReadOnly => "lakes read-only",
            Self::DiskFull => "disks full",
            Self::S3(trouble) => trouble.name(),
        }
    }
}

/// Strikes until the flag is raised, and leaves everything whole.
pub(crate) async fn strike(site: Arc<Site>, mut rng: Rng, stop: Flag) -> Result<()> {
    while !stop.is_raised() {
        tokio::time::sleep(Duration::from_millis(rng.u64(30..500))).await;
        let mut fault = Fault::ALL[rng.usize(..Fault::ALL.len())];
        if fault == Fault::S3(Trouble::AnswerLost) {
            fault = Fault::S3(Trouble::ALL[rng.usize(..Trouble::ALL.len())]);
        }
        site.once(fault, &mut rng).await.with_context(|| format!("{fault:?}"))?;
    }
    Ok(())
}

impl Site {
    async fn once(&self, fault: Fault, rng: &mut Rng) -> Result<()> {
        self.steps.note(&format!("fault: {fault:?}"));
        let a_while = Duration::from_millis(rng.u64(50..1_500));
        let done = match fault {
            Fault::FunctionKilled => self.function(rng).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok()),
            Fault::FunctionFrozen => match self.function(rng) {
                Some(pid) if kill_process(pid, Signal::STOP).is_ok() => {
                    tokio::time::sleep(a_while).await;
                    // Its time may have run out, and it was ended.
                    let _ = kill_process(pid, Signal::CONT);
                    true
                }
                _ => false,
            },
            Fault::ReaderTerminated => self.terminate(local::READER).await,
            Fault::LoaderTerminated => self.terminate(local::LOADER).await,
            Fault::ServerCrashed => rng.u32(0..3) == 0 && self.crash().await,
            Fault::StackKilled | Fault::StackRestarted => {
                self.end_stack(fault == Fault::StackKilled).await?;
                tokio::time::sleep(a_while / 4).await;
                self.start_stack().await?;
                true
            }
            Fault::LakeFull | Fault::LakeReadOnly => self.lake_refuses(fault == Fault::LakeFull, a_while).await?,
            Fault::DiskFull => self.disk_is_full(rng.u64(0..40_000), a_while).await,
            Fault::S3(trouble) => {
                self.proxy.trouble(Some((trouble, rng.u32(20..100))));
                tokio::time::sleep(a_while).await;
                self.proxy.trouble(None);
                // Counted request by request.
                false
            }
        };
        if done {
            self.tally.one(fault.name());
        }
        Ok(())
    }

    /// A process of a function, one that works or one that waits.
    fn function(&self, rng: &mut Rng) -> Option<Pid> {
        let processes = self.functions();
        (!processes.is_empty()).then(|| processes[rng.usize(..processes.len())])
    }

    /// The processes that were told of this seed's proxy.
    pub(crate) fn functions(&self) -> Vec<Pid> {
        self.functions_of("")
    }

    /// Those of one program.
    pub(crate) fn functions_of(&self, handler: &str) -> Vec<Pid> {
        let told = [format!("AWS_ENDPOINT_URL={}\0", self.proxy.endpoint()), format!("_HANDLER={handler}")];
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = entries.filter_map(|entry| pid(entry.file_name().to_str()?.parse().ok()?));
        let is_ours = |process: &Pid| {
            let path = format!("/proc/{}/environ", process.as_raw_nonzero());
            let environment = std::fs::read(path).unwrap_or_default();
            let says = |told: &String| environment.windows(told.len()).any(|part| part == told.as_bytes());
            told.iter().all(says)
        };
        processes.filter(is_ours).collect()
    }

    /// Ends a role's connections; whether there was one.
    async fn terminate(&self, role: &str) -> bool {
        let ended = format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{role}'");
        let place = self.place();
        let server = if role == local::READER { &place.source_superuser } else { &place.server };
        sql::ask_once(server, &ended).await.is_ok_and(|ended| ended != "0")
    }

    /// Kills a backend of the application's; whether there was one. The server ends all others and recovers.
    pub(crate) async fn crash(&self) -> bool {
        let backend =
            "SELECT pid FROM pg_stat_activity WHERE usename = 'application' AND pid <> pg_backend_pid() LIMIT 1";
        let found = sql::ask_once(&self.place().source_superuser, backend).await;
        let process = found.ok().and_then(|text| text.parse().ok()).and_then(pid);
        process.is_some_and(|process| kill_process(process, Signal::KILL).is_ok())
    }

    /// Where the lake puts what is being written.
    fn incoming(&self) -> PathBuf {
        self.launch.home().join("lake/.incoming")
    }

    /// Whatever is written lands on a device that is always full, or finds no folder to be written to.
    async fn lake_refuses(&self, full: bool, time: Duration) -> Result<bool> {
        let incoming = self.incoming();
        let (aside, refusing) = (incoming.with_extension("aside"), incoming.with_extension("refusing"));
        // Made beside it and whole before it takes the place: the stack writes there all the time.
        if full {
            std::fs::create_dir(&refusing)?;
            for number in 0..3_000 {
                std::os::unix::fs::symlink("/dev/full", refusing.join(number.to_string()))?;
            }
        } else {
            std::fs::write(&refusing, "")?;
        }
        if std::fs::rename(&incoming, &aside).is_err() {
            // The stack is about to make it.
            remove(&refusing, full)?;
            return Ok(false);
        }
        // The stack may have made it in this moment.
        if std::fs::rename(&refusing, &incoming).is_err() {
            remove(&refusing, full)?;
            std::fs::remove_dir_all(&aside)?;
            return Ok(false);
        }
        tokio::time::sleep(time).await;
        remove(&incoming, full)?;
        std::fs::rename(&aside, &incoming)?;
        Ok(true)
    }

    /// No file that the stack or a function of it writes may grow beyond so many bytes for a while.
    async fn disk_is_full(&self, bytes: u64, time: Duration) -> bool {
        let Some(stack) = self.stack_pid().await else { return false };
        let limit = |current| Rlimit { current, maximum: None };
        let set = |process, limit| prlimit(Some(process), Resource::Fsize, limit).is_ok();
        if !set(stack, limit(Some(bytes))) {
            return false;
        }
        tokio::time::sleep(time).await;
        for process in self.functions().into_iter().chain([stack]) {
            // One that ended has no limit any more.
            set(process, limit(None));
        }
        true
    }
}

fn remove(path: &Path, is_folder: bool) -> std::io::Result<()> {
    if is_folder { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

/// A process id.
pub(crate) fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}
