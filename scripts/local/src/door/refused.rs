//! What the door says to a request that it does not let in: in the words of AWS, as the service speaks that was asked.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::body::Broken;

/// How a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// The AWS JSON protocols: Step Functions, Secrets Manager.
    Json,
    /// Forms in, XML out: SNS.
    Query,
    /// S3.
    S3,
    /// No protocol of AWS' with errors of its own.
    Plain,
}

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is for another machine, by its name.
    ForeignHost,
    /// A page asks that is not the service's own.
    ForeignPage,
    /// It carries no signature.
    Unsigned,
    /// It carries one of another kind than version 4.
    Unsupported,
    /// It carries more than one.
    Twice,
    /// The signature cannot be read.
    Incomplete(String),
    /// The same of one in an address.
    IncompleteQuery(String),
    /// Nobody has that access key.
    UnknownKey,
    /// It carries a session token, of which none was given.
    Token,
    /// It is signed for another day, region or service.
    Scope(String),
    /// The same of one in an address.
    ScopeQuery(String),
    /// The signer's clock is too far off.
    Skewed(String),
    /// The address was signed for a time that is over.
    Expired,
    /// Something that counts is not signed.
    NotCovered(String),
    /// S3 wants the body's digest signed.
    NoDigest,
    /// Signed with another secret, or over another request.
    Mismatch,
    /// The body is no JSON, or nests too deep.
    NoJson(String),
    /// The body could not be read.
    Body(Broken),
}

impl Refused {
    /// What AWS says of it.
    fn message(&self) -> String {
        match self {
            Self::ForeignHost => "this service answers requests to 127.0.0.1 and localhost alone".to_owned(),
            Self::ForeignPage => "this service answers no pages of other sites".to_owned(),
            Self::Unsigned => "Missing Authentication Token".to_owned(),
            Self::Unsupported => "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.".to_owned(),
            Self::Twice => "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified".to_owned(),
            Self::Incomplete(what)
            | Self::IncompleteQuery(what)
            | Self::Scope(what)
            | Self::ScopeQuery(what)
            | Self::Skewed(what)
            | Self::NoJson(what) => what.clone(),
            Self::UnknownKey | Self::Token => "The security token included in the request is invalid.".to_owned(),
            Self::Expired => "Request has expired".to_owned(),
            Self::NotCovered(header) => {
                format!("There were headers present in the request which were not signed: {header}")
            }
            Self::NoDigest => "Missing required header for this request: x-amz-content-sha256".to_owned(),
            Self::Mismatch => {
                "The request signature we calculated does not match the signature you provided.".to_owned()
            }
            Self::Body(broken) => broken.to_string(),
        }
    }

    /// Status and name in S3.
    fn in_s3(&self) -> (StatusCode, &'static str) {
        let code = match self {
            Self::Unsigned => return (StatusCode::FORBIDDEN, "AccessDenied"),
            Self::Expired | Self::NotCovered(_) | Self::ForeignHost | Self::ForeignPage => {
                return (StatusCode::FORBIDDEN, "AccessDenied");
            }
            Self::UnknownKey => return (StatusCode::FORBIDDEN, "InvalidAccessKeyId"),
            Self::Skewed(_) => return (StatusCode::FORBIDDEN, "RequestTimeTooSkewed"),
            Self::Mismatch => return (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
            Self::Unsupported | Self::NoDigest | Self::NoJson(_) => "InvalidRequest",
            Self::Twice => "InvalidArgument",
            Self::Incomplete(_) | Self::Scope(_) => "AuthorizationHeaderMalformed",
            Self::IncompleteQuery(_) | Self::ScopeQuery(_) => "AuthorizationQueryParametersError",
            Self::Token => "InvalidToken",
            Self::Body(Broken::TooLarge) => "EntityTooLarge",
            Self::Body(Broken::TooSlow) => "RequestTimeout",
            Self::Body(Broken::Cut) => "IncompleteBody",
        };
        (StatusCode::BAD_REQUEST, code)
    }

    /// Status and name in the JSON protocols, and the name in the other services.
    fn elsewhere(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unsigned => {
                (StatusCode::FORBIDDEN, "MissingAuthenticationTokenException", "MissingAuthenticationToken")
            }
            Self::UnknownKey | Self::Token => {
                (StatusCode::FORBIDDEN, "UnrecognizedClientException", "InvalidClientTokenId")
            }
            Self::Unsupported | Self::Twice | Self::Incomplete(_) | Self::IncompleteQuery(_) | Self::NoDigest => {
                (StatusCode::FORBIDDEN, "IncompleteSignatureException", "IncompleteSignature")
            }
            Self::Scope(_)
            | Self::ScopeQuery(_)
            | Self::Skewed(_)
            | Self::Expired
            | Self::NotCovered(_)
            | Self::Mismatch => (StatusCode::FORBIDDEN, "InvalidSignatureException", "SignatureDoesNotMatch"),
            Self::ForeignHost | Self::ForeignPage => (StatusCode::FORBIDDEN, "AccessDeniedException", "AccessDenied"),
            Self::NoJson(_) => (StatusCode::BAD_REQUEST, "SerializationException", "MalformedInput"),
            Self::Body(Broken::TooLarge) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", "RequestEntityTooLarge")
            }
            Self::Body(Broken::TooSlow) => (StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", "RequestExpired"),
            Self::Body(Broken::Cut) => (StatusCode::BAD_REQUEST, "SerializationException", "MalformedInput"),
        }
    }

    /// The refusal as a service's clients read it.
    pub(super) fn said_in(&self, protocol: Protocol) -> Response {
        let message = self.message();
        let (status, code, query_code) = self.elsewhere();
        match protocol {
            Protocol::Json => json_error(status, code, &message),
            Protocol::Query => query_error(status, query_code, &message),
            Protocol::S3 => {
                let (status, code) = self.in_s3();
                let message = quick_xml::escape::partial_escape(&message);
                let xml = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
                );
                (status, [(header::CONTENT_TYPE, "application/xml")], xml).into_response()
            }
            Protocol::Plain => (status, message).into_response(),
        }
    }
}

/// An error of the JSON protocols.
pub(crate) fn json_error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({ "__type": code, "message": message }).to_string();
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body).into_response()
}

/// An error of the query protocol.
pub(crate) fn query_error(status: StatusCode, code: &str, message: &str) -> Response {
    let message = quick_xml::escape::partial_escape(message);
    let xml = format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>local</RequestId></ErrorResponse>"
    );
    (status, [(header::CONTENT_TYPE, "text/xml")], xml).into_response()
}
