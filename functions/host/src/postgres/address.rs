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
    /// What a password leaves that is not spelled as in a URL: a host, a port or a name that is none.
    #[error(
        "cannot be read: write postgres://user:password@host:port/database, and in user and password %23 for #, %2F for /, \
         %3F for ?, %40 for @, %3A for : and %25 for %"
    )]
    Torn,
    /// A parameter that is not understood.
    #[error("has a parameter {0} that is not understood")]
    Parameter(&'static str),
    /// No way to verify a server.
    #[error(
        "has an sslmode that is none: write sslmode=verify-full, verify-ca, require or disable, or leave it out to have the \
         server verified"
    )]
    SslMode,
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
        refuse_parameters(&parsed)?;
        // Of what is left, the driver takes no text that is not UTF-8.
        let options: PgConnectOptions = parsed.as_str().parse().map_err(|_| AddressError::Torn)?;
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

    /// Whether a password was given, or found in `PGPASSWORD` or `~/.pgpass`.
    pub(super) fn has_password(&self) -> bool {
        // Options show it in a URL alone, and make none of every name.
        let url = self.options.clone().username("user").host("host").to_url_lossy();
        url.password().is_some()
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
    if !["postgres://", "postgresql://"].iter().any(|begin| text.starts_with(begin)) {
        return Err(AddressError::NoPostgresUrl);
    }
    let mut url = Url::parse(text).map_err(|_| AddressError::Torn)?;
    let is_torn = url.path().contains('@')
        || url.query_pairs().any(|(name, _)| name.contains('@'))
        || url.fragment().is_some()
        || !url.host_str().is_none_or(is_host);
    if is_torn {
        return Err(AddressError::Torn);
    }
    retain(&mut url, is_known);
    Ok(url)
}

/// Whether a host may be called so: by a name, a number, or the folder of a socket.
fn is_host(host: &str) -> bool {
    let is_socket = host.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case("%2f"));
    is_socket
        || host.starts_with('[')
        || host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

/// By its name: the driver would quote the value, which may be a password that took another one's place.
fn refuse_parameters(url: &Url) -> Result<(), AddressError> {
    for (name, value) in url.query_pairs() {
        match &*name {
            "sslmode" | "ssl-mode" if value.parse::<PgSslMode>().is_err() => return Err(AddressError::SslMode),
            "port" if value.parse::<u16>().is_err() => return Err(AddressError::Parameter("port")),
            "hostaddr" if value.parse::<IpAddr>().is_err() => return Err(AddressError::Parameter("hostaddr")),
            "statement-cache-capacity" if value.parse::<usize>().is_err() => {
                return Err(AddressError::Parameter("statement-cache-capacity"));
            }
            _ => {}
        }
    }
    Ok(())
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
            ("postgres://me:12?hunter2@db/d", AddressError::Torn),
            ("postgres://me:12/hunter2@db/d", AddressError::Torn),
            ("postgres://me:12#hunter2@db/d", AddressError::Torn),
            ("postgres://me:p?hunter2@db/d", AddressError::Torn),
            ("postgres://me:p/hunter2@db/d", AddressError::Torn),
            ("postgres://me:p#hunter2@db/d", AddressError::Torn),
            ("postgres://me#hunter2@db/d", AddressError::Torn),
            ("postgres://me:hunter2%ff@db/d", AddressError::Torn),
            ("postgres://me:hunter2@[db/d", AddressError::Torn),
            ("postgres://me:hunter2@d,b/d", AddressError::Torn),
            ("postgres://me:hunter2@d%20b/d", AddressError::Torn),
            ("postgres://me:hunter2@db/d?sslmode=hunter2", AddressError::SslMode),
            ("postgres://me:hunter2@db/d?port=hunter2", AddressError::Parameter("port")),
            ("postgres://me:hunter2@db/d?hostaddr=db", AddressError::Parameter("hostaddr")),
            ("postgres://me:hunter2@db/d?sslmode=prefer", AddressError::ServerDecides),
            ("postgres://me:hunter2@db/d?sslmode=allow", AddressError::ServerDecides),
        ] {
            assert_eq!(Address::of_url(url).unwrap_err(), error, "{url}");
            assert!(!error.to_string().contains("hunter2"));
        }
        assert!(AddressError::SslMode.to_string().contains("sslmode=verify-full, verify-ca, require or disable"));
        // The last @ is the one before the host.
        assert_eq!(read("postgres://me:p@hunter2@db.example/d").place(), "db.example:5432");
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
    fn that_a_password_was_given_is_known_whatever_the_rest_is_called() {
        for url in [
            "postgres://me:hunter2@db.example/d",
            "postgres://db.example/d?password=hunter2&user=me",
            "postgres://me%40evil%3A5432%2F:hunter2@[::1]/d%2F",
            "postgres://me:hunter2@%2Frun%2Fpostgres/d?sslmode=disable",
        ] {
            assert!(read(url).has_password(), "{url}");
        }
        let of_parts = PgConnectOptions::new_without_pgpass().host("/run/a folder").username("a:b@c").password("x");
        assert!(Address::private(of_parts).has_password());
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
