//! Signatures that AWS would not take.

use std::time::Duration;

use chrono::TimeDelta;
use hmac::{Hmac, KeyInit as _, Mac as _};
use local::OPERATOR;
use sha1::Sha1;

use crate::raw::{Request, said};
use crate::world::{BUCKET, World};

const WEEK: Duration = Duration::from_secs(604_800);

/// What Step Functions and S3 say to the same mistake.
async fn both(world: &World, mistake: impl Fn(Request) -> Request) -> [String; 2] {
    let states = mistake(world.states("ListStateMachines", "{}"));
    let s3 = mistake(world.s3("GET", &format!("/{BUCKET}?list-type=2"), ""));
    [world.says(&states).await, world.says(&s3).await]
}

/// The same for a change of the text after it was signed.
async fn both_texts(world: &World, change: impl Fn(String) -> String) -> [String; 2] {
    let states = change(world.states("ListStateMachines", "{}").text());
    let s3 = change(world.s3("GET", &format!("/{BUCKET}?list-type=2"), "").text());
    [said(&world.send(states.as_bytes()).await), said(&world.send(s3.as_bytes()).await)]
}

#[tokio::test]
async fn a_signature_counts_for_its_day_region_and_service_alone() {
    let world = World::new().await;
    assert_eq!(both(&world, |request| request).await, ["200", "200"]);
    let region = both(&world, |request| Request { region: "eu-west-2", ..request }).await;
    assert_eq!(region, ["403 InvalidSignatureException", "400 AuthorizationHeaderMalformed"]);
    // One that was made for another service here, and would be played back.
    for service in ["secretsmanager", "sns", "sts"] {
        let other = both(&world, |request| Request { service, ..request }).await;
        assert_eq!(other, ["403 InvalidSignatureException", "400 AuthorizationHeaderMalformed"], "{service}");
    }
    let yesterday = (local::now() - TimeDelta::days(1)).format("/%Y%m%d/").to_string();
    let today = local::now().format("/%Y%m%d/").to_string();
    let day = both_texts(&world, |text| text.replace(&today, &yesterday)).await;
    assert_eq!(day, ["403 InvalidSignatureException", "400 AuthorizationHeaderMalformed"]);
    let terminator = both_texts(&world, |text| text.replace("aws4_request", "aws5_request")).await;
    assert_eq!(terminator, ["403 InvalidSignatureException", "400 AuthorizationHeaderMalformed"]);
    world.stop().await;
}

#[tokio::test]
async fn a_clock_may_be_off_by_five_minutes() {
    let world = World::new().await;
    for minutes in [-4, 4] {
        let near = both(&world, |request| Request { age: TimeDelta::minutes(minutes), ..request }).await;
        assert_eq!(near, ["200", "200"], "{minutes}");
    }
    for minutes in [-14, -6, 6, 14, 1_440] {
        let far = both(&world, |request| Request { age: TimeDelta::minutes(minutes), ..request }).await;
        assert_eq!(far, ["403 InvalidSignatureException", "403 RequestTimeTooSkewed"], "{minutes}");
    }
    world.stop().await;
}

#[tokio::test]
async fn what_is_not_signed_is_not_believed() {
    let world = World::new().await;
    let none = both_texts(&world, |text| text.replace("authorization:", "x-none:")).await;
    assert_eq!(none, ["403 MissingAuthenticationTokenException", "403 AccessDenied"]);
    // The signature is right, and says nothing of the header that says what is asked.
    let mut bare = world.states("ListStateMachines", "{}");
    bare.headers.retain(|(name, _)| name != "x-amz-target");
    let chosen = bare.with_unsigned("x-amz-target", "AWSStepFunctions.ListStateMachines");
    assert_eq!(world.says(&chosen).await, "403 InvalidSignatureException");
    let added = world.s3("GET", "/", "").with_unsigned("x-amz-meta-a", "1");
    assert_eq!(world.says(&added).await, "403 AccessDenied");
    // Two of one, of which one is signed.
    let twice = world.states("ListStateMachines", "{}").with_unsigned("x-amz-target", "AWSStepFunctions.StopExecution");
    assert_eq!(world.says(&twice).await, "403 InvalidSignatureException");
    // A host that is not signed.
    let host = both_texts(&world, |text| text.replace("host;", "")).await;
    assert_eq!(host, ["403 InvalidSignatureException", "403 AccessDenied"]);
    let cut = both_texts(&world, |text| text.replace("SignedHeaders=", "Headers=")).await;
    assert_eq!(cut, ["403 IncompleteSignatureException", "400 AuthorizationHeaderMalformed"]);
    let token = both(&world, |request| request.with("x-amz-security-token", "t")).await;
    assert_eq!(token, ["403 UnrecognizedClientException", "400 InvalidToken"]);
    world.stop().await;
}

#[tokio::test]
async fn the_body_is_what_was_signed() {
    let world = World::new().await;
    let states = world.states("ListStateMachines", "{}").text().replace("\r\n\r\n{}", "\r\n\r\n[]");
    assert_eq!(said(&world.send(states.as_bytes()).await), "403 InvalidSignatureException");
    let (key, secret) = world.credentials(world.extract("staff"));
    let put = |name: &str| {
        let put = world.s3("PUT", &format!("/{BUCKET}/staff/{name}"), "signed").with("if-none-match", "*");
        Request { key: key.clone(), secret: secret.clone(), ..put }
    };
    assert_eq!(world.says(&put("a")).await, "200");
    let changed = put("b").text().replace("\r\n\r\nsigned", "\r\n\r\nforged");
    assert!(said(&world.send(changed.as_bytes()).await).starts_with("400 "));
    assert_eq!(world.says(&world.s3("GET", &format!("/{BUCKET}/staff/b"), "")).await, "404 NoSuchKey");
    let mut undigested = put("c");
    undigested.headers.retain(|(name, _)| name != "x-amz-content-sha256");
    assert_eq!(world.says(&undigested).await, "400 InvalidRequest");
    world.stop().await;
}

