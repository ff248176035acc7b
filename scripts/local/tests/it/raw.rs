//! Requests as an attacker writes them: byte by byte, signed over whatever is wanted.

use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4::SigningParams;
use chrono::{DateTime, TimeDelta, Utc};
use local::{OPERATOR, REGION};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::World;

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request, its signature as it is to be.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Sent, and not signed.
    pub(crate) unsigned: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) region: &'static str,
    pub(crate) service: &'static str,
    /// How old the signature is.
    pub(crate) age: TimeDelta,
}

impl World {
    /// `host:port` of the services.
    pub(crate) fn address(&self) -> &str {
        self.stack.endpoint.strip_prefix("http://").expect("it is an HTTP address")
    }

    fn request(&self, method: &'static str, target: &str, service: &'static str, body: &str) -> Request {
        Request {
            method,
            target: target.to_owned(),
            headers: vec![("host".to_owned(), self.address().to_owned())],
            unsigned: Vec::new(),
            body: body.to_owned(),
            key: OPERATOR.to_owned(),
            secret: self.operator_secret(),
            region: REGION,
            service,
            age: TimeDelta::zero(),
        }
    }

    /// What the operator asks of Step Functions.
    pub(crate) fn states(&self, operation: &str, body: &str) -> Request {
        let request = self.request("POST", "/", "states", body);
        let request = request.with("content-type", "application/x-amz-json-1.0");
        request.with("x-amz-target", &format!("AWSStepFunctions.{operation}"))
    }

    /// What the operator asks of S3, its body as its digest says.
    pub(crate) fn s3(&self, method: &'static str, target: &str, body: &str) -> Request {
        let digest = catalog::digest::hex(body.as_bytes());
        self.request(method, target, "s3", body).with("x-amz-content-sha256", &digest)
    }

    /// Sends bytes, and reads what is answered to its end. What is not answered at all is the empty text.
    pub(crate) async fn send(&self, bytes: &[u8]) -> String {
        let talk = async {
            let mut connection = TcpStream::connect(self.address()).await.expect("the services listen");
            // It may be closed before all is said.
            let _ = connection.write_all(bytes).await;
            let mut answer = Vec::new();
            let _ = connection.read_to_end(&mut answer).await;
            String::from_utf8_lossy(&answer).into_owned()
        };
        tokio::time::timeout(PATIENCE, talk).await.expect("an answer or an end")
    }

    /// Signs, sends, and gives the status and the error's name, if any.
    pub(crate) async fn says(&self, request: &Request) -> String {
        said(&self.send(&request.bytes()).await)
    }
}

impl Request {
    /// Replaces a header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a header that is not signed.
    pub(crate) fn with_unsigned(mut self, name: &str, value: &str) -> Self {
        self.unsigned.push((name.to_owned(), value.to_owned()));
        self
    }

    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if self.service == "s3" {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        settings
    }

    fn signature(&self, settings: SigningSettings, body: SignableBody<'_>) -> Vec<(String, String)> {
        let at: DateTime<Utc> = local::now() - self.age;
        let identity = aws_sdk_sfn::config::Credentials::new(&self.key, &self.secret, None, None, "test").into();
        let in_query = settings.signature_location == SignatureLocation::QueryParams;
        let params = SigningParams::builder().identity(&identity).region(self.region).name(self.service);
        let params = params.time(SystemTime::from(at)).settings(settings).build().expect("all is given").into();
        let host = &self.headers.iter().find(|(name, _)| name == "host").expect("a host").1;
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signable = SignableRequest::new(self.method, format!("http://{host}{}", self.target), headers, body);
        let signed = sign(signable.expect("a request"), &params).expect("it can be signed");
        let (headers, members) = signed.into_parts().0.into_parts();
        if in_query {
            return members.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect();
        }
        headers.iter().map(|header| (header.name().to_owned(), header.value().to_owned())).collect()
    }

    /// The text of the request, signed in its headers; what is to be signed otherwise is changed in that text.
    pub(crate) fn text(&self) -> String {
        let digest = self.headers.iter().find(|(name, _)| name == "x-amz-content-sha256");
        let body = match digest {
            Some((_, digest)) => SignableBody::Precomputed(digest.clone()),
            None => SignableBody::Bytes(self.body.as_bytes()),
        };
        let signature = self.signature(self.settings(), body);
        let target = &self.target;
        self.written(target, &[&self.headers[..], &self.unsigned, &signature].concat())
    }

    /// The same as bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.text().into_bytes()
    }

    /// Signed in its address, to be used for so long.
    pub(crate) fn presigned(&self, expires: Duration) -> String {
        let mut settings = self.settings();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(expires);
        let members = self.signature(settings, SignableBody::UnsignedPayload);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(members);
        self.written(&format!("{}?{}", self.target, query.finish()), &self.headers)
    }

    /// As it stands, without a signature.
    pub(crate) fn written(&self, target: &str, headers: &[(String, String)]) -> String {
        let mut text = format!("{} {target} HTTP/1.1\r\n", self.method);
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        format!("{text}content-length: {}\r\nconnection: close\r\n\r\n{}", self.body.len(), self.body)
    }
}

/// `403 AccessDenied` of an answer: its status, and the error's name, if it has one.
pub(crate) fn said(answer: &str) -> String {
    let status = answer.split(' ').nth(1).unwrap_or("closed");
    let between = |before: &str, after: &str| Some(answer.split_once(before)?.1.split_once(after)?.0);
    match between("<Code>", "</Code>").or_else(|| between("\"__type\":\"", "\"")) {
        Some(code) => format!("{status} {code}"),
        None => status.to_owned(),
    }
}
