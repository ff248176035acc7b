//! Database credentials from the secret store. They pass from its answer into the connection and are kept nowhere.

use aws_sdk_secretsmanager::error::{DisplayErrorContext, SdkError};
use catalog::{Error, Fault, Result};
use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::postgres::Side;

/// The form in which RDS keeps credentials, and the members that people add to it.
#[derive(Deserialize)]
struct Credentials {
    host: String,
    #[serde(default = "default_port")]
    port: u16,
    username: String,
    password: String,
    #[serde(alias = "database")]
    dbname: String,
    /// As libpq names them. Without one the server's certificate and name are verified.
    #[serde(default = "default_sslmode")]
    sslmode: String,
    /// The authority that signed the server's certificate, where the system does not know it: RDS has its own. The text
    /// of the PEM file, or the path of one in the function's package.
    sslrootcert: Option<String>,
}

fn default_port() -> u16 {
    5432
}

fn default_sslmode() -> String {
    "verify-full".to_owned()
}

/// Reads the secret `id`: a Postgres URL or the JSON object of RDS.
pub(crate) async fn read(aws: &aws_config::SdkConfig, side: Side, id: &str) -> Result<PgConnectOptions> {
    let client = aws_sdk_secretsmanager::Client::new(aws);
    let answer = client.get_secret_value().secret_id(id).send().await.map_err(|error| {
        let fault = match &error {
            SdkError::ServiceError(context) if context.raw().status().is_client_error() => Fault::Misconfigured,
            _ => Fault::SecretUnavailable,
        };
        Error::new(fault, format!("cannot read the secret {id} of the {side}: {}", DisplayErrorContext(&error)))
    })?;
    answer.secret_string().and_then(parse).ok_or_else(|| {
        // Nothing of its content may be shown, not even where it stops making sense.
        let form = "a Postgres URL, or a JSON object with host, username, password and dbname";
        Error::new(Fault::Misconfigured, format!("the secret {id} of the {side} is not {form}"))
    })
}

fn parse(secret: &str) -> Option<PgConnectOptions> {
    let secret = secret.trim();
    if secret.starts_with("postgres://") || secret.starts_with("postgresql://") {
        return secret.parse().ok();
    }
    let credentials: Credentials = serde_json::from_str(secret).ok()?;
    let mode: PgSslMode = credentials.sslmode.parse().ok()?;
    let options = PgConnectOptions::new_without_pgpass()
        .host(&credentials.host)
        .port(credentials.port)
        .username(&credentials.username)
        .password(&credentials.password)
        .database(&credentials.dbname)
        .ssl_mode(mode);
    Some(match credentials.sslrootcert {
        Some(pem) if pem.trim_start().starts_with("-----BEGIN") => options.ssl_root_cert_from_pem(pem.into_bytes()),
        Some(path) => options.ssl_root_cert(path),
        None => options,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_and_the_form_of_rds_are_read() {
        let url = parse("postgres://reader:p%40ss@db.example:6543/totesys?sslmode=disable\n").unwrap();
        assert_eq!((url.get_host(), url.get_port(), url.get_username()), ("db.example", 6543, "reader"));
        let json = r#"{"engine":"postgres","host":"db","username":"w","password":"x","dbname":"wh"}"#;
        let rds = parse(json).unwrap();
        assert_eq!((rds.get_port(), rds.get_database()), (5432, Some("wh")));
        assert!(matches!(rds.get_ssl_mode(), PgSslMode::VerifyFull), "unverified by default");
    }

    #[test]
    fn anything_else_is_refused() {
        for secret in ["", "hunter2", "{}", r#"{"host":"db"}"#, "mysql://x"] {
            assert!(parse(secret).is_none(), "{secret}");
        }
    }
}
