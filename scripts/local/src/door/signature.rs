//! Who signed a request: AWS Signature Version 4, in the headers or, for S3, in the address, read and held against what AWS
//! holds it against, and computed again with the secret of whoever it claims to be from.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4::SigningParams;
use axum::http::request::Parts;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use subtle::ConstantTimeEq as _;

use super::refused::{Protocol, Refused};
use crate::credentials::{Credentials, REGION};

/// How far the signer's clock may be off.
const MAX_SKEW: TimeDelta = TimeDelta::minutes(5);
/// How long an address may be signed for, in seconds: a week.
const MAX_EXPIRES: u32 = 604_800;
/// The only kind of signature.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The end of every scope.
const TERMINATOR: &str = "aws4_request";
/// How a time is written.
const DATE: &str = "%Y%m%dT%H%M%SZ";
/// What S3 leaves as it is in a path.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// The members of a signed address that are no part of what is asked.
const MEMBERS: [&str; 6] =
    ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"];

/// What a request says of its signature.
#[derive(Debug)]
pub(super) struct Claim {
    /// The access key.
    pub(super) key: String,
    scope: Scope,
    headers: Vec<String>,
    signature: String,
    /// As it was said, and what it means.
    date: String,
    at: DateTime<Utc>,
    /// For how long, where it stands in the address.
    expires: Option<u32>,
    is_s3: bool,
}

/// `day/region/service/aws4_request`.
#[derive(Debug)]
struct Scope {
    day: String,
    region: String,
    service: String,
    terminator: String,
}

/// The one value of a header.
fn header<'p>(parts: &'p Parts, name: &str) -> Option<&'p str> {
    let mut values = parts.headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

