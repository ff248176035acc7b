//! Start, stop and redrive: done by the console's own forms, refused to everybody else.

use serde_json::{Value, json};

use crate::site::{Site, form};

/// It waits until it is stopped, or fails where its input says so.
fn machine() -> Value {
    json!({
        "StartAt": "Fails?",
        "States": {
            "Fails?": { "Type": "Choice", "Default": "Wait",
                        "Choices": [{ "Variable": "$.fails", "IsPresent": true, "Next": "Broken" }] },
            "Wait": { "Type": "Wait", "Seconds": 600, "End": true },
            "Broken": { "Type": "Fail", "Error": "Broken", "Cause": "on purpose" },
        },
    })
}

async fn count(site: &Site) -> usize {
    site.orchestrator().newest(100).await.expect("a list").len()
}

#[tokio::test]
async fn a_run_is_started_stopped_and_redriven() {
    let site = Site::of(machine()).await;
    let asked = site.get("/start").await;
    let started = site.post("/start", &[("token", &asked.token()), ("input", "{\"a\": 1}")]).await;
    assert_eq!(started.status, 303, "{}", started.body);
    let page = started.header("location").expect("where it is").to_owned();
    let name = page.rsplit('/').next().expect("a name").to_owned();
    let run = site.get(&page).await;
    assert!(run.body.contains("Running") && run.body.contains("Stop…") && !run.body.contains("Redrive…"));
    let again = site.get(&format!("/start?like={name}")).await;
    assert!(again.body.contains("&#34;a&#34;"), "the same input: {}", again.body);

    let asked = site.get(&format!("{page}/stop")).await;
    let stopped = site.post(&format!("{page}/stop"), &[("token", &asked.token()), ("cause", "<b>enough</b>")]).await;
    assert_eq!(stopped.status, 303, "{}", stopped.body);
    site.until(&name, "was stopped", |status| status == "ABORTED").await;
    let run = site.get(&page).await;
    assert!(run.body.contains("&#60;b&#62;enough") && !run.body.contains("<b>enough"), "{}", run.body);

    let asked = site.get(&format!("{page}/redrive")).await;
    assert!(asked.body.contains("No newer run has loaded since"), "{}", asked.body);
    let redriven = site.post(&format!("{page}/redrive"), &[("token", &asked.token())]).await;
    assert_eq!(redriven.status, 303, "{}", redriven.body);
    site.until(&name, "goes on", |status| status == "RUNNING").await;
    assert!(site.get(&page).await.body.contains("redriven 1 times"));
    let refused = site.get(&format!("{page}/redrive")).await;
    assert!(refused.status == 409 && refused.body.contains("is at work"), "{}", refused.body);
}

#[tokio::test]
async fn an_input_that_is_no_json_starts_nothing_and_is_kept() {
    let site = Site::of(machine()).await;
    let token = site.get("/start").await.token();
    let refused = site.post("/start", &[("token", &token), ("input", "{\"full\": yes}")]).await;
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("The input is no JSON") && refused.body.contains("yes}"), "{}", refused.body);
    assert_eq!(count(&site).await, 0);
}

#[tokio::test]
async fn another_site_changes_nothing() {
    let site = Site::of(machine()).await;
    let name = site.run("{\"fails\": true}").await;
    let token = site.get("/start").await.token();
    let own = site.origin();
    let body = form(&[("token", &token), ("input", "{}")]);
    for headers in [
        &[("origin", "http://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:1")],
        &[("origin", own.as_str()), ("sec-fetch-site", "cross-site")],
    ] {
        for target in ["/start".to_owned(), format!("/runs/{name}/stop"), format!("/runs/{name}/redrive")] {
            let answer = site.ask("POST", &target, headers, &body).await;
            assert_eq!(answer.status, 403, "{target} {headers:?}: {}", answer.body);
        }
    }
    for token in ["", "0", &"0".repeat(32)] {
        let answer = site.post("/start", &[("token", token), ("input", "{}")]).await;
        assert!(answer.status == 403 && answer.body.contains("load the page again"), "{}", answer.body);
        let answer = site.post(&format!("/runs/{name}/redrive"), &[("token", token)]).await;
        assert_eq!(answer.status, 403);
    }
    let described = site.orchestrator().describe(&site.orchestrator().arn(&name)).await.expect("it is known");
    assert_eq!((count(&site).await, described.redrive_count), (1, Some(0)));
}

#[tokio::test]
async fn a_console_that_only_reads_has_no_hand() {
    let site = Site::read_only(machine()).await;
    let name = site.run("{\"fails\": true}").await;
    for page in ["/runs".to_owned(), format!("/runs/{name}")] {
        let body = site.get(&page).await.body;
        assert!(body.contains("read only"), "{body}");
        for hand in ["data-dialog", "method=\"post\"", "Redrive…", "Start a run"] {
            assert!(!body.contains(hand), "{page}: {hand}");
        }
    }
    for target in ["/start".to_owned(), format!("/runs/{name}/stop"), format!("/runs/{name}/redrive")] {
        assert_eq!(site.get(&target).await.status, 404);
        assert_eq!(site.post(&target, &[("token", ""), ("input", "{}")]).await.status, 404);
    }
    assert_eq!(count(&site).await, 1);
}
