//! A headless Chromium for a test: opens pages, does what people do, and tells what they would see.
//!
//! Every test has a browser of its own, which has seen nothing yet and ends with the test, however that ends. Whatever a test
//! asks for that is not there yet is waited for; what does not come fails the test with what was there instead.

mod axe;
mod driver;

use std::path::Path;
use std::time::Duration;

use axum::http::Method;
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

pub(crate) use driver::{ADVICE, Driver};

/// How long something may take that a page does. A machine that also builds is slow.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// How the browser is started: without a window, and silent but for the pages that it opens.
const FLAGS: [&str; 9] = [
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    // A container's /dev/shm may be too small for a large page.
    "--disable-dev-shm-usage",
];

/// A browser with one page.
#[derive(Debug)]
pub(crate) struct Browser {
    client: Client,
    /// Ends after the client, which still says goodbye to it.
    pub(crate) driver: Driver,
}

/// A command of chromedriver's that the standard has not.
#[derive(Debug)]
struct Chromium(&'static str, Value);

impl WebDriverCompatibleCommand for Chromium {
    fn endpoint(&self, driver: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        driver.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

/// A line of the browser's console.
#[derive(Debug, Deserialize)]
struct Line {
    level: String,
    message: String,
}

impl Browser {
    /// Starts a browser.
    pub(crate) async fn start() -> Self {
        let search_path = local::environment::variable("PATH").unwrap_or_default();
        let driver =
            tokio::task::spawn_blocking(move || Driver::start(&search_path)).await.expect("it is not cancelled");
        let driver = driver.unwrap_or_else(|error| panic!("{error}"));
        let mut flags = FLAGS.to_vec();
        if rustix::process::geteuid().is_root() {
            // Chromium's sandbox refuses to be started by root.
            flags.push("--no-sandbox");
        }
        let capabilities = json!({
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(serde_json::from_value(capabilities).expect("an object"))
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .unwrap_or_else(|error| panic!("no browser: {ADVICE}\n{error}\n{}", driver.said()));
        Self { client, driver }
    }

    /// Where the browser itself listens, for its driver.
    pub(crate) fn address(&self) -> String {
        let options = self.client.capabilities().and_then(|capabilities| capabilities.get("goog:chromeOptions"));
        let address = options.and_then(|options| options["debuggerAddress"].as_str());
        address.expect("chromedriver says it").to_owned()
    }

    /// Opens a page and waits until it is loaded and drawn: a key that is pressed before is lost.
    pub(crate) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url} does not open: {error}"));
        let drawn = "const done = arguments[arguments.length - 1];
            requestAnimationFrame(() => requestAnimationFrame(() => done()));";
        self.run_until_done(drawn, vec![]).await;
    }

    /// Where the browser is.
    pub(crate) async fn url(&self) -> String {
        self.client.current_url().await.expect("a page is open").into()
    }

    /// Waits for an element.
    pub(crate) async fn find(&self, css: &str) -> Element {
        until(css, async || self.client.find(Locator::Css(css)).await.map_err(|error| error.to_string())).await
    }

    /// How many elements there are now.
    pub(crate) async fn count(&self, css: &str) -> usize {
        self.client.find_all(Locator::Css(css)).await.expect("a selector").len()
    }

    /// The text of an element, as it is shown.
    pub(crate) async fn text(&self, css: &str) -> String {
        until(css, async || self.look(css).await).await
    }

    /// Waits until an element shows a text, perhaps among others.
    pub(crate) async fn wait_for_text(&self, css: &str, text: &str) {
        let shown = async || self.look(css).await.and_then(|seen| if seen.contains(text) { Ok(()) } else { Err(seen) });
        until(&format!("{css} with {text:?}"), shown).await;
    }

    async fn look(&self, css: &str) -> Result<String, String> {
        // A page that is left between the two takes its elements along: the next look is at the new one.
        let text = async { self.client.find(Locator::Css(css)).await?.text().await };
        text.await.map_err(|error| error.to_string())
    }

    /// Clicks on an element, once it is there and nothing covers it.
    pub(crate) async fn click(&self, css: &str) {
        let click = async || {
            let clicked = async { self.client.find(Locator::Css(css)).await?.click().await };
            clicked.await.map_err(|error| error.to_string())
        };
        until(css, click).await;
    }

    /// Presses a key and lets go of it: a character, or a `fantoccini::key::Key`.
    pub(crate) async fn press(&self, key: impl Into<char>) {
        self.press_with(&[], key).await;
    }

    /// The same while other keys are held, as Shift for a Tab backwards.
    pub(crate) async fn press_with(&self, held: &[char], key: impl Into<char>) {
        let key = key.into();
        let down = held.iter().copied().chain([key]).map(|value| KeyAction::Down { value });
        let up = [key].into_iter().chain(held.iter().rev().copied()).map(|value| KeyAction::Up { value });
        let keys = down.chain(up).fold(KeyActions::new("keyboard".to_owned()), KeyActions::then);
        self.client.perform_actions(keys).await.expect("keys are pressed");
    }

    /// Types a text into what has the focus.
    pub(crate) async fn type_text(&self, text: &str) {
        for key in text.chars() {
            self.press(key).await;
        }
    }

    /// Waits until what the selector names has the focus.
    pub(crate) async fn wait_for_focus(&self, css: &str) {
        let focus = async || {
            let looked = "const at = document.activeElement; return [at.matches(arguments[0]), at.outerHTML]";
            let (is_it, html): (bool, String) =
                serde_json::from_value(self.run(looked, vec![css.into()]).await).expect("it gives both");
            if is_it { Ok(()) } else { Err(html) }
        };
        until(&format!("the focus on {css}"), focus).await;
    }

    /// What a person or the system prefers, for this page and those opened later; it replaces what was preferred before:
    /// `[("prefers-color-scheme", "dark")]`, `[("prefers-reduced-motion", "reduce")]`, `[("forced-colors", "active")]`.
    pub(crate) async fn prefer(&self, features: &[(&str, &str)]) {
        let features: Vec<Value> =
            features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// How much of the page is seen, in CSS pixels: from 360 by 640 of a phone to 3840 by 2160.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        // A window cannot be as narrow as a phone.
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Fails when something of the page is beyond its right edge.
    pub(crate) async fn assert_no_sideways_scrolling(&self) {
        let beyond = "const page = document.documentElement;
            return [...document.querySelectorAll('body *')]
                .filter((one) => page.scrollWidth > page.clientWidth && one.getBoundingClientRect().right > page.clientWidth)
                .map((one) => one.outerHTML.slice(0, 200));";
        let beyond = self.run(beyond, vec![]).await;
        assert_eq!(beyond, json!([]), "beyond the right edge");
    }

    /// Writes a PNG of what is seen.
    pub(crate) async fn screenshot(&self, path: &Path) {
        let png = self.client.screenshot().await.expect("the page is drawn");
        std::fs::write(path, png).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// The errors of the console since it was last asked: of scripts, of what was not loaded, of what a policy forbade.
    pub(crate) async fn console_errors(&self) -> Vec<String> {
        let lines = self.client.issue_cmd(Chromium("se/log", json!({ "type": "browser" }))).await.expect("a console");
        let lines: Vec<Line> = serde_json::from_value(lines).expect("it has lines");
        lines.into_iter().filter(|line| line.level == "SEVERE").map(|line| line.message).collect()
    }

    /// Fails with the errors of the console.
    pub(crate) async fn assert_no_console_errors(&self) {
        let errors = self.console_errors().await;
        assert!(errors.is_empty(), "errors in the browser's console:\n{}", errors.join("\n"));
    }

    /// Runs the body of a function in the page, with `arguments`, and gives what it returns.
    pub(crate) async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.unwrap_or_else(|error| panic!("a script in the page: {error}"))
    }

    /// The same for one that calls its last argument with what it gives, once it is done.
    pub(crate) async fn run_until_done(&self, script: &str, arguments: Vec<Value>) -> Value {
        let given = self.client.execute_async(script, arguments).await;
        given.unwrap_or_else(|error| panic!("a script in the page: {error}"))
    }

    async fn devtools(&self, command: &str, parameters: Value) {
        let body = json!({ "cmd": command, "params": parameters });
        self.client
            .issue_cmd(Chromium("goog/cdp/execute", body))
            .await
            .unwrap_or_else(|error| panic!("{command}: {error}"));
    }
}

/// Looks until something is there; fails the test with what was seen last when it does not come.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFn() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(_) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            Err(seen) => panic!("no {what}, but: {seen}"),
        }
    }
}
