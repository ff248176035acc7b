//! Where a database is, who logs in there, and how sure it is that it is the one: from a URL, or from the parts of a secret.
//!
//! A server that is not on this machine is verified, its certificate and its name, unless the URL says otherwise in so many
//! words. One that is not verified may be anybody's: it is shown a proof of the password, and never the password
//! ([`super::guard`]).

use std::fmt;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _};
use url::Url;

use super::guard::{Guard, Identity, Wire};
use crate::authorities;

/// A database and a login.
#[derive(Clone)]
pub struct Address {
    options: PgConnectOptions,
    /// How a server that is not verified is spoken to; `None` for one that is.
    unverified: Option<Wire>,
    /// The client's own certificate, as files.
    identity: Option<Identity>,
}

/// Why a text is no address. It shows nothing of the text, which may hold a password wherever it stops making sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another scheme, or no URL.
    #[error("is not a Postgres URL: write postgres://user:password@host:port/database")]
    NoPostgresUrl,
    /// A parameter that is not understood.
    #[error("has a parameter that is not understood: see sslmode, port and host")]
    Parameter,
    /// The server would decide whether it is verified.
    #[error(
        "leaves it to the server whether the connection is encrypted (sslmode=prefer or allow): leave sslmode out to have \
         the server verified, or write sslmode=disable"
    )]
    ServerDecides,
}

impl Address {
    /// Reads a URL as libpq and the driver do: `postgres://user:password@host:port/database?sslmode=verify-full`.
    ///
    /// # Errors
    /// When it is none.
    pub fn of_url(url: &str) -> Result<Self, AddressError> {
        let parsed = url_of(url)?;
        let options: PgConnectOptions = parsed.as_str().parse().map_err(|_| AddressError::Parameter)?;
        let value = |names: &[&str]| {
            parsed.query_pairs().filter(|(name, _)| names.contains(&&**name)).last().map(|(_, value)| value)
        };
        let mode = value(&["sslmode", "ssl-mode"]).map(|_| options.get_ssl_mode());
        let has_root = value(&["sslrootcert", "ssl-root-cert", "ssl-ca"]).is_some();
        let identity = match (value(&["sslcert", "ssl-cert"]), value(&["sslkey", "ssl-key"])) {
            (Some(certificate), Some(key)) => {
                Some(Identity { certificate: (&*certificate).into(), key: (&*key).into() })
            }
            _ => None,
        };
        Ok(Self { identity, ..Self::new(options, mode, has_root)? })
    }

    /// A server of our own, which nobody else can have taken the place of.
    #[must_use]
    pub fn private(options: PgConnectOptions) -> Self {
        let options = options.ssl_mode(PgSslMode::Disable).disable_statement_logging();
        Self { options, unverified: None, identity: None }
    }

    /// The same from parts; `mode` and `has_root` say what was said of them.
    pub(crate) fn new(
        options: PgConnectOptions,
        mode: Option<PgSslMode>,
        has_root: bool,
    ) -> Result<Self, AddressError> {
        let is_here = is_here(&options);
        let unverified = match mode {
            Some(PgSslMode::VerifyFull | PgSslMode::VerifyCa) => None,
            // As libpq: who names an authority wants it asked.
            Some(PgSslMode::Require) if has_root => None,
            Some(PgSslMode::Require) => Some(Wire::Encrypted),
            Some(PgSslMode::Disable) => Some(Wire::Plain),
            None if !is_here => None,
            // As libpq, on a machine where nothing is gained by it.
            None => Some(Wire::EncryptedIfOffered),
            Some(PgSslMode::Prefer | PgSslMode::Allow) if is_here => Some(Wire::EncryptedIfOffered),
            Some(PgSslMode::Prefer | PgSslMode::Allow) => return Err(AddressError::ServerDecides),
        };
        let options = match authorities::of(options.get_host()) {
            Some(pem) if !has_root => options.ssl_root_cert_from_pem(pem),
            _ => options,
        };
        let options = options.ssl_mode(match (&unverified, mode) {
            (Some(_), _) => PgSslMode::Disable,
            (None, Some(PgSslMode::Require)) => PgSslMode::VerifyCa,
            (None, mode) => mode.unwrap_or(PgSslMode::VerifyFull),
        });
        Ok(Self { options: options.disable_statement_logging(), unverified, identity: None })
    }

