//! Database credentials from the secret store. They pass from its answer into the connection and are kept nowhere.

use aws_sdk_secretsmanager::error::SdkError;
use catalog::{Error, Fault, Result, Side};
use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::answer::cause;
use crate::postgres::{Address, AddressError};
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
    sslmode: Option<String>,
    /// The authority that signed the server's certificate, where neither the system nor [`authorities`] knows it. The
    /// text of the PEM file, or the path of one in the function's package.
    sslrootcert: Option<String>,
}

fn default_port() -> u16 {
    5432
}

/// Why a secret is no address. Nothing of its content may be shown, not even where it stops making sense.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error(
        "is neither a Postgres URL (postgres://user:password@host:port/database), nor a JSON object with host, username, password and dbname"
    )]
    NeitherForm,
    #[error("names no host or no database, and no setting of the function does")]
    NoPlace,
    #[error("{0}")]
    Address(#[from] AddressError),
}

/// Reads the secret `id`: a Postgres URL or the JSON object of RDS. What the secret does not say of the database's place
/// follows from `place`.
pub(crate) async fn read(aws: &aws_config::SdkConfig, side: Side, id: &str, place: Place) -> Result<Address> {
    let client = aws_sdk_secretsmanager::Client::new(aws);
    let answer = client.get_secret_value().secret_id(id).send().await.map_err(|error| {
        let fault = match &error {
            SdkError::ServiceError(context) if context.raw().status().is_client_error() => Fault::Misconfigured,
            _ => Fault::SecretUnavailable,
        };
        Error::because(fault, format!("cannot read the secret {id} of the {side}"), cause(error))
    })?;
    parse(answer.secret_string().unwrap_or_default(), place)
        .map_err(|unread| Error::new(Fault::Misconfigured, format!("the secret {id} of the {side} {unread}")))
}

fn parse(secret: &str, place: Place) -> Result<Address, Unread> {
    let secret = secret.trim();
    if !secret.starts_with('{') {
        return Address::of_url(secret).map_err(|error| match error {
            AddressError::NoPostgresUrl => Unread::NeitherForm,
            error => Unread::Address(error),
        });
    }
    let credentials: Credentials = serde_json::from_str(secret).map_err(|_| Unread::NeitherForm)?;
    let mode = match credentials.sslmode {
        Some(mode) => Some(mode.parse().map_err(|_| AddressError::SslMode)?),
        // Wherever it is: RDS has a certificate.
        None => Some(PgSslMode::VerifyFull),
    };
    let options = PgConnectOptions::new_without_pgpass()
        .host(&credentials.host.or(place.host).ok_or(Unread::NoPlace)?)
        .port(credentials.port)
        .username(&credentials.username)
        .password(&credentials.password)
        .database(&credentials.dbname.or(place.database).ok_or(Unread::NoPlace)?);
    let has_root = credentials.sslrootcert.is_some();
    let options = match credentials.sslrootcert {
        Some(pem) if pem.trim_start().starts_with("-----BEGIN") => options.ssl_root_cert_from_pem(pem.into_bytes()),
        Some(path) => options.ssl_root_cert(path),
        None => options,
    };
    Ok(Address::new(options, mode, has_root)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(secret: &str) -> Option<PgConnectOptions> {
        parse(secret, Place::default()).ok().map(|address| address.options().clone())
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
        let address = parse(managed, place()).unwrap();
        let options = address.options();
        assert_eq!(options.get_host(), "wh.id.eu-west-2.rds.amazonaws.com");
        assert_eq!((options.get_database(), options.get_username()), (Some("warehouse"), "loader"));
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull), "unverified by default");
        assert!(matches!(parse(managed, Place::default()), Err(Unread::NoPlace)), "nobody says where it is");
        let own = r#"{"host":"db","username":"w","password":"x","dbname":"wh"}"#;
        assert_eq!(parse(own, place()).unwrap().options().get_host(), "db");
    }

    #[test]
    fn a_server_of_rds_is_verified_by_its_own_authority_unless_the_secret_names_one() {
        // Options show nothing of it but here.
        let trusts = |secret: &str| format!("{:?}", parsed(secret).unwrap()).contains("ssl_root_cert: Some");
        assert!(trusts(r#"{"host":"a.b.eu-west-2.rds.amazonaws.com","username":"w","password":"x","dbname":"wh"}"#));
        assert!(!trusts(r#"{"host":"db","username":"w","password":"x","dbname":"wh"}"#));
    }

    #[test]
    fn anything_else_is_refused() {
        for secret in ["", "hunter2", "{}", r#"{"host":"db"}"#, "mysql://x"] {
            assert!(matches!(parse(secret, Place::default()), Err(Unread::NeitherForm)), "{secret}");
        }
        let unknown = r#"{"host":"db","username":"w","password":"x","dbname":"wh","sslmode":"hunter2"}"#;
        assert!(matches!(parse(unknown, Place::default()), Err(Unread::Address(AddressError::SslMode))));
        let torn = "postgres://me:hunter#2@db/d";
        assert!(matches!(parse(torn, Place::default()), Err(Unread::Address(AddressError::Torn))));
        let prefers = r#"{"host":"db","username":"w","password":"x","dbname":"wh","sslmode":"prefer"}"#;
        assert!(matches!(parse(prefers, Place::default()), Err(Unread::Address(AddressError::ServerDecides))));
    }
}
