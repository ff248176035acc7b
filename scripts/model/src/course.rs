//! The course of a seed, from an empty folder to the oracle's word.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;
use serde_json::json;
use sqlx::ConnectOptions as _;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::circumstance::{Beside, Circumstance};
use crate::flag::Flag;
use crate::oracle::{self, Known};
use crate::runs::{Ended, Outcome};
use crate::site::Site;
use crate::tally::Tally;
use crate::{fault, reader, sql, writer};

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// A few seconds: in the test run.
    Short,
    /// A minute or so: by a command.
    Long,
}

/// One seed's course.
#[derive(Clone, Debug)]
pub struct Course {
    /// Decides what happens.
    pub seed: u64,
    /// What changes around the pipeline, one after the other.
    pub circumstances: Vec<Circumstance>,
    /// How long.
    pub length: Length,
    /// This crate's own program, which is the stack when it is told so.
    pub model: PathBuf,
    /// The functions' program.
    pub functions: PathBuf,
    /// A folder for the seed; it goes when the seed is green.
    pub folder: PathBuf,
}

/// A seed that is red.
#[derive(Debug)]
pub struct Failed {
    course: Course,
    what: anyhow::Error,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Course { seed, length, folder, circumstances, .. } = &self.course;
        let only: String = circumstances.iter().map(|kind| format!(" --only {kind}")).collect();
        let short = if *length == Length::Short { " --short" } else { "" };
        writeln!(f, "seed {seed} is red: {:#}", self.what)?;
        writeln!(f, "  replay it:  cargo run -p model -- --seeds {seed}{only}{short}")?;
        write!(f, "  its steps:  {}", folder.join("steps.log").display())
    }
}

impl std::error::Error for Failed {}

impl Course {
    /// Runs it on a thread of its own, which its processes end with. Counts what was done, whatever comes of it.
    ///
    /// # Errors
    /// What is wrong, and how to see it again; the folder is kept then.
    pub fn run(self, tally: &Tally) -> Result<(), Failed> {
        let own = Tally::default();
        let counted = own.clone();
        let course = self.clone();
        let ran = std::thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(Box::pin(course.go(counted)))
        });
        let ran = ran.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the model itself panicked")));
        tally.take_in(&own);
        tally.one(if ran.is_ok() { "seeds green" } else { "seeds red" });
        // Nothing holds what a green seed leaves but its last processes.
        let cleared = ran.and_then(|()| std::fs::remove_dir_all(&self.folder).context("cannot clear the folder"));
        cleared.map_err(|what| Failed { course: self, what })
    }

    async fn go(self, tally: Tally) -> Result<()> {
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder).context("cannot clear the folder")?;
        }
        let mut rng = Rng::with_seed(self.seed);
        let site = Site::make(self.folder.clone(), &mut rng, self.model.clone(), &self.functions, tally).await?;
        let mut under_way = UnderWay::begin(Arc::clone(&site), rng, self.length, self.circumstances);
        let came = Box::pin(under_way.go()).await;
        under_way.stop_writers().await;
        if let Err(error) = &came {
            site.steps.note(&format!("red: {error:#}"));
        }
        under_way.beside.end().await?;
        came?;
        site.end().await
    }
}

/// A course that goes on.
struct UnderWay {
    site: Arc<Site>,
    rng: Rng,
    length: Length,
    circumstances: Vec<Circumstance>,
    known: Known,
    writers: Vec<JoinHandle<()>>,
    writers_stop: Flag,
    reader: Option<(JoinHandle<Result<()>>, Flag)>,
    beside: Beside,
}

impl UnderWay {
    fn begin(site: Arc<Site>, rng: Rng, length: Length, circumstances: Vec<Circumstance>) -> Self {
        let lossy = circumstances.iter().any(|kind| kind.is_lossy());
        let stop = Flag::default();
        let reader = (tokio::spawn(reader::read(Arc::clone(&site), stop.clone())), stop);
        Self {
            site,
            rng,
            length,
            circumstances,
            known: Known { since: None, lossy, unknown: "Unknown" },
            writers: Vec::new(),
            writers_stop: Flag::default(),
            reader: Some(reader),
            beside: Beside::default(),
        }
    }

    async fn go(&mut self) -> Result<()> {
        self.start_writers();
        for circumstance in self.circumstances.clone() {
            let runs = self.how_many(1, 4);
            self.run_among_faults(runs, true).await?;
            Box::pin(self.meet(circumstance)).await.with_context(|| circumstance.to_string())?;
        }
        self.stop_writers().await;
        self.settle().await?;
        self.end_reader().await?;
        self.site.proxy.demand_parts_first()?;
        oracle::ask(&self.site, &self.known).await
    }

