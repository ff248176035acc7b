//! Functions speak TLS to a real server, and only to the one that it should be.

use std::time::Duration;

use asl::Status;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use sqlx::ConnectOptions as _;

use crate::world::{Run, World, ask, execute};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// A world's Postgres with a certificate for `name`; a role may read its source with the password `secret`.
async fn serve(world: &World, authority: &Authority, name: &str) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    let postgres = world.stack.postgres.as_ref().expect("a private Postgres");
    let mut admin = postgres.superuser_options("totesys").connect().await.expect("it answers");
    // The server writes them itself: whatever user it runs as may read them.
    for (file, pem) in [("server.key", key.serialize_pem()), ("server.crt", certificate.pem())] {
        let lines = format!("SELECT line FROM regexp_split_to_table('{}', E'\\r?\\n') AS line", pem.trim());
        execute(&mut admin, &format!("COPY ({lines}) TO PROGRAM 'umask 077; cat > {file}'")).await;
    }
    execute(&mut admin, "ALTER ROLE reader PASSWORD 'secret'").await;
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
fn secret(world: &World, authority: &Authority) -> String {
    json!({
        "host": "127.0.0.1", "port": world.stack.postgres.as_ref().expect("a private Postgres").port(),
        "username": "reader", "password": "secret", "dbname": "totesys", "sslrootcert": authority.pem(),
    })
    .to_string()
}

#[track_caller]
fn assert_refused(run: &Run, cause: &str) {
    assert_eq!((run.status, run.failure.0.as_str()), (Status::Failed, "PlanFailed"), "{run:?}");
    for said in ["Source.AccessDenied", cause, "to do: correct the secret with the source credentials"] {
        assert!(run.failure.1.contains(said), "{said:?} is not in {}", run.failure.1);
    }
}

#[tokio::test]
async fn a_source_is_read_over_tls_when_its_certificate_and_name_are_right_and_else_not_at_all() {
    let (ours, theirs) = (authority(), authority());
    let server = World::new().await;

    // Without TLS nothing is said to it.
    let mut world = World::empty(|text| text).await.restart(Some(secret(&server, &ours))).await;
    assert_refused(&world.run().await, "server does not support TLS");

    // Another name than the one that it was called by, then another authority's.
    serve(&server, &ours, "db.example").await;
    assert_refused(&world.run().await, "certificate not valid for name");
    let mut world = world.restart(Some(secret(&server, &theirs))).await;
    serve(&server, &ours, "127.0.0.1").await;
    assert_refused(&world.run().await, "invalid peer certificate: BadSignature");

    let mut world = world.restart(Some(secret(&server, &ours))).await;
    let run = world.load().await;
    assert_eq!(run.counts("fact_payment")[0], 300);
    world.stop().await;
    server.stop().await;
}
