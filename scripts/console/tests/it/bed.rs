//! The browser sees what tests of pages trust it to see: held to pages of its own, a good one and faulty ones.

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use fantoccini::key::Key;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::browser::{ADVICE, Browser, Driver, until};

/// As strict as a page's policy can be that has a script and a style.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'";

const GOOD: &str = r#"<!doctype html>
<html lang="en">
<head>
    <meta name="viewport" content="width=device-width">
    <title>Good</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/style.css">
    <script src="/script.js" defer></script>
</head>
<body>
    <main>
        <h1>Good</h1>
        <p><a href="/other">Elsewhere</a> <button>Count</button> <label>Name <input></label> <output></output></p>
    </main>
</body>
</html>"#;

const OTHER: &str = r#"<!doctype html><html lang="en"><title>Other</title><link rel="icon" href="data:,"><main><h1>Other</h1></main></html>"#;

/// A page that is in order is changed by its script, not at once, and shows what its reader prefers.
const SCRIPT: &str = "
    const output = document.querySelector('output');
    document.querySelector('button').addEventListener('click', () => {
        setTimeout(() => { output.textContent = `${output.textContent}1 `; }, 50);
    });
";

const STYLE: &str = "
    body { color: black; background: white; }
    h1 { width: 30rem; max-width: 100%; }
    @media (prefers-color-scheme: dark) { body, a { color: white; background: black; } }
";

/// Everything that gets into a console by itself: the page's words, what it throws, what is not there, what it may not do.
const COMPLAINING: &str = r#"<!doctype html>
<html lang="en">
<title>Complaining</title>
<link rel="icon" href="data:,">
<script src="/complains.js"></script>
<script src="/missing.js"></script>
<script>document.title = 'of no file';</script>
<main><h1>Complaining</h1></main>
</html>"#;

const COMPLAINS: &str =
    "console.error('said'); console.warn('a warning'); setTimeout(() => { throw new Error('thrown'); });";

/// A button of no name, grey on white, nothing that says the language; and wider than any phone.
const FAULTY: &str = r#"<!doctype html>
<html>
<title>Faulty</title>
<link rel="icon" href="data:,">
<main><h1>Faulty</h1><button></button><p><font color="silver">Pale</font></p><table width="900"><tr><td>Wide</table></main>
</html>"#;

fn served(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, POLICY)], text).into_response()
}

/// Serves the pages for as long as the test runs; gives where.
#[expect(clippy::disallowed_methods, reason = "pages that hold nothing need no door")]
async fn pages() -> String {
    let files = [
        ("/", "text/html", GOOD),
        ("/other", "text/html", OTHER),
        ("/script.js", "text/javascript", SCRIPT),
        ("/style.css", "text/css", STYLE),
        ("/complaining", "text/html", COMPLAINING),
        ("/complains.js", "text/javascript", COMPLAINS),
        ("/faulty", "text/html", FAULTY),
    ];
    let router = files
        .into_iter()
        .fold(Router::new(), |router, (path, kind, text)| router.route(path, get(async move || served(kind, text))));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test]
