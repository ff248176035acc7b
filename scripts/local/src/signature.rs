//! Who signed a request: AWS Signature Version 4, computed again with the secret of whoever it claims to be from.
//! (The lake's requests are verified by the S3 server itself.)

use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use axum::http::request::Parts;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

use crate::clock;
use crate::credentials::Credentials;

/// How far the signer's clock may be off.
const MAX_SKEW: TimeDelta = TimeDelta::minutes(5);
/// What the signer adds by itself.
const OWN_HEADERS: [&str; 2] = ["host", "x-amz-date"];

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsigned {
    /// It carries no signature.
    Missing,
    /// Nobody has that access key.
    UnknownKey,
    /// Signed with another secret, over another request, or too long ago.
    Mismatch,
}

impl Unsigned {
    /// What AWS says of it, whatever the service; each has a code of its own.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Missing => "Missing Authentication Token",
            Self::UnknownKey => "The security token included in the request is invalid.",
            Self::Mismatch => "The request signature we calculated does not match the signature you provided.",
        }
    }
}

/// The identity that signed a request.
pub(crate) fn signer(credentials: &Credentials, parts: &Parts, body: &[u8]) -> Result<String, Unsigned> {
    let claim = Claim::of(parts).ok_or(Unsigned::Missing)?;
    let secret = credentials.secret(claim.key).ok_or(Unsigned::UnknownKey)?;
    if clock::now().signed_duration_since(claim.at).abs() > MAX_SKEW {
        return Err(Unsigned::Mismatch);
    }
    let computed = claim.signature_with(secret, parts, body).ok_or(Unsigned::Mismatch)?;
    // Compared as digests: how long that takes tells nothing of the right signature.
    let digest = |text: &str| catalog::digest::hex(text.as_bytes());
    if digest(&computed) == digest(claim.signature) { Ok(claim.key.to_owned()) } else { Err(Unsigned::Mismatch) }
}

/// What the Authorization header says.
struct Claim<'c> {
    key: &'c str,
    region: &'c str,
    service: &'c str,
    headers: Vec<&'c str>,
    signature: &'c str,
    at: DateTime<Utc>,
}

impl<'c> Claim<'c> {
    fn of(parts: &'c Parts) -> Option<Self> {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let members = header("authorization")?.strip_prefix("AWS4-HMAC-SHA256")?;
        let member = |name: &str| members.split(',').find_map(|member| member.trim().strip_prefix(name));
        // key/day/region/service/aws4_request
        let mut scope = member("Credential=")?.split('/');
        let (key, _, region, service) = (scope.next()?, scope.next()?, scope.next()?, scope.next()?);
        let at = NaiveDateTime::parse_from_str(header("x-amz-date")?, "%Y%m%dT%H%M%SZ").ok()?.and_utc();
        let headers = member("SignedHeaders=")?.split(';').collect();
        Some(Self { key, region, service, headers, signature: member("Signature=")?, at })
    }

    fn signature_with(&self, secret: &str, parts: &Parts, body: &[u8]) -> Option<String> {
        let identity = aws_sdk_sfn::config::Credentials::new(self.key, secret, None, None, "datadetox").into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(SystemTime::from(self.at))
            .settings(SigningSettings::default());
        let host = parts.headers.get("host")?.to_str().ok()?;
        let uri = format!("http://{host}{}", parts.uri.path_and_query()?);
        let headers = self.headers.iter().filter(|name| !OWN_HEADERS.contains(name));
        let headers = headers.map(|name| Some((*name, parts.headers.get(*name)?.to_str().ok()?)));
        let headers: Vec<(&str, &str)> = headers.collect::<Option<_>>()?;
        let request =
            SignableRequest::new(parts.method.as_str(), uri, headers.into_iter(), SignableBody::Bytes(body)).ok()?;
        let signed = sign(request, &params.build().ok()?.into()).ok()?;
        Some(signed.signature().to_owned())
    }
}
