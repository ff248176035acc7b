//! The console in a browser: watched live, worked by mouse and by keyboard, fit for every size, scheme and reader.

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::site::Site;

/// It fails where its input says so, else it waits for as many seconds as that says.
fn machine() -> Value {
    let branch = |name: &str, next: Value| {
        let mut wait = json!({ "Type": "Wait", "SecondsPath": "$.seconds" });
        wait.as_object_mut().expect("an object").extend(next.as_object().expect("an object").clone());
        json!({ "StartAt": name, "States": { (name): wait } })
    };
    json!({
        "StartAt": "Fails?",
        "States": {
            "Fails?": { "Type": "Choice", "Default": "Both",
                        "Choices": [{ "Variable": "$.fails", "IsPresent": true, "Next": "Ask" }] },
            "Both": { "Type": "Parallel", "End": true,
                      "Branches": [branch("Wait left", json!({ "End": true })), branch("Wait right", json!({ "End": true }))] },
            "Ask": { "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true,
                     "Parameters": { "FunctionName": "nobody", "Payload.$": "$" },
                     "Retry": [{ "ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1 }] },
        },
    })
}

#[tokio::test]
async fn a_run_is_started_stopped_redriven_and_watched_to_its_end_without_a_reload() {
    let (site, browser) = (Site::of(machine()).await, Browser::start().await);
    browser.open(&site.origin()).await;
    browser.wait_for_text("#runs", "No run yet").await;
    // Somebody else's run appears by itself.
    site.run("{\"seconds\": 0}").await;
    browser.wait_for_text("#runs", "Succeeded").await;

    browser.click("a[href='/start']").await;
    browser.wait_for_text("dialog[open] h1", "Start a run?").await;
    let text = browser.find("dialog[open] textarea").await;
    text.clear().await.expect("a text can be cleared");
    text.send_keys("{\"seconds\": 4}").await.expect("it takes keys");
    browser.click("dialog[open] button.primary").await;
    browser.wait_for_text(".title", "Running").await;
    // What is marked here is gone with the page: nothing below loads it again but the forms, which go to it.
    browser.click("#b-stop").await;
    browser.find("dialog[open] input[name=cause]").await.send_keys("to look at it").await.expect("it takes keys");
    browser.click("dialog[open] button.danger").await;
    browser.wait_for_text(".title", "Stopped").await;
    browser.wait_for_text(".banner", "to look at it").await;

    browser.click("#b-redrive").await;
    browser.wait_for_text("dialog[open]", "Wait left").await;
    browser.wait_for_text("dialog[open]", "No newer run has loaded since").await;
    browser.click("dialog[open] button.primary").await;
    browser.wait_for_text(".title", "Running").await;
    browser.run("document.body.dataset.marked = 'here'", vec![]).await;
    browser.wait_for_text(".title", "Succeeded").await;
    browser.wait_for_text("#run", "redriven 1 times").await;
    assert_eq!(browser.run("return document.body.dataset.marked", vec![]).await, "here", "the page was loaded again");
    browser.assert_no_console_errors().await;
}

#[tokio::test]
async fn a_failed_run_leads_to_its_step() {
    let (site, browser) = (Site::of(machine()).await, Browser::start().await);
    let name = site.run("{\"fails\": true}").await;
    browser.open(&format!("{}/runs/{name}", site.origin())).await;
    browser.wait_for_text(".banner", "Lambda.ResourceNotFoundException").await;
    browser.click(".banner a").await;
    browser.wait_for_text("#step", "Why it ended").await;
    browser.wait_for_text("#step h2", "Ask").await;
    assert_eq!(browser.count("#step table tbody tr").await, 2, "a row a try");
    assert_eq!(browser.count(".drawing .chosen").await, 1, "the same step in the graph");
    assert_eq!(browser.count(".steps .chosen").await, 1, "and in the list");
    browser.assert_no_console_errors().await;
}

#[tokio::test]
async fn the_keyboard_is_enough() {
    let (site, browser) = (Site::of(machine()).await, Browser::start().await);
    let name = site.run("{\"fails\": true}").await;
    browser.open(&format!("{}/runs", site.origin())).await;
    browser.press(Key::Tab).await;
    browser.wait_for_focus(".skip").await;
    browser.press(Key::Enter).await;
    browser.wait_for_focus("#main").await;
    // To the run in the list.
    for _ in 0..30 {
        browser.press(Key::Tab).await;
        let at = browser.run("return document.activeElement.textContent", vec![]).await;
        if at == json!(name) {
            break;
        }
    }
    browser.press(Key::Enter).await;
    browser.find("#b-redrive").await;
    for _ in 0..20 {
        browser.press(Key::Tab).await;
        if browser.run("return document.activeElement.id", vec![]).await == "b-redrive" {
            break;
        }
    }
    browser.press(Key::Enter).await;
    browser.wait_for_text("dialog[open] h1", "Redrive this run?").await;
    browser.press(Key::Escape).await;
    browser.wait_for_focus("#b-redrive").await;
    assert_eq!(browser.count("dialog[open]").await, 0);
    browser.assert_no_console_errors().await;
}

#[tokio::test]
async fn every_page_fits_every_size_and_scheme_and_reader() {
    let (site, browser) = (Site::of(machine()).await, Browser::start().await);
    let name = site.run("{\"fails\": true}").await;
    site.run("{\"seconds\": 0}").await;
    let mut pages = vec!["/runs".to_owned(), "/start".to_owned(), "/nowhere".to_owned()];
    pages
        .extend(["graph", "table", "events", "definition", "io"].map(|tab| format!("/runs/{name}?tab={tab}&step=Ask")));
    pages.extend(["stop", "redrive"].map(|verb| format!("/runs/{name}/{verb}")));
    for (scheme, width) in [("light", 1_280), ("dark", 360), ("light", 360), ("dark", 3_840)] {
        browser.prefer(&[("prefers-color-scheme", scheme)]).await;
        browser.resize(width, 900).await;
        for page in &pages {
            browser.open(&format!("{}{page}", site.origin())).await;
            browser.assert_accessible().await;
            browser.assert_no_sideways_scrolling().await;
        }
    }
}

#[tokio::test]
async fn a_thousand_runs_are_shown_page_by_page() {
    let passing = json!({ "StartAt": "P", "States": { "P": { "Type": "Pass", "End": true } } });
    let (site, browser) = (Site::of(passing).await, Browser::start().await);
    for _ in 0..1_000 {
        site.orchestrator().start_with("{}").await.expect("it starts");
    }
    browser.open(&format!("{}/runs", site.origin())).await;
    let mut seen = browser.count("#runs tbody a").await;
    while browser.count("a[rel=next]").await == 1 {
        let next = browser.find("a[rel=next]").await.attr("href").await.expect("a page").expect("an address");
        browser.open(&format!("{}{next}", site.origin())).await;
        seen += browser.count("#runs tbody a").await;
    }
    assert_eq!(seen, 1_000);
    browser.assert_no_console_errors().await;
}
