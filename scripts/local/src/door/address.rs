//! What a request says of where it goes, and a browser of where it comes from.

use axum::http::{HeaderMap, header};

use super::refused::Refused;

/// The names of this machine.
const OURS: [&str; 2] = ["127.0.0.1", "localhost"];

/// Refuses what comes from a page that is not ours.
///
/// The port in `Host` is not looked at: a browser sends the one that it connected to, whatever the page, and whoever
/// forwards a port sends another. Our own page is one of the very host and port that the request is for.
pub(super) fn check(headers: &HeaderMap, has_pages: bool) -> Result<(), Refused> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).filter(|_| hosts.next().is_none());
    let host = host.filter(|host| is_ours(host)).ok_or(Refused::ForeignHost)?;
    let own = format!("http://{host}");
    if headers.get_all(header::ORIGIN).iter().any(|origin| !has_pages || origin.as_bytes() != own.as_bytes()) {
        return Err(Refused::ForeignPage);
    }
    // An image, a link or a form that gets something sends no origin. `none` is a person who typed the address.
    let own_sites: &[&[u8]] = if has_pages { &[b"same-origin", b"none"] } else { &[] };
    if headers.get_all("sec-fetch-site").iter().any(|site| !own_sites.contains(&site.as_bytes())) {
        return Err(Refused::ForeignPage);
    }
    Ok(())
}

fn is_ours(host: &str) -> bool {
    match host.split_once(':') {
        None => OURS.contains(&host),
        Some((name, port)) => OURS.contains(&name) && port.parse::<u16>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn is_let_in(headers: &[(&'static str, &'static str)], has_pages: bool) -> bool {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers.iter().map(header) {
            map.append(name, value);
        }
        check(&map, has_pages).is_ok()
    }

    #[test]
    fn a_host_is_one_name_of_this_machine() {
        for host in ["127.0.0.1", "127.0.0.1:80", "localhost:4711"] {
            assert!(is_let_in(&[("host", host)], false), "{host}");
        }
        for host in
            ["", "evil.example", "127.0.0.1.evil.example", "localhost:80.evil.example", "user@127.0.0.1", "[::1]"]
        {
            assert!(!is_let_in(&[("host", host)], false), "{host}");
        }
        assert!(!is_let_in(&[], false));
        assert!(!is_let_in(&[("host", "localhost"), ("host", "evil.example")], false));
    }

    #[test]
    fn a_page_is_the_service_s_own_or_none() {
        let host = ("host", "localhost:4711");
        for (name, value, own) in [
            ("origin", "http://localhost:4711", true),
            ("origin", "http://localhost:4712", false),
            ("origin", "http://127.0.0.1:4711", false),
            ("origin", "https://localhost:4711", false),
            ("origin", "null", false),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "cross-site", false),
        ] {
            assert_eq!(is_let_in(&[host, (name, value)], true), own, "{name}: {value}");
            assert!(!is_let_in(&[host, (name, value)], false), "{name}: {value}");
        }
    }
}
