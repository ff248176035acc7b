//! Between the functions and the local services: a proxy that fails as networks and S3 do, and otherwise passes every byte
//! on as it was.
//!
//! A connection carries one request: told so, the service closes it, and the proxy need not know where an answer ends.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fastrand::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::tally::Tally;

/// How a request to S3 may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// 500, and nothing was done.
    InternalError,
    /// 503, and nothing was done.
    SlowDown,
    /// No answer for a while, then none at all; nothing was done.
    TimeOut,
    /// It was done, and the answer was lost.
    AnswerLost,
}

impl Trouble {
    pub(crate) const ALL: [Self; 4] = [Self::InternalError, Self::SlowDown, Self::TimeOut, Self::AnswerLost];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InternalError => "S3 500",
            Self::SlowDown => "S3 503",
            Self::TimeOut => "S3 time-out",
            Self::AnswerLost => "S3 answer lost",
        }
    }
}

/// The longest head of a request that is read.
const MAX_HEAD: usize = 64 << 10;
/// How long a request that times out is left without an answer.
const SILENCE: Duration = Duration::from_secs(2);

/// A running proxy; it ends with the runtime it runs on.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// Where the services listen: `127.0.0.1:4711`, empty while there are none.
    upstream: Mutex<String>,
    trouble: Mutex<Option<(Trouble, u32)>>,
    rng: Mutex<Rng>,
    tally: Tally,
    /// Paths that were put, by whatever try.
    put: Mutex<BTreeSet<String>>,
    /// Manifests that were put before what they name.
    early: Mutex<Vec<String>>,
}

impl Proxy {
    pub(crate) async fn start(rng: Rng, tally: Tally) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on loopback")?;
        let address = listener.local_addr()?;
        let (upstream, trouble) = (Mutex::default(), Mutex::default());
        let state = Arc::new(State {
            upstream,
            trouble,
            rng: Mutex::new(rng),
            tally,
            put: Mutex::default(),
            early: Mutex::default(),
        });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&serving);
                // A request that cannot be passed on is a connection that breaks.
                tokio::spawn(async move { state.pass(client).await });
            }
        });
        Ok(Self { address, state })
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn lead_to(&self, endpoint: &str) {
        endpoint.trim_start_matches("http://").clone_into(&mut lock(&self.state.upstream));
    }

    /// From now on so many of a hundred requests to S3 fail so; none for `None`.
    pub(crate) fn trouble(&self, trouble: Option<(Trouble, u32)>) {
        *lock(&self.state.trouble) = trouble;
    }

    /// A manifest that is there before its parts is believed by the next try when the one that wrote it dies.
    pub(crate) fn demand_parts_first(&self) -> Result<()> {
        let early = lock(&self.state.early);
        if !early.is_empty() {
            bail!("a manifest was put before what it names ({} times)\n    {}", early.len(), early[0]);
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    async fn pass(&self, mut client: TcpStream) -> Result<()> {
        let request = Request::read(&mut client).await?;
        let trouble = if request.is_for_s3() { self.strikes() } else { None };
        match trouble {
            Some(Trouble::InternalError) => {
                refuse(&mut client, "500 Internal Server Error", "InternalError").await?;
            }
            Some(Trouble::SlowDown) => refuse(&mut client, "503 Slow Down", "SlowDown").await?,
            Some(Trouble::TimeOut) => tokio::time::sleep(SILENCE).await,
            Some(Trouble::AnswerLost) => {
                let mut service = self.send(&request).await?;
                // Read to its end: the service has done it all.
                tokio::io::copy(&mut service, &mut tokio::io::sink()).await?;
            }
            None => {
                let mut service = self.send(&request).await?;
                tokio::io::copy(&mut service, &mut client).await?;
                client.shutdown().await?;
            }
        }
        Ok(())
    }

    fn strikes(&self) -> Option<Trouble> {
        let (trouble, percent) = (*lock(&self.trouble))?;
        let strikes = lock(&self.rng).u32(0..100) < percent;
        if strikes {
            self.tally.one(trouble.name());
        }
        strikes.then_some(trouble)
    }

    /// Notes what is put; of a manifest whether its parts were, at least on their way.
    fn note(&self, request: &Request) {
        let Some(path) = request.put_path() else { return };
        if let Some(folder) = path.strip_suffix("manifest.json") {
            let put = lock(&self.put);
            let is_put = |key: &str| put.contains(&format!("{folder}{}", key.rsplit('/').next().unwrap_or(key)));
            let early = match parts(&request.body) {
                Ok(keys) => keys.into_iter().find(|key| !is_put(key)).map(|key| format!("{path}: {key}")),
                Err(error) => Some(format!("{path}: {error:#}")),
            };
            lock(&self.early).extend(early);
        }
        lock(&self.put).insert(path.to_owned());
    }

    async fn send(&self, request: &Request) -> Result<TcpStream> {
        self.note(request);
        let upstream = lock(&self.upstream).clone();
        let mut service =
            TcpStream::connect(&upstream).await.with_context(|| format!("nobody listens at {upstream}"))?;
        service.write_all(request.head.as_bytes()).await?;
        service.write_all(&request.body).await?;
        Ok(service)
    }
}

/// The keys of the parts that a manifest names.
fn parts(manifest: &[u8]) -> Result<Vec<String>> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).context("a manifest is JSON")?;
    let parts = manifest["parts"].as_array().context("a manifest names its parts")?;
    parts.iter().map(|part| Ok(part["key"].as_str().context("a part has a key")?.to_owned())).collect()
}

async fn refuse(client: &mut TcpStream, status: &str, code: &str) -> Result<()> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>the model says so</Message></Error>"
    );
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/xml\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await.context("the client went away")
}

/// A request as it goes on.
struct Request {
    /// To its empty line, which asks for one answer alone.
    head: String,
    body: Vec<u8>,
}

impl Request {
    async fn read(client: &mut TcpStream) -> Result<Self> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            if bytes.len() > MAX_HEAD || client.read_buf(&mut bytes).await? == 0 {
                bail!("this is no request");
            }
        };
        let head = String::from_utf8(bytes[..end].to_vec()).context("a head is text")?;
        let mut body = bytes.split_off(end + 4);
        let mut length = 0;
        let mut kept = Vec::new();
        for line in head.split("\r\n") {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            match name.to_ascii_lowercase().as_str() {
                "connection" => continue,
                "expect" => {
                    client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                    continue;
                }
                "transfer-encoding" => bail!("the length of a body is told before it"),
                "content-length" => length = value.trim().parse().context("a length is a number")?,
                _ => {}
            }
            kept.push(line);
        }
        while body.len() < length {
            if client.read_buf(&mut body).await? == 0 {
                bail!("the body is cut");
            }
        }
        Ok(Self { head: format!("{}\r\nconnection: close\r\n\r\n", kept.join("\r\n")), body })
    }

    /// Where an object is put, if this is what is asked.
    fn put_path(&self) -> Option<&str> {
        let target = self.head.strip_prefix("PUT ")?.split(' ').next()?;
        target.split('?').next()
    }

    /// The other services are told by a target or a form.
    fn is_for_s3(&self) -> bool {
        let head = self.head.to_ascii_lowercase();
        !head.contains("\r\nx-amz-target:") && !head.contains("application/x-www-form-urlencoded")
    }
}
