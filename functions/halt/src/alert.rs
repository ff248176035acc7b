//! Alerts as people read them: what happened, why, what to do, and a command that does it.

use std::borrow::Cow;
use std::fmt::Write as _;

use catalog::alert::{Commands, News, TellRequest, Told};
use catalog::message::{Failure, Phase};
use catalog::{Fault, plain};

/// The longest subject that SNS takes; it has to be printable ASCII.
const MAX_SUBJECT: usize = 100;
/// The longest message, in bytes. SNS takes 256 KiB, but the message travels through the state machine, whose state is
/// limited to as much and holds the plan as well.
const MAX_MESSAGE: usize = 32_768;
/// The longest cause of one failure.
const MAX_CAUSE: usize = 4_000;
/// What the last lines of a message take at most.
const ENDING: usize = 4_096;

/// Writes an alert.
pub(crate) fn write(request: &TellRequest) -> Told {
    let commands = request.commands.about(&request.run);
    let name = &request.deployment;
    let (subject, message) = match &request.tell {
        News::Failed { phase, failures } => failed(name, *phase, failures, &commands),
        News::Rejected { rows, query } => rejected(name, *rows, query, &commands),
        News::Noticed { sentences } => noticed(name, sentences, &commands),
    };
    let message = format!("{message}\nRun: {}\nExecution: {}\n", request.run, request.execution);
    Told { subject: printable(&subject), message }
}

fn failed(name: &str, phase: Phase, failures: &[Failure], commands: &Commands) -> (String, String) {
    let groups = groups(failures);
    let mut subject = format!("{name}: {phase:?} failed");
    if let [first, ..] = &groups[..] {
        let _ = write!(subject, ": {}", first.error);
    }
    // A phase that is one function says its name already.
    if let [first, more @ ..] = failures
        && first.subject != format!("{phase:?}").to_lowercase()
    {
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        let _ = write!(subject, " ({}{more})", first.subject);
    }
    let mut message = format!("{name}: {phase:?} failed, and the run is held.\n\n");
    let mut left = failures.len();
    for group in &groups {
        let told = group.told();
        if message.len() + told.len() > MAX_MESSAGE - ENDING {
            let _ = write!(message, "{left} more failed; see them all:\n    {}\n\n", commands.show);
            break;
        }
        message.push_str(&told);
        left -= group.subjects.len();
    }
    let anew = failures.iter().filter_map(|failure| Fault::from_name(&failure.error)).any(Fault::needs_another_run);
    let (then, command) = if anew {
        ("When that is done, start another run (the next one of the schedule does as well):", &commands.start)
    } else {
        ("When that is done, let the run go on; what it finished is not done again:", &commands.redrive)
    };
    let _ = write!(message, "{then}\n    {command}\n");
    (subject, message)
}

fn rejected(name: &str, rows: u64, query: &str, commands: &Commands) -> (String, String) {
    let (rows, were) = if rows == 1 { ("1 row".to_owned(), "was") } else { (format!("{rows} rows"), "were") };
    let message = format!(
        "{name}: {rows} {were} rejected; everything else is loaded.\n\n\
         The warehouse keeps each of them with the reason:\n    {query};\n\n\
         Correct them in the source, or the rule in pipeline.toml, and a later run loads them.\n\
         How many of which table:\n    {}\n",
        commands.show
    );
    (format!("{name}: {rows} {were} rejected"), message)
}

fn noticed(name: &str, sentences: &[String], commands: &Commands) -> (String, String) {
    let mut message = format!("{name}: the run goes on, but look at this.\n\n");
    for (number, sentence) in sentences.iter().enumerate() {
        let sentence = plain(sentence);
        if message.len() + sentence.len() > MAX_MESSAGE - ENDING {
            let _ = writeln!(message, "{} more", sentences.len() - number);
            break;
        }
        let _ = writeln!(message, "- {}", indented(&cut(&sentence, MAX_CAUSE), "  "));
    }
    let _ = write!(message, "\nWhat the run did:\n    {}\n", commands.show);
    (format!("{name}: {}", sentences.first().map_or("look at this", String::as_str)), message)
}

/// Failures that say the same: a database that is down fails every table.
struct Group<'f> {
    subjects: Vec<Cow<'f, str>>,
    error: Cow<'f, str>,
    what: String,
    remedy: String,
}

