//! A request with a signature in its headers or its address, to S3 where the first byte is odd: nobody signs without the
//! secret, and what was signed with it counts for that request alone.

#![no_main]

use axum::http::Request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|request: (bool, &str)| {
    let (is_s3, text) = request;
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let Some((method, target)) = lines.next().and_then(|line| line.split_once(' ')) else { return };
    let mut builder = Request::builder().method(method).uri(target);
    for line in lines {
        let Some((name, value)) = line.split_once(": ") else { return };
        builder = builder.header(name, value);
    }
    // hyper hands no other requests on.
    let Ok(request) = builder.body(()) else { return };
    local::probe(request.into_parts().0, body.as_bytes(), is_s3);
});