    fn how_many(&mut self, short: u32, long: u32) -> u32 {
        match self.length {
            Length::Short => short,
            Length::Long => self.rng.u32(long / 2 + 1..=long + 2),
        }
    }

    fn start_writers(&mut self) {
        self.writers_stop = Flag::default();
        for _ in 0..self.rng.u32(3..=6) {
            let (site, rng, stop) = (Arc::clone(&self.site), self.rng.fork(), self.writers_stop.clone());
            self.writers.push(tokio::spawn(writer::write(site, rng, self.known.lossy, stop)));
        }
    }

    async fn stop_writers(&mut self) {
        self.writers_stop.raise();
        for writer in self.writers.drain(..) {
            // One that panicked wrote until then.
            let _ = writer.await;
        }
    }

    async fn end_reader(&mut self) -> Result<()> {
        match self.reader.take() {
            None => Ok(()),
            Some((reader, stop)) => {
                stop.raise();
                reader.await?
            }
        }
    }

    /// Runs, some at once, some stopped and redriven, while faults strike.
    async fn run_among_faults(&mut self, runs: u32, full: bool) -> Result<()> {
        let stop = Flag::default();
        let striker = tokio::spawn(fault::strike(Arc::clone(&self.site), self.rng.fork(), stop.clone()));
        for _ in 0..runs {
            let input = if full && self.rng.u32(0..8) == 0 { json!({ "full": true }) } else { json!({}) };
            let mut names = vec![self.site.start_run(&input).await?];
            if self.rng.u32(0..3) == 0 {
                names.push(self.site.start_run(&json!({})).await?);
            }
            if self.rng.u32(0..4) == 0 {
                self.stop_and_redrive(&names[0]).await;
            }
            for name in names {
                let ended = self.site.end_of_run(&name).await?;
                if ended.outcome == Outcome::Failed {
                    must_say_why(&ended)?;
                    if self.rng.bool() && self.site.redrive(&name).await.is_ok() {
                        self.site.tally.one("redrives");
                        self.site.end_of_run(&name).await?;
                    }
                }
            }
        }
        stop.raise();
        striker.await??;
        self.site.until_servers_answer().await
    }

    /// An operator who stops a run and redrives it at once, while its functions still work.
    async fn stop_and_redrive(&mut self, name: &str) {
        tokio::time::sleep(Duration::from_millis(self.rng.u64(0..1_500))).await;
        if self.site.stop_run(name).await.is_ok() {
            self.site.tally.one("stops");
            tokio::time::sleep(Duration::from_millis(self.rng.u64(0..300))).await;
            // It may have succeeded before it was stopped.
            if self.site.redrive(name).await.is_ok() {
                self.site.tally.one("redrives");
            }
        }
    }