impl Group<'_> {
    fn told(&self) -> String {
        let Self { subjects, error, what, remedy } = self;
        let what = indented(&cut(what, MAX_CAUSE), "    ");
        format!("{}: {error}\n    {what}\n    To do: {remedy}\n\n", subjects.join(", "))
    }
}

fn groups(failures: &[Failure]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for failure in failures {
        let (what, remedy) = match failure.error.as_str() {
            "States.Timeout" => ("it did not answer in time".to_owned(), None),
            _ => failure.parted(),
        };
        // A cause comes from wherever a function failed: a mail shows it, and obeys nothing in it.
        let what = plain(&what).into_owned();
        let remedy = remedy.map_or_else(|| remedy_of(&failure.error).to_owned(), |said| plain(&said).into_owned());
        let same = |group: &&mut Group<'_>| {
            group.error == plain(&failure.error) && group.what == what && group.remedy == remedy
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.subjects.push(plain(&failure.subject)),
            None => {
                let subjects = vec![plain(&failure.subject)];
                groups.push(Group { subjects, error: plain(&failure.error), what, remedy });
            }
        }
    }
    groups
}

/// What to do about an error whose cause does not say it: what Lambda and Step Functions raise themselves.
fn remedy_of(error: &str) -> &'static str {
    if let Some(fault) = Fault::from_name(error) {
        return fault.remedy();
    }
    match error {
        "States.Timeout" | "Sandbox.Timedout" => {
            "find what it waited for, or give it more timeout_seconds in pipeline.toml and deploy"
        }
        "Lambda.Unknown" | "Runtime.ExitError" => {
            "give it more memory_mb in pipeline.toml and deploy if it ran out of memory; else read its log"
        }
        error if error.starts_with("Lambda.") => {
            "see whether the function is deployed and may be called, and whether Lambda is well"
        }
        _ => "read the log of the function",
    }
}

fn indented(text: &str, by: &str) -> String {
    text.trim_end().replace('\n', &format!("\n{by}"))
}

fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format!("{}… ({} bytes more)", &text[..end], text.len() - end)
}

