//! What the pages show of runs, and that nothing in them is obeyed.

use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::site::Site;

/// What would be seen by a browser if it were written as it is.
const HOSTILE: &str = "<script>alert(1)</script>\"'&\u{202e}";

fn passing() -> serde_json::Value {
    json!({ "StartAt": "Only", "States": { "Only": { "Type": "Pass", "End": true } } })
}

#[tokio::test]
async fn runs_are_listed_searched_and_paged() {
    let site = Site::of(passing()).await;
    let empty = site.get("/runs").await;
    assert!(empty.status == 200 && empty.body.contains("No run yet"), "{}", empty.body);
    let mut names = Vec::new();
    for _ in 0..60 {
        names.push(site.run("{}").await);
    }
    let first = site.get("/runs").await.body;
    let shown = |page: &str, name: &str| page.contains(&format!(">{name}</a>"));
    assert!(names[10..].iter().all(|name| shown(&first, name)), "the newest fifty");
    assert!(!names[..10].iter().any(|name| shown(&first, name)));
    let (_, older) = first.split_once("rel=\"next\" href=\"").expect("there are more");
    let older = older.split('"').next().expect("an end").replace("&amp;", "&").replace("&#38;", "&");
    let second = site.get(&older).await.body;
    assert!(names[..10].iter().all(|name| shown(&second, name)), "{second}");
    assert!(!second.contains("rel=\"next\""));

    let found = site.get(&format!("/runs?q={}", names[3])).await.body;
    assert!(shown(&found, &names[3]) && names.iter().filter(|name| shown(&found, name)).count() == 1);
    let day = &names[0][..10];
    assert!(shown(&site.get(&format!("/runs?from={day}&to={day}&q={}", names[5])).await.body, &names[5]));
    for none in ["/runs?status=FAILED", "/runs?to=2000-01-01", "/runs?from=2999-01-01", "/runs?q=nothing"] {
        let page = site.get(none).await;
        assert!(page.status == 200 && page.body.contains("No run is like that."), "{none}: {}", page.body);
    }
}

#[tokio::test]
async fn a_run_is_told_on_every_tab_and_nothing_in_it_is_obeyed() {
    let definition = json!({
        "StartAt": HOSTILE,
        "States": {
            (HOSTILE): { "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
                         "Parameters": { "FunctionName": HOSTILE, "Payload.$": "$" },
                         "Catch": [{ "ErrorEquals": ["States.ALL"], "Next": "End" }], "Next": "End" },
            "End": { "Type": "Fail", "Error": HOSTILE, "Cause": HOSTILE },
        },
    });
    let site = Site::of(definition).await;
    let name = site.run(&json!({ "said": HOSTILE }).to_string()).await;
    let step = crate::site::form(&[("step", HOSTILE)]);
    let mut targets = vec!["/runs".to_owned(), format!("/runs?q={}", "%3Cscript%3Ealert(1)%3C/script%3E")];
    for tab in ["graph", "table", "events", "definition", "io", "%3Cscript%3E"] {
        targets.push(format!("/runs/{name}?tab={tab}&{step}&q=%22%3E%3Cscript%3E"));
    }
    targets.push(format!("/runs/{name}/redrive"));
    targets.push(format!("/start?like={name}"));
    for target in &targets {
        let page = site.get(target).await;
        assert_eq!(page.status, 200, "{target}: {}", page.body);
        assert!(!page.body.contains("<script>"), "{target}: {}", page.body);
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!page.body.contains(" style=") && !page.body.contains(" onclick="), "the policy forbids it");
    }
    let run = site.get(&format!("/runs/{name}?{step}")).await.body;
    for told in
        ["Failed", "&#60;script&#62;alert(1)", "Lambda.ResourceNotFoundException", "Redrive…", "aws stepfunctions"]
    {
        assert!(run.contains(told), "{told}: {run}");
    }
    assert!(site.get(&format!("/runs/{name}?tab=io")).await.body.contains("said"));
    assert!(site.get(&format!("/runs/{name}?tab=definition")).await.body.contains("StartAt"));
    let failed = site.get(&format!("/runs/{name}?tab=events&q=TaskFailed")).await.body;
    assert!(failed.contains("1 of ") && failed.contains("TaskFailed"), "{failed}");
    let picture = site.get(&format!("/runs/{name}/graph.svg")).await;
    assert_eq!(picture.header("content-type"), Some("image/svg+xml"));
    assert!(!picture.body.contains("<script>"), "{}", picture.body);
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    let site = Site::of(passing()).await;
    for (target, status) in [
        ("/runs/nothing", 404),
        ("/runs/arn:aws:states:us-east-1:000000000000:execution:shop-etl:nothing", 404),
        ("/nowhere", 404),
        ("/assets/1/../../Cargo.toml", 404),
        ("/assets/1/console.rs", 404),
        ("/runs?token=made-up", 502),
    ] {
        let answer = site.get(target).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.body);
    }
    for name in ["console.css", "graph.css", "console.js", "htmx.js", "sse.js"] {
        let asset = site.get(&format!("/assets/1/{name}")).await;
        assert!(asset.status == 200 && asset.body.len() > 100, "{name}");
    }
}

#[tokio::test]
async fn a_page_is_small_and_asks_nobody_else() {
    let site = Site::of(passing()).await;
    let name = site.run("{}").await;
    let mut size = 0;
    let page = site.get(&format!("/runs/{name}")).await.body;
    for reference in page.split("=\"/assets/").skip(1) {
        let target = reference.split('"').next().expect("an end");
        size += site.get(&format!("/assets/{target}")).await.body.len();
    }
    assert!(size > 50_000, "the assets were found: {size}");
    assert!(page.len() + size < 150_000, "{} and {size} bytes", page.len());
    let foreign = page.split(&['"', '\''][..]).find(|text| text.starts_with("http") || text.starts_with("//"));
    assert!(foreign.is_none_or(|text| text.starts_with("http://www.w3.org/")), "{foreign:?}");
}

#[tokio::test]
async fn a_page_hears_of_what_changes() {
    let definition =
        json!({ "StartAt": "Wait", "States": { "Wait": { "Type": "Wait", "Seconds": 600, "End": true } } });
    let site = Site::of(definition).await;
    let arn = site.orchestrator().start_with("{}").await.expect("it starts");
    let name = arn.rsplit(':').next().expect("a name").to_owned();
    for target in ["/live/runs".to_owned(), format!("/live/runs/{name}")] {
        let mut events = site.connect("GET", &target, &[], "").await;
        let mut heard = String::new();
        let mut bytes = [0; 4_096];
        let mut changes = 0;
        while changes < 2 {
            let read = tokio::time::timeout(std::time::Duration::from_secs(20), events.read(&mut bytes)).await;
            let read = read.unwrap_or_else(|_| panic!("{target}: nothing more than {heard}")).expect("it goes on");
            assert_ne!(read, 0, "{target} ended: {heard}");
            heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
            let now = heard.matches("event: changed").count();
            if now == 1 && changes == 0 {
                // The first is what is; the second is what becomes of it.
                if target == "/live/runs" {
                    site.orchestrator().start_with("{}").await.expect("it starts");
                } else {
                    site.orchestrator().stop(&arn, None).await.expect("it stops");
                }
            }
            changes = now;
        }
    }
}
