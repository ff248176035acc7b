//! Database credentials from the secret store. They pass from its answer into the connection and are kept nowhere.

use aws_sdk_secretsmanager::error::SdkError;
use catalog::{Error, Fault, Result, Side};
use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::answer::cause;
use crate::authorities;
use crate::settings::Place;

/// The form in which RDS keeps credentials, and the members that people add to it.
#[derive(Deserialize)]
struct Credentials {
    /// Not in a secret that RDS itself manages.
    host: Option<String>,
    #[serde(default = "default_port")]
    port: u16,
    username: String,
    password: String,
    /// The same.
    #[serde(alias = "database")]
    dbname: Option<String>,
    /// As libpq names them. Without one the server's certificate and name are verified.
    #[serde(default = "default_sslmode")]
    sslmode: String,
    /// The authority that signed the server's certificate, where neither the system nor [`authorities`] knows it. The
    /// text of the PEM file, or the path of one in the function's package.
    sslrootcert: Option<String>,
}

fn default_port() -> u16 {
    5432
}

fn default_sslmode() -> String {
    "verify-full".to_owned()
}

/// Reads the secret `id`: a Postgres URL or the JSON object of RDS. What the secret does not say of the database's place
/// follows from `place`.
pub(crate) async fn read(aws: &aws_config::SdkConfig, side: Side, id: &str, place: Place) -> Result<PgConnectOptions> {
    let client = aws_sdk_secretsmanager::Client::new(aws);
    let answer = client.get_secret_value().secret_id(id).send().await.map_err(|error| {
        let fault = match &error {
            SdkError::ServiceError(context) if context.raw().status().is_client_error() => Fault::Misconfigured,
            _ => Fault::SecretUnavailable,
        };
        Error::because(fault, format!("cannot read the secret {id} of the {side}"), cause(error))
    })?;
    answer.secret_string().and_then(|secret| parse(secret, place)).ok_or_else(|| {
        // Nothing of its content may be shown, not even where it stops making sense.
        let form = "a Postgres URL (postgres://user:password@host:port/database), nor a JSON object with host, username, \
                    password and dbname";
        Error::new(Fault::Misconfigured, format!("the secret {id} of the {side} is neither {form}"))
    })
}

fn parse(secret: &str, place: Place) -> Option<PgConnectOptions> {
    let secret = secret.trim();
    if secret.starts_with("postgres://") || secret.starts_with("postgresql://") {
        let options: PgConnectOptions = secret.parse().ok()?;
        let says = |parameter| secret.contains(parameter);
        return Some(match authorities::of(options.get_host()) {
            Some(pem) if !says("sslrootcert=") => {
                let mode = if says("sslmode=") { options.get_ssl_mode() } else { PgSslMode::VerifyFull };
                options.ssl_root_cert_from_pem(pem).ssl_mode(mode)
            }
            _ => options,
        });
    }
    let credentials: Credentials = serde_json::from_str(secret).ok()?;
    let mode: PgSslMode = credentials.sslmode.parse().ok()?;
    let options = PgConnectOptions::new_without_pgpass()
        .host(&credentials.host.or(place.host)?)
        .port(credentials.port)
        .username(&credentials.username)
        .password(&credentials.password)
        .database(&credentials.dbname.or(place.database)?)
        .ssl_mode(mode);
    Some(match credentials.sslrootcert {
        Some(pem) if pem.trim_start().starts_with("-----BEGIN") => options.ssl_root_cert_from_pem(pem.into_bytes()),
        Some(path) => options.ssl_root_cert(path),
        None => match authorities::of(options.get_host()) {
            Some(pem) => options.ssl_root_cert_from_pem(pem),
            None => options,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(secret: &str) -> Option<PgConnectOptions> {
        parse(secret, Place::default())
    }

    #[test]
    fn a_url_and_the_form_of_rds_are_read() {
        let url = parsed("postgres://reader:p%40ss@db.example:6543/totesys?sslmode=disable\n").unwrap();
        assert_eq!((url.get_host(), url.get_port(), url.get_username()), ("db.example", 6543, "reader"));
        let json = r#"{"engine":"postgres","host":"db","username":"w","password":"x","dbname":"wh"}"#;
        let rds = parsed(json).unwrap();
        assert_eq!((rds.get_port(), rds.get_database()), (5432, Some("wh")));
        assert!(matches!(rds.get_ssl_mode(), PgSslMode::VerifyFull), "unverified by default");
    }

    #[test]
    fn what_rds_manages_needs_the_place_and_a_secret_that_says_one_is_believed() {
        let managed = r#"{"username":"loader","password":"x"}"#;
        let place =
            || Place { host: Some("wh.id.eu-west-2.rds.amazonaws.com".into()), database: Some("warehouse".into()) };
        let options = parse(managed, place()).unwrap();
        assert_eq!(options.get_host(), "wh.id.eu-west-2.rds.amazonaws.com");
        assert_eq!((options.get_database(), options.get_username()), (Some("warehouse"), "loader"));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull), "unverified by default");
        assert!(parsed(managed).is_none(), "nobody says where it is");
        let own = r#"{"host":"db","username":"w","password":"x","dbname":"wh"}"#;
        assert_eq!(parse(own, place()).unwrap().get_host(), "db");
    }

    #[test]
    fn a_server_of_rds_is_verified_by_its_own_authority_unless_the_secret_names_one() {
        // Options show nothing of it but here.
        let trusts = |secret: &str| format!("{:?}", parsed(secret).unwrap()).contains("ssl_root_cert: Some");
        let json = r#"{"host":"a.b.eu-west-2.rds.amazonaws.com","username":"w","password":"x","dbname":"wh"}"#;
        assert!(trusts(json));
        let url = "postgres://w:x@a.b.us-east-1.rds.amazonaws.com/wh";
        assert!(trusts(url) && trusts(&format!("{url}?sslmode=require")));
        assert!(matches!(parsed(url).unwrap().get_ssl_mode(), PgSslMode::VerifyFull));
        assert!(matches!(parsed(&format!("{url}?sslmode=require")).unwrap().get_ssl_mode(), PgSslMode::Require));
        assert!(!trusts("postgres://w:x@db.example/wh?sslmode=verify-full"));
    }

    #[test]
    fn anything_else_is_refused() {
        for secret in ["", "hunter2", "{}", r#"{"host":"db"}"#, "mysql://x"] {
            assert!(parsed(secret).is_none(), "{secret}");
        }
    }
}