/// A subject as SNS takes it.
fn printable(subject: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let text: String = subject.chars().map(printable).collect();
    if text.len() <= MAX_SUBJECT { text } else { format!("{}...", &text[..MAX_SUBJECT - 3]) }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn told(tell: News) -> Told {
        let commands = Commands {
            show: "datadetox show RUN --home 'my home'".into(),
            redrive: "datadetox redrive RUN --home 'my home'".into(),
            start: "datadetox start --home 'my home'".into(),
        };
        let (run, execution) = ("2026-11-23T13-05-00.123Z".into(), "arn:of:it".into());
        write(&TellRequest { tell, deployment: "shop".into(), run, execution, commands })
    }

    fn failure(subject: &str, error: &str, message: &str) -> Failure {
        let cause = format!("{{\"errorType\":{error:?},\"errorMessage\":{message:?}}}");
        Failure { subject: subject.into(), error: error.into(), cause }
    }

    fn check(told: &Told, expected: &Expect) {
        expected.assert_eq(&format!("Subject: {}\n\n{}", told.subject, told.message));
    }

    #[test]
    fn a_failure_says_why_what_to_do_and_what_to_type() {
        let said =
            "cannot read \"payment\": canceling statement due to lock timeout\nat line 1 (to do: end it, then redrive)";
        let lost = "cannot connect to the source (to do: check it, then redrive)";
        let failures = vec![
            failure("payment", "Source.Busy", said),
            failure("staff", "Source.Unavailable", lost),
            failure("design", "Source.Unavailable", lost),
            Failure { subject: "address".into(), error: "States.Timeout".into(), cause: String::new() },
        ];
        let expected = expect![[r#"
            Subject: shop: Extract failed: Source.Busy (payment and 3 more)

            shop: Extract failed, and the run is held.

            payment: Source.Busy
                cannot read "payment": canceling statement due to lock timeout
                at line 1
                To do: end it, then redrive

            staff, design: Source.Unavailable
                cannot connect to the source
                To do: check it, then redrive

            address: States.Timeout
                it did not answer in time
                To do: find what it waited for, or give it more timeout_seconds in pipeline.toml and deploy

            When that is done, let the run go on; what it finished is not done again:
                datadetox redrive 2026-11-23T13-05-00.123Z --home 'my home'

            Run: 2026-11-23T13-05-00.123Z
            Execution: arn:of:it
        "#]];
        check(&told(News::Failed { phase: Phase::Extract, failures }), &expected);
    }

    #[test]
    fn a_run_that_cannot_go_on_is_not_to_be_redriven() {
        let said = "the run's input is no JSON object: a list (to do: start a run with the input {})";
        let failures = vec![failure("plan", "Input.Refused", said)];
        check(
            &told(News::Failed { phase: Phase::Plan, failures }),
            &expect![[r#"
            Subject: shop: Plan failed: Input.Refused

            shop: Plan failed, and the run is held.

            plan: Input.Refused
                the run's input is no JSON object: a list
                To do: start a run with the input {}

            When that is done, start another run (the next one of the schedule does as well):
                datadetox start --home 'my home'

            Run: 2026-11-23T13-05-00.123Z
            Execution: arn:of:it
        "#]],
        );
    }

    #[test]
    fn what_is_to_be_typed_is_what_the_remedy_says() {
        for fault in Fault::ALL {
            assert_eq!(fault.needs_another_run(), fault.remedy().contains("start a "), "{fault:?}: {}", fault.remedy());
        }
    }

    #[test]
    fn rejected_rows_say_where_they_are() {
        let query = "SELECT * FROM etl.reject WHERE pipeline = 'shop'".to_owned();
        check(
            &told(News::Rejected { rows: 3, query }),
            &expect![[r#"
            Subject: shop: 3 rows were rejected

            shop: 3 rows were rejected; everything else is loaded.

            The warehouse keeps each of them with the reason:
                SELECT * FROM etl.reject WHERE pipeline = 'shop';

            Correct them in the source, or the rule in pipeline.toml, and a later run loads them.
            How many of which table:
                datadetox show 2026-11-23T13-05-00.123Z --home 'my home'

            Run: 2026-11-23T13-05-00.123Z
            Execution: arn:of:it
        "#]],
        );
    }

    #[test]
    fn what_was_noticed_is_said_sentence_by_sentence() {
        let sentences = vec!["the clock was put back".to_owned(), "dim_staff is gone".to_owned()];
        check(
            &told(News::Noticed { sentences }),
            &expect![[r#"
            Subject: shop: the clock was put back

            shop: the run goes on, but look at this.

            - the clock was put back
            - dim_staff is gone

            What the run did:
                datadetox show 2026-11-23T13-05-00.123Z --home 'my home'

            Run: 2026-11-23T13-05-00.123Z
            Execution: arn:of:it
        "#]],
        );
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_mailed() {
        let hostile = "\u{1b}[2J\r\u{202e}\u{9b}";
        let failures = vec![failure(&format!("staff{hostile}"), &format!("E{hostile}"), "\u{1b}[2J (to do: x\u{1b}c)")];
        let failed = told(News::Failed { phase: Phase::Extract, failures });
        let noticed = told(News::Noticed { sentences: vec![format!("gone{hostile}")] });
        for Told { subject, message } in [failed, noticed] {
            let obeyed = |text: &str| text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}');
            assert!(!obeyed(&subject) && !obeyed(&message), "{subject}\n{message}");
            assert!(message.contains("\\u001b[2J"), "{message}");
        }
    }

    #[test]
    fn what_sns_does_not_take_is_cut_or_replaced() {
        let failures: Vec<_> =
            (0..100).map(|n| failure("Größe\n", "Source.Busy", &format!("{n}{}", "é".repeat(3_000)))).collect();
        let Told { subject, message } = told(News::Failed { phase: Phase::Extract, failures });
        assert_eq!(subject, "shop: Extract failed: Source.Busy (Gr??e? and 99 more)");
        assert!(message.len() <= MAX_MESSAGE, "{}", message.len());
        assert!(message.contains("… (2002 bytes more)"), "{message}");
        assert!(message.contains("more failed; see them all:\n    datadetox show 2026-"), "{message}");
        assert!(message.contains("\n    datadetox redrive 2026-"), "{message}");
        let long = told(News::Noticed { sentences: vec!["x".repeat(200); 1_000] });
        assert_eq!((long.subject.len(), long.message.len() <= MAX_MESSAGE), (MAX_SUBJECT, true));
    }
}