/// The CRC32 of `signed`.
const CRC32: &str = "x-amz-checksum-crc32:HrvYww==";

#[tokio::test]
async fn a_body_may_be_signed_as_s3_lets_it() {
    let world = World::new().await;
    let (key, secret) = world.credentials(world.extract("staff"));
    let put = |name: &str, digest: &str, body: &str| {
        let put = world.s3("PUT", &format!("/{BUCKET}/staff/{name}"), body).with("if-none-match", "*");
        let put = put.with("x-amz-content-sha256", digest).with("x-amz-decoded-content-length", "6");
        Request { key: key.clone(), secret: secret.clone(), ..put }
    };
    assert_eq!(world.says(&put("unsigned", "UNSIGNED-PAYLOAD", "signed")).await, "200");
    let chunks = |crc32: &str| {
        let body = format!("6\r\nsigned\r\n0\r\n{crc32}\r\n\r\n");
        let put = put(if crc32 == CRC32 { "right" } else { "wrong" }, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", &body);
        let put = put.with("content-encoding", "aws-chunked").with("x-amz-trailer", "x-amz-checksum-crc32");
        put.with("x-amz-sdk-checksum-algorithm", "CRC32")
    };
    assert_eq!(world.says(&chunks(CRC32)).await, "200");
    assert_eq!(world.says(&chunks("x-amz-checksum-crc32:AAAAAA==")).await, "400 BadDigest");
    let got = world.send(&world.s3("GET", &format!("/{BUCKET}/staff/right"), "").bytes()).await;
    assert!(got.ends_with("\r\n\r\nsigned"), "{got}");
    world.stop().await;
}

#[tokio::test]
async fn a_presigned_address_ends() {
    let world = World::new().await;
    let mut list = world.s3("GET", &format!("/{BUCKET}"), "");
    list.headers.retain(|(name, _)| name == "host");
    let says =
        async |request: &Request, expires: Duration| said(&world.send(request.presigned(expires).as_bytes()).await);
    let minute = Duration::from_secs(60);
    // (GET of a bucket alone is the first version of the listing, which is not served: it came through the door.)
    let served = "501 NotImplemented";
    assert_eq!(says(&list, minute).await, served);
    assert_eq!(says(&list, WEEK).await, served);
    let aged = |minutes| Request { age: TimeDelta::minutes(minutes), ..list.clone() };
    assert_eq!(says(&aged(10), Duration::from_secs(900)).await, served, "its own time counts, not the skew");
    assert_eq!(says(&aged(2), minute).await, "403 AccessDenied", "it has expired");
    assert_eq!(says(&aged(-6), minute).await, "403 RequestTimeTooSkewed", "it is not yet valid");
    assert_eq!(says(&list, WEEK + minute).await, "400 AuthorizationQueryParametersError");
    let region = Request { region: "eu-west-2", ..list.clone() };
    assert_eq!(says(&region, minute).await, "400 AuthorizationQueryParametersError");
    let longer = list.presigned(minute).replace("X-Amz-Expires=60", "X-Amz-Expires=600");
    assert_eq!(said(&world.send(longer.as_bytes()).await), "403 SignatureDoesNotMatch");
    let twice = list.presigned(minute).replace("X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=600");
    assert_eq!(said(&world.send(twice.as_bytes()).await), "400 AuthorizationQueryParametersError");
    world.stop().await;
}

#[tokio::test]
async fn signatures_of_version_2_are_refused() {
    let world = World::new().await;
    let date = local::now().format("%a, %d %b %Y %H:%M:%S +0000").to_string();
    let signature = base64(&hmac_sha1(&world.operator_secret(), &format!("GET\n\n\n{date}\n/")));
    let get = world.s3("GET", "/", "");
    let headers = |authorization: String| {
        [("host", world.address()), ("date", &date), ("authorization", &authorization)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let text = get.written("/", &headers(format!("AWS {OPERATOR}:{signature}")));
    assert_eq!(said(&world.send(text.as_bytes()).await), "400 InvalidRequest");
    let expires = local::now().timestamp() + 60;
    let signature = base64(&hmac_sha1(&world.operator_secret(), &format!("GET\n\n\n{expires}\n/")));
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("AWSAccessKeyId", OPERATOR).append_pair("Signature", &signature);
    let query = query.append_pair("Expires", &expires.to_string()).finish();
    let host = [("host".to_owned(), world.address().to_owned())];
    let presigned = get.written(&format!("/?{query}"), &host);
    assert_eq!(said(&world.send(presigned.as_bytes()).await), "400 InvalidRequest");
    // One beside a signature of version 4.
    let beside = world.s3("GET", &format!("/?{query}"), "");
    assert_eq!(world.says(&beside).await, "400 InvalidArgument");
    world.stop().await;
}

fn hmac_sha1(secret: &str, text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("a key may have any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// 20 bytes, as the old signature writes them.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        let digits = (0..=three.len()).map(|digit| char::from(DIGITS[bits >> (18 - 6 * digit) & 63]));
        text.extend(digits);
    }
    text + &"=".repeat((3 - bytes.len() % 3) % 3)
}