    /// The same under another name in `pg_stat_activity`.
    #[must_use]
    pub fn named(mut self, application: &str) -> Self {
        self.options = self.options.application_name(application);
        self
    }

    /// Host and port, or the folder of the socket: for messages.
    #[must_use]
    pub fn place(&self) -> String {
        match socket_of(&self.options) {
            Some(folder) => folder.display().to_string(),
            None => format!("{}:{}", self.options.get_host(), self.options.get_port()),
        }
    }

    /// Host, port, user and database, as they were read.
    #[must_use]
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Logs in.
    ///
    /// # Errors
    /// What the server answers; [`sqlx::Error::Tls`] where it is not who it should be, or would have the password.
    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let Some(wire) = self.unverified.filter(|_| !socket_of(&self.options).is_some_and(is_ours)) else {
            return PgConnection::connect_with(&self.options).await;
        };
        let guard = Guard::over(&self.options, wire, self.identity.clone()).await?;
        let connected = PgConnection::connect_with(&guard.options(&self.options)).await;
        connected.map_err(|error| guard.refused().unwrap_or(error))
    }
}

/// The URL of a database as a person wrote it, without the parameters that the driver does not understand: it would log them
/// with their values.
///
/// # Errors
/// When it is none.
pub fn url_of(text: &str) -> Result<Url, AddressError> {
    let text = text.trim();
    let mut url = Url::parse(text).map_err(|_| AddressError::NoPostgresUrl)?;
    let is_postgres = ["postgres://", "postgresql://"].iter().any(|begin| text.starts_with(begin));
    // What a password that is not spelled as in a URL leaves there.
    let is_torn = url.path().contains('@') || url.query_pairs().any(|(name, _)| name.contains('@'));
    if !is_postgres || is_torn {
        return Err(AddressError::NoPostgresUrl);
    }
    retain(&mut url, is_known);
    Ok(url)
}

/// Takes the parameters out of a URL that are not to stay; one whose parameters all do stays as it was written.
pub fn retain(url: &mut Url, stays: impl Fn(&str) -> bool) {
    let kept: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(name, _)| stays(name)).collect();
    if kept.is_empty() {
        url.set_query(None);
    } else if kept.len() < url.query_pairs().count() {
        url.query_pairs_mut().clear().extend_pairs(kept);
    }
}

fn is_known(name: &str) -> bool {
    let ssl =
        ["sslmode", "ssl-mode", "sslrootcert", "ssl-root-cert", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];
    let place = ["host", "hostaddr", "port", "dbname", "user", "password", "application_name", "options"];
    ssl.contains(&name) || place.contains(&name) || name.starts_with("options[") || name == "statement-cache-capacity"
}

/// Without the password, which the driver would show.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { options, unverified, .. } = self;
        write!(
            f,
            "{}@{}/{} ({unverified:?})",
            options.get_username(),
            self.place(),
            options.get_database().unwrap_or_default()
        )
    }
}