    async fn meet(&mut self, circumstance: Circumstance) -> Result<()> {
        // Prepared, then committed past: what was prepared is old by the time it counts.
        let (rest_before, rest) = circumstance.writers_rest();
        if rest_before {
            self.stop_writers().await;
        }
        circumstance.prepare(&self.site, &mut self.beside).await.context("prepared")?;
        if rest_before {
            self.start_writers();
        }
        self.site.until_all_is_past().await?;
        self.heal(rest_before, &json!({})).await.context("before it")?;
        if circumstance.loses_versions() {
            self.end_reader().await?;
        }
        if rest {
            self.stop_writers().await;
        }
        let at_work = if circumstance.happens_in_mid_run() && self.rng.bool() {
            let name = self.site.start_run(&json!({})).await?;
            tokio::time::sleep(Duration::from_millis(self.rng.u64(0..700))).await;
            Some(name)
        } else {
            None
        };
        circumstance.happen(&self.site, &mut self.beside, &mut self.rng).await.context("made to happen")?;
        self.site.tally.one(&format!("circumstance {circumstance}"));
        if circumstance.loses_versions() {
            self.known.since = Some(local::run_name());
        }
        self.known.unknown = circumstance.unknown();
        if rest {
            self.start_writers();
        }
        if let Some(name) = at_work {
            self.site.end_of_run(&name).await?;
        }
        let runs = self.how_many(1, 2);
        self.run_among_faults(runs, false).await?;
        if let Some(complaint) = circumstance.complaint() {
            let deadline = Instant::now() + Duration::from_secs(60);
            let mut ended = self.site.run(&json!({})).await?;
            // One that was redriven among the faults may still be at work.
            while ended.outcome == Outcome::AlreadyRunning && Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(300)).await;
                ended = self.site.run(&json!({})).await?;
            }
            if ended.outcome != Outcome::Failed || !ended.failure.contains(complaint) {
                bail!("a run must fail and say {complaint:?}, and came to {:?} {}", ended.outcome, ended.failure);
            }
        }
        circumstance.end(&self.site, &mut self.beside).await.context("ended")?;
        if circumstance.reads_late() {
            self.known.since = Some(local::run_name());
        }
        self.heal(true, &circumstance.consent()).await.map(|_| ())
    }

    /// Runs until one ends well: the first may fail if something happened that it has to find out.
    async fn heal(&mut self, may_fail: bool, input: &serde_json::Value) -> Result<Ended> {
        let (mut failures, mut overtaken) = (0, 0);
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            let ended = self.site.run(input).await?;
            match ended.outcome {
                Outcome::Loaded | Outcome::UpToDate => return Ok(ended),
                Outcome::AlreadyRunning | Outcome::Forgotten => tokio::time::sleep(Duration::from_millis(300)).await,
                // The load of a run that was stopped goes on to its end, and may be the one that comes in between.
                Outcome::Superseded if overtaken == 0 => overtaken += 1,
                Outcome::Superseded => bail!("no other run is at work, and {} says that one overtook it", ended.name),
                Outcome::Failed => {
                    must_say_why(&ended)?;
                    failures += 1;
                    if failures > u32::from(may_fail) {
                        bail!("{} failed, and nothing strikes: {}", ended.name, ended.failure);
                    }
                    self.site.tally.one("runs that failed once for a circumstance");
                }
            }
        }
        bail!("an older run never ends")
    }

    /// Nobody writes any more; what refers to something that is missing gets it; one more run, and then none has to do anything.
    async fn settle(&mut self) -> Result<()> {
        let complete = "
            INSERT INTO product (product_id, product_name, maker, kind, price)
            SELECT DISTINCT product_id, 'Late ' || product_id, 'Maker', (enum_range(NULL::kind))[1], 1
              FROM (SELECT product_id FROM sale UNION SELECT product_id FROM stock) AS used
             WHERE product_id NOT IN (SELECT product_id FROM product);
            UPDATE sale SET units = units + 1 WHERE sale_id = (SELECT min(sale_id) FROM sale)";
        sql::once(&self.site.place().application, complete).await?;
        self.heal(false, &json!({})).await.context("at the end")?;
        let quiet = self.heal(false, &json!({})).await.context("at the end")?;
        if !quiet.is_quiet() {
            bail!("nothing changed any more, and {} wrote: {}", quiet.name, quiet.output["load"]["targets"]);
        }
        self.run_beside_unreported().await.context("beside a session that holds back what it did")
    }

    /// A run beside a procedure that committed and goes on: no counter tells of what it did before it ends. The table was
    /// read with everything reported, so that its counters stand where they stood.
    async fn run_beside_unreported(&mut self) -> Result<()> {
        const LOCK: i64 = 1;
        let application = self.site.place().application;
        let mut holder = application.connect().await.context("cannot connect")?;
        sql::execute(&mut holder, &format!("SELECT pg_advisory_lock({LOCK})")).await?;
        let procedure = format!(
            "DO $$ BEGIN UPDATE sale SET units = units + 1 WHERE sale_id = (SELECT min(sale_id) FROM sale); COMMIT;
                         PERFORM pg_advisory_lock({LOCK}); END $$"
        );
        let session = tokio::spawn(async move { sql::once(&application, &procedure).await });
        let waits = "SELECT count(*) > 0 FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
                      WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted";
        while sql::ask(&mut holder, waits).await? != "true" {
            if session.is_finished() {
                session.await??;
                bail!("the procedure did not wait");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.heal(false, &json!({})).await?;
        sql::execute(&mut holder, &format!("SELECT pg_advisory_unlock({LOCK})")).await?;
        session.await?
    }
}

/// A failure is worth nothing that does not say what to do.
fn must_say_why(ended: &Ended) -> Result<()> {
    let was_stopped = ended.failure.starts_with("ABORTED");
    if ended.failure.len() < 20 && !was_stopped {
        bail!("{} failed and does not say why: {:?}", ended.name, ended.failure);
    }
    Ok(())
}