impl Claim {
    pub(super) fn of(parts: &Parts, protocol: Protocol) -> Result<Self, Refused> {
        let is_s3 = protocol == Protocol::S3;
        let query: Vec<(Cow<'_, str>, Cow<'_, str>)> =
            form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).collect();
        let has = |wanted: &str| query.iter().any(|(name, _)| name == wanted);
        let is_signed_before = has("Signature") || has("AWSAccessKeyId");
        let is_signed_in_query = is_s3 && (has("X-Amz-Signature") || has("X-Amz-Algorithm"));
        let in_header = parts.headers.get_all("authorization").iter().count();
        match (in_header + usize::from(is_signed_before) + usize::from(is_signed_in_query), in_header) {
            (0, _) => Err(Refused::Unsigned),
            (1, 1) => Self::in_header(parts, is_s3),
            (1, _) if is_signed_in_query => Self::in_query(&query),
            (1, _) => Err(Refused::Unsupported),
            _ => Err(Refused::Twice),
        }
    }

    fn in_header(parts: &Parts, is_s3: bool) -> Result<Self, Refused> {
        let malformed = |what: &str| Refused::Incomplete(format!("The authorization header is malformed: {what}"));
        let text = header(parts, "authorization").ok_or_else(|| malformed("it is no text"))?;
        let members = text.strip_prefix(ALGORITHM).filter(|members| members.starts_with(' '));
        let members = members.ok_or(Refused::Unsupported)?;
        let mut said = BTreeMap::new();
        for member in members.split(',') {
            let (name, value) = member.trim().split_once('=').ok_or_else(|| malformed("a member has no value"))?;
            if said.insert(name, value).is_some() {
                return Err(malformed(&format!("'{name}' is there twice")));
            }
        }
        let mut member = |name: &str| {
            let missing = || malformed(&format!("Authorization header requires '{name}' parameter"));
            said.remove(name).map(str::to_owned).ok_or_else(missing)
        };
        let (credential, headers, signature) = (member("Credential")?, member("SignedHeaders")?, member("Signature")?);
        let date = header(parts, "x-amz-date");
        let date = date.ok_or_else(|| malformed("it requires the existence of one 'X-Amz-Date' header"))?;
        Self::read(&credential, &headers, signature, date, is_s3).ok_or_else(|| malformed("it cannot be read"))
    }

    fn in_query(query: &[(Cow<'_, str>, Cow<'_, str>)]) -> Result<Self, Refused> {
        let malformed = |what: &str| Refused::IncompleteQuery(what.to_owned());
        let member = |wanted: &str| {
            let mut values = query.iter().filter(|(name, _)| name == wanted).map(|(_, value)| &**value);
            let value = values.next().filter(|_| values.next().is_none());
            value.ok_or_else(|| malformed(&format!("Query-string authentication version 4 requires one {wanted}")))
        };
        if member("X-Amz-Algorithm")? != ALGORITHM {
            return Err(malformed("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
        }
        let expires: u32 =
            member("X-Amz-Expires")?.parse().map_err(|_| malformed("X-Amz-Expires should be a number"))?;
        if !(1..=MAX_EXPIRES).contains(&expires) {
            return Err(malformed("X-Amz-Expires must be between 1 second and a week (604800 seconds)"));
        }
        let signature = member("X-Amz-Signature")?.to_owned();
        let (credential, headers) = (member("X-Amz-Credential")?, member("X-Amz-SignedHeaders")?);
        let claim = Self::read(credential, headers, signature, member("X-Amz-Date")?, true);
        let claim = claim.ok_or_else(|| malformed("X-Amz-Credential or X-Amz-Date cannot be read"))?;
        Ok(Self { expires: Some(expires), ..claim })
    }

    fn read(credential: &str, headers: &str, signature: String, date: &str, is_s3: bool) -> Option<Self> {
        let at = NaiveDateTime::parse_from_str(date, DATE).ok()?.and_utc();
        // The parser takes more than this one way to write it.
        let date = Some(date.to_owned()).filter(|date| at.format(DATE).to_string() == *date)?;
        let [key, day, region, service, terminator] =
            credential.split('/').map(str::to_owned).collect::<Vec<_>>().try_into().ok()?;
        let headers = headers.split(';').map(str::to_owned).collect();
        let scope = Scope { day, region, service, terminator };
        Some(Self { key, scope, headers, signature, date, at, expires: None, is_s3 })
    }

    /// Whether it may count for a request to that service now. Gives the secret that it has to be made with.
    pub(super) fn check<'c>(
        &self,
        credentials: &'c Credentials,
        parts: &Parts,
        service: &str,
        now: DateTime<Utc>,
    ) -> Result<&'c str, Refused> {
        let secret = credentials.secret(&self.key).ok_or(Refused::UnknownKey)?;
        if parts.headers.contains_key("x-amz-security-token") {
            return Err(Refused::Token);
        }
        self.check_scope(service)?;
        self.check_time(now)?;
        let is_covered = |name: &str| self.headers.iter().any(|signed| signed == name);
        if self.is_s3 && self.expires.is_none() && header(parts, "x-amz-content-sha256").is_none() {
            return Err(Refused::NoDigest);
        }
        let counts = |name: &&str| *name == "host" || name.starts_with("x-amz-");
        match parts.headers.keys().map(axum::http::HeaderName::as_str).filter(counts).find(|name| !is_covered(name)) {
            Some(name) => Err(Refused::NotCovered(name.to_owned())),
            None => Ok(secret),
        }
    }

    fn check_scope(&self, service: &str) -> Result<(), Refused> {
        let Scope { day, region, service: signed_for, terminator } = &self.scope;
        let today = self.at.format("%Y%m%d").to_string();
        let wrong = if *day != today {
            format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{day}' != '{today}'"
            )
        } else if region != REGION {
            format!(
                "Credential should be scoped to a valid region: the region '{region}' is wrong; expecting '{REGION}'"
            )
        } else if signed_for != service {
            format!("Credential should be scoped to correct service: '{service}'")
        } else if terminator != TERMINATOR {
            format!("Credential should be scoped with a valid terminator: '{TERMINATOR}'")
        } else {
            return Ok(());
        };
        Err(if self.expires.is_some() { Refused::ScopeQuery(wrong) } else { Refused::Scope(wrong) })
    }

    fn check_time(&self, now: DateTime<Utc>) -> Result<(), Refused> {
        let age = now.signed_duration_since(self.at);
        let date = &self.date;
        if age < -MAX_SKEW {
            return Err(Refused::Skewed(format!("Signature not yet current: {date} is more than 5 min. ahead")));
        }
        match self.expires {
            Some(expires) if age > TimeDelta::seconds(expires.into()) => Err(Refused::Expired),
            None if age > MAX_SKEW => {
                Err(Refused::Skewed(format!("Signature expired: {date} is more than 5 min. ago")))
            }
            _ => Ok(()),
        }
    }

    /// Whether it was made with that secret, over this request. What S3 is to believe of a body is its digest in the header.
    pub(super) fn verify(&self, secret: &str, parts: &Parts, body: Option<&[u8]>) -> Result<(), Refused> {
        let computed = self.signature_with(secret, parts, body).ok_or(Refused::Mismatch)?;
        let is_right: bool = computed.as_bytes().ct_eq(self.signature.as_bytes()).into();
        if is_right { Ok(()) } else { Err(Refused::Mismatch) }
    }

    /// When it was made, as it says.
    #[cfg(fuzzing)]
    pub(super) fn time(&self) -> DateTime<Utc> {
        self.at
    }

    /// The same claim with the signature that the secret makes; `None` where the request cannot be signed.
    #[cfg(fuzzing)]
    pub(super) fn signed_with(self, secret: &str, parts: &Parts, body: Option<&[u8]>) -> Option<Self> {
        let signature = self.signature_with(secret, parts, body)?;
        Some(Self { signature, ..self })
    }

    fn signature_with(&self, secret: &str, parts: &Parts, body: Option<&[u8]>) -> Option<String> {
        let identity = aws_sdk_sfn::config::Credentials::new(&self.key, secret, None, None, "datadetox").into();
        let mut settings = SigningSettings::default();
        // Every header that is said to be signed is.
        settings.excluded_headers = None;
        if self.is_s3 {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        if let Some(expires) = self.expires {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(Duration::from_secs(expires.into()));
        }
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.scope.region)
            .name(&self.scope.service)
            .time(SystemTime::from(self.at))
            .settings(settings);
        let mut headers = Vec::new();
        // The date is added by whoever signs.
        for name in self.headers.iter().filter(|name| *name != "x-amz-date") {
            for value in parts.headers.get_all(name) {
                headers.push((name.as_str(), value.to_str().ok()?));
            }
        }
        let body = match (body, self.expires) {
            (Some(body), _) => SignableBody::Bytes(body),
            (None, Some(_)) => SignableBody::UnsignedPayload,
            (None, None) => SignableBody::Precomputed(header(parts, "x-amz-content-sha256")?.to_owned()),
        };
        let uri = format!("http://{}{}", header(parts, "host")?, self.target(parts));
        let request = SignableRequest::new(parts.method.as_str(), uri, headers.into_iter(), body).ok()?;
        let signed = sign(request, &params.build().ok()?.into()).ok()?;
        Some(signed.signature().to_owned())
    }

    /// Path and query as they are signed.
    fn target(&self, parts: &Parts) -> String {
        let path = parts.uri.path();
        let path = if self.is_s3 {
            let decoded = percent_decode_str(path).decode_utf8_lossy();
            Cow::Owned(utf8_percent_encode(&decoded, IN_PATH).to_string())
        } else {
            Cow::Borrowed(path)
        };
        let query = parts.uri.query().unwrap_or_default();
        let asks =
            |member: &&str| self.expires.is_none() || !MEMBERS.contains(&member.split('=').next().unwrap_or_default());
        let asked = query.split('&').filter(asks).collect::<Vec<_>>().join("&");
        if asked.is_empty() { path.into_owned() } else { format!("{path}?{asked}") }
    }
}