/// Whether a server is on this machine: nobody stands in between, though anybody may stand there.
fn is_here(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    socket_of(options).is_some()
        || host == "localhost"
        || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// The folder of the socket that leads to a server, where one does: a secret names it in place of a host.
pub(super) fn socket_of(options: &PgConnectOptions) -> Option<&Path> {
    let host = Some(options.get_host()).filter(|host| host.starts_with('/')).map(Path::new);
    options.get_socket().map(PathBuf::as_path).or(host)
}

/// Whether nobody but root and ourselves can have made a socket in that folder.
fn is_ours(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|folder| {
        let is_of_us = [0, rustix::process::geteuid().as_raw()].contains(&folder.uid());
        is_of_us && folder.mode() & 0o022 == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Address {
        Address::of_url(url).unwrap_or_else(|error| panic!("{url} {error}"))
    }

    fn mode(url: &str) -> (PgSslMode, Option<Wire>) {
        let address = read(url);
        (address.options.get_ssl_mode(), address.unverified)
    }

    #[test]
    fn a_server_elsewhere_is_verified_unless_the_url_says_otherwise_in_so_many_words() {
        for url in [
            "postgres://me:pw@db.example/d",
            "postgresql://me:pw@10.0.0.1:6543/d?application_name=x",
            // It is not said in the password.
            "postgres://me:sslmode=disable@db.example/d",
            "postgres://me:pw@db.example/d?options=sslmode%3Ddisable",
            "postgres://me:pw@localhost.example/d?sslmode=verify-full",
            "postgres://me:pw@d.c.eu-west-2.rds.amazonaws.com/d",
        ] {
            assert!(matches!(mode(url), (PgSslMode::VerifyFull, None)), "{url}");
        }
        assert!(matches!(mode("postgres://me@db.example/d?sslmode=verify-ca"), (PgSslMode::VerifyCa, None)));
        assert!(matches!(mode("postgres://me@db.example/d?sslmode=require"), (_, Some(Wire::Encrypted))));
        let named = "postgres://me@db.example/d?sslmode=require&sslrootcert=ca.pem";
        assert!(matches!(mode(named), (PgSslMode::VerifyCa, None)));
        assert!(matches!(mode("postgres://me@db.example/d?sslmode=disable"), (_, Some(Wire::Plain))));
    }

    #[test]
    fn a_server_here_is_not_verified() {
        for url in [
            "postgres://me:pw@localhost/d",
            "postgres://me:pw@127.0.0.1:5433/d?sslmode=prefer",
            "postgres://me:pw@[::1]/d",
            "postgres://me:pw@db.example/d?host=/var/run/postgresql",
            "postgres://me:pw@%2Ftmp/d",
        ] {
            assert!(matches!(mode(url), (PgSslMode::Disable, Some(Wire::EncryptedIfOffered))), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_shown() {
        for (url, error) in [
            ("mysql://me:hunter2@db/d", AddressError::NoPostgresUrl),
            ("hunter2", AddressError::NoPostgresUrl),
            ("postgres:me:hunter2@db/d", AddressError::NoPostgresUrl),
            ("postgres://me:12?hunter2@db/d", AddressError::NoPostgresUrl),
            ("postgres://me:12/hunter2@db/d", AddressError::NoPostgresUrl),
            ("postgres://me:hunter2@[db/d", AddressError::NoPostgresUrl),
            ("postgres://me:hunter2@db/d?sslmode=sometimes", AddressError::Parameter),
            ("postgres://me:hunter2@db/d?sslmode=prefer", AddressError::ServerDecides),
            ("postgres://me:hunter2@db/d?sslmode=allow", AddressError::ServerDecides),
        ] {
            assert_eq!(Address::of_url(url).unwrap_err(), error, "{url}");
            assert!(!error.to_string().contains("hunter2"));
        }
        let shown = format!("{:?}", read("postgres://me:hunter2@db.example:6543/d"));
        assert_eq!(shown, "me@db.example:6543/d (None)");
    }

    #[test]
    fn a_place_is_a_host_and_port_or_the_folder_of_a_socket() {
        for (url, place) in [
            ("postgres://me:hunter2@db.example:6543/db", "db.example:6543"),
            ("postgres://me@localhost/db?host=/run/postgres", "/run/postgres"),
            ("postgres://me@%2Frun%2Fpostgres/db", "/run/postgres"),
        ] {
            assert_eq!(read(url).place(), place);
        }
        let of_parts = PgConnectOptions::new_without_pgpass().host("/run/postgres");
        assert_eq!(Address::private(of_parts).place(), "/run/postgres");
    }

    #[test]
    fn a_user_name_leads_nowhere_else() {
        let address = read("postgres://me%40evil.example%3A5432%2F:pw@db.example/d");
        assert_eq!(
            (address.options.get_host(), address.options.get_username()),
            ("db.example", "me@evil.example:5432/")
        );
    }

    #[test]
    fn a_server_of_rds_is_verified_by_its_own_authority_unless_the_url_names_one() {
        // Options show nothing of it but here.
        let trusts = |url: &str| format!("{:?}", read(url).options).contains("ssl_root_cert: Some");
        assert!(trusts("postgres://w:x@a.b.us-east-1.rds.amazonaws.com/wh"));
        assert!(!trusts("postgres://w:x@db.example/wh"));
    }
}
