//! For the fuzzer alone: a signature as it stands in a request, read, refused, made anew and held against a changed request.

use axum::http::HeaderValue;
use axum::http::request::Parts;

use super::refused::{Protocol, Refused};
use super::signature::Claim;
use crate::credentials::Credentials;

/// Whose the requests are said to be, and what he signs with.
const KEY: &str = "operator";
const SECRET: &str = "no input knows it";

/// Reads what a request to S3, or to a service that speaks JSON, says of its signature.
///
/// # Panics
/// When the door would let it in, or what was signed with the right secret is not what is let in.
pub fn probe(mut parts: Parts, body: &[u8], is_s3: bool) {
    let (protocol, service, body) =
        if is_s3 { (Protocol::S3, "s3", None) } else { (Protocol::Json, "states", Some(body)) };
    let Ok(claim) = Claim::of(&parts, protocol) else { return };
    let credentials = Credentials::of(KEY, SECRET);
    let Ok(secret) = claim.check(&credentials, &parts, service, claim.time()) else { return };
    assert_eq!(claim.verify(secret, &parts, body), Err(Refused::Mismatch), "signed without the secret");
    let Some(signed) = claim.signed_with(secret, &parts, body) else { return };
    assert_eq!(signed.verify(secret, &parts, body), Ok(()), "signed with the secret");
    if let Some(body) = body {
        let other = [body, b" "].concat();
        assert_eq!(signed.verify(secret, &parts, Some(&other)), Err(Refused::Mismatch), "over another body");
    }
    parts.headers.insert("host", HeaderValue::from_static("elsewhere"));
    assert_eq!(signed.verify(secret, &parts, body), Err(Refused::Mismatch), "for another host");
}