async fn a_good_page_passes_by_mouse_and_by_keyboard_in_every_size_and_scheme() {
    let (browser, pages) = (Browser::start().await, pages().await);
    for (scheme, background) in [("light", "rgb(255, 255, 255)"), ("dark", "rgb(0, 0, 0)")] {
        browser.prefer(&[("prefers-color-scheme", scheme)]).await;
        for width in [360, 3840] {
            browser.resize(width, 640).await;
            browser.open(&pages).await;
            let shown = "return [getComputedStyle(document.body).backgroundColor, innerWidth]";
            assert_eq!(browser.run(shown, vec![]).await, json!([background, width]));
            browser.assert_accessible().await;
            browser.assert_no_sideways_scrolling().await;
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("page.png");
            browser.screenshot(&file).await;
            let png = std::fs::read(file).expect("it was written");
            // Signature, length and name of the first chunk; then how wide and how high the picture is.
            assert!(png.starts_with(b"\x89PNG"));
            assert_eq!(png[16..24], [u32::to_be_bytes(width), u32::to_be_bytes(640)].concat());
        }
    }

    browser.click("button").await;
    browser.wait_for_text("output", "1").await;
    browser.find("a").await;
    browser.open(&pages).await;
    browser.press(Key::Tab).await;
    browser.wait_for_focus("a").await;
    browser.press(Key::Tab).await;
    browser.press(Key::Enter).await;
    browser.wait_for_text("output", "1").await;
    browser.press(Key::Space).await;
    browser.wait_for_text("output", "1 1").await;
    browser.press(Key::Tab).await;
    browser.wait_for_focus("input").await;
    browser.type_text("Ana Ćirić").await;
    assert_eq!(browser.run("return document.querySelector('input').value", vec![]).await, "Ana Ćirić");
    browser.press_with(&[Key::Shift.into()], Key::Tab).await;
    browser.wait_for_focus("button").await;
    browser.press_with(&[Key::Shift.into()], Key::Tab).await;
    browser.press(Key::Enter).await;
    browser.wait_for_text("h1", "Other").await;
    assert_eq!(browser.url().await, format!("{pages}/other"));
    assert_eq!((browser.text("h1").await.as_str(), browser.count("button").await), ("Other", 0));
    browser.assert_no_console_errors().await;
}

#[tokio::test]
async fn every_kind_of_error_in_the_console_is_caught_once() {
    let (browser, pages) = (Browser::start().await, pages().await);
    browser.open(&format!("{pages}/complaining")).await;
    let mut errors = browser.console_errors().await;
    let expected = ["\"said\"", "Error: thrown", "/missing.js", "Content Security Policy"];
    for words in expected {
        let found = errors.iter().position(|error| error.contains(words));
        errors.remove(found.unwrap_or_else(|| panic!("no {words:?}, but {errors:?}")));
    }
    assert_eq!(errors, Vec::<String>::new());
    browser.assert_no_console_errors().await;
}

#[tokio::test]
async fn what_keeps_people_from_using_a_page_is_caught_under_the_strictest_policy() {
    let (browser, pages) = (Browser::start().await, pages().await);
    browser.open(&format!("{pages}/faulty")).await;
    let found = browser.axe().await;
    let rules: Vec<&str> = found.iter().map(|violation| violation.id.as_str()).collect();
    assert_eq!(rules, ["button-name", "color-contrast", "html-has-lang"]);
    assert_eq!(found[0].impact.as_deref(), Some("critical"));
    assert!(found[0].to_string().contains("<button></button>"), "{}", found[0]);

    browser.resize(360, 640).await;
    let failed = tokio::spawn(async move { browser.assert_no_sideways_scrolling().await }).await;
    let failure = failed.expect_err("the table is too wide").into_panic();
    let message = failure.downcast::<String>().expect("it has a message");
    assert!(message.contains("Wide"), "{message}");
}

#[tokio::test]
async fn a_browser_ends_with_its_test_also_with_one_that_fails() {
    let browser = Browser::start().await;
    let addresses = [format!("127.0.0.1:{}", browser.driver.port), browser.address()];
    for address in &addresses {
        TcpStream::connect(address).await.expect("it listens");
    }
    let test = tokio::spawn(async move {
        let _still_used = browser;
        panic!("as a test does");
    });
    assert!(test.await.expect_err("it panics").is_panic());
    for address in &addresses {
        let ended = async || match TcpStream::connect(address).await {
            Ok(_) => Err("it still listens".to_owned()),
            Err(_) => Ok(()),
        };
        until(&format!("end of what listens on {address}"), ended).await;
    }
}

#[test]
fn without_a_driver_it_is_said_what_installs_it() {
    let error = Driver::start("/nowhere").expect_err("there is none");
    assert!(error.contains(ADVICE) && error.contains("not found"), "{error}");
}
