//! Functions speak TLS to a real server, and only to the one that it should be.

use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;
use std::time::Duration;

use asl::Status;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::world::{Run, World, ask, execute};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// The cluster of a world that was stopped, served again: on a port, as Postgres speaks no TLS on its socket.
struct Server {
    process: Child,
    port: u16,
    admin: PgConnectOptions,
    _folder: TempDir,
}

impl Server {
    async fn start(world: World) -> Self {
        let postgres = world.stack.postgres.as_ref().expect("a private Postgres");
        let (admin, socket) = (postgres.superuser_options("totesys"), postgres.socket().to_owned());
        let mut connection = admin.connect().await.expect("it answers");
        execute(&mut connection, "ALTER ROLE reader PASSWORD 'secret'").await;
        let data = ask(&mut connection, "current_setting('data_directory')").await;
        let pid = std::fs::read_to_string(format!("{data}/postmaster.pid")).expect("it runs");
        let pid = pid.lines().next().expect("a process id").to_owned();
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).expect("a program");
        connection.close().await.expect("a connection closes");
        let folder = world.stop().await;

        // Given back: who takes it in between makes this test fail.
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let owner = std::fs::metadata(&data).expect("the cluster's folder");
        let mut process = Command::new(program);
        process.uid(owner.uid()).gid(owner.gid()).current_dir("/").kill_on_drop(true);
        process.args(["-D", &data, "-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        process.arg("-c").arg(format!("unix_socket_directories={}", socket.display()));
        let log = std::fs::File::create(folder.path().join("tls.log")).expect("a log");
        process.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        let process = process.spawn().expect("the server starts");
        let server = Self { process, port, admin: admin.port(port), _folder: folder };
        let answers = async {
            while server.admin.connect().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), answers).await.expect("the server answers");
        server
    }

    /// From now on it has a certificate for `name`.
    async fn certify(&self, authority: &Authority, name: &str) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, authority).expect("a certificate");
        let mut admin = self.admin.connect().await.expect("it answers");
        // The server writes them itself: whatever user it runs as may read them.
        for (file, pem) in [("server.key", key.serialize_pem()), ("server.crt", certificate.pem())] {
            let lines = format!("SELECT line FROM regexp_split_to_table('{}', E'\\r?\\n') AS line", pem.trim());
            execute(&mut admin, &format!("COPY ({lines}) TO PROGRAM 'umask 077; cat > {file}'")).await;
        }
        execute(&mut admin, "ALTER SYSTEM SET ssl = on").await;
        let loaded = ask(&mut admin, "pg_conf_load_time()").await;
        execute(&mut admin, "SELECT pg_reload_conf()").await;
        // Once a session has heard of it, the server takes connections with the new certificate alone.
        let reloaded = async {
            while ask(&mut admin, "pg_conf_load_time()").await == loaded {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reloaded).await.expect("the server takes its settings over");
    }

    /// The credentials for it as a secret holds them, with nothing said of how to verify the server but its authority.
    fn secret(&self, authority: &Authority) -> String {
        json!({
            "host": "127.0.0.1", "port": self.port,
            "username": "reader", "password": "secret", "dbname": "totesys", "sslrootcert": authority.pem(),
        })
        .to_string()
    }

    async fn stop(mut self) {
        self.process.kill().await.expect("the server ends");
    }
}

#[track_caller]
fn assert_refused(run: &Run, cause: &str) {
    assert_eq!((run.status, run.failure.0.as_str()), (Status::Failed, "PlanFailed"), "{run:?}");
    for said in ["Source.AccessDenied", cause, "(to do: "] {
        assert!(run.failure.1.contains(said), "{said:?} is not in {}", run.failure.1);
    }
    assert!(!run.failure.1.contains("correct the secret"), "the password is right: {}", run.failure.1);
}

#[tokio::test]
async fn a_source_is_read_over_tls_when_its_certificate_and_name_are_right_and_else_not_at_all() {
    let (ours, theirs) = (authority(), authority());
    let server = Server::start(World::new().await).await;

    // Without TLS nothing is said to it.
    let mut world = World::empty(|text| text).await.restart(Some(server.secret(&ours))).await;
    assert_refused(&world.run().await, "server does not support TLS");

    // Another name than the one that it was called by, then another authority's.
    server.certify(&ours, "db.example").await;
    assert_refused(&world.run().await, "certificate not valid for name");
    let mut world = world.restart(Some(server.secret(&theirs))).await;
    server.certify(&ours, "127.0.0.1").await;
    assert_refused(&world.run().await, "invalid peer certificate: BadSignature");

    let mut world = world.restart(Some(server.secret(&ours))).await;
    let run = world.load().await;
    assert_eq!(run.counts("fact_payment")[0], 300);
    world.stop().await;
    server.stop().await;
}
