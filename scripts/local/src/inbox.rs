//! SNS with one topic, whose messages land in a folder: one file a message, and a word on the terminal.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use catalog::plain;
use tokio::sync::broadcast;

use crate::clock;
use crate::credentials::OPERATOR;
use crate::door::query_error as error;

/// What SNS takes.
const MAX_MESSAGE: usize = 262_144;

/// A published message.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// The file it lies in.
    pub file: PathBuf,
}

/// The topic and its folder.
pub struct Inbox {
    topic: String,
    folder: PathBuf,
    number: AtomicU64,
    arrivals: broadcast::Sender<Message>,
}

impl Inbox {
    pub(crate) fn new(topic: String, folder: PathBuf) -> Self {
        Self { topic, folder, number: AtomicU64::new(0), arrivals: broadcast::channel(64).0 }
    }

    /// Tells of every message that arrives from now on.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<Message> {
        self.arrivals.subscribe()
    }

    /// Takes a message; answers its number. Who reads its file in a terminal sees what it would have done to it.
    pub(crate) fn deliver(&self, subject: String, text: String) -> io::Result<u64> {
        let (subject, text) = (plain(&subject).into_owned(), plain(&text).into_owned());
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let file = self.folder.join(format!("{}-{number:04}.txt", clock::now().format("%Y-%m-%dT%H-%M-%S%.3fZ")));
        fs::write(&file, format!("Subject: {subject}\n\n{text}\n"))?;
        // Nobody may be listening.
        let _ = self.arrivals.send(Message { subject, text, file });
        Ok(number)
    }

    /// The query protocol: a form in, XML out.
    pub(crate) fn call(&self, identity: &str, body: &[u8]) -> Response {
        if identity != OPERATOR {
            let message = format!("{identity} is not authorized to perform: SNS:Publish");
            return error(StatusCode::FORBIDDEN, "AuthorizationError", &message);
        }
        let members: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let member = |name: &str| members.get(name).cloned().unwrap_or_default();
        if member("Action") != "Publish" {
            return error(
                StatusCode::BAD_REQUEST,
                "InvalidAction",
                &format!("{} is not supported here", member("Action")),
            );
        }
        if member("TopicArn") != self.topic {
            return error(StatusCode::NOT_FOUND, "NotFound", "Topic does not exist");
        }
        let (subject, text) = (member("Subject"), member("Message"));
        let bad_subject = subject.chars().count() > 100 || subject.contains(|c: char| c.is_control() || !c.is_ascii());
        for (wrong, what) in [
            (text.is_empty(), "Empty message"),
            (text.len() > MAX_MESSAGE, "Message too long"),
            (bad_subject, "Subject must be ASCII text of at most 100 characters without line breaks"),
        ] {
            if wrong {
                return error(StatusCode::BAD_REQUEST, "InvalidParameter", &format!("Invalid parameter: {what}"));
            }
        }
        let number = match self.deliver(subject, text) {
            Ok(number) => number,
            Err(cause) => return error(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &cause.to_string()),
        };
        let id = format!("00000000-0000-4000-8000-{number:012}");
        let xml = format!(
            "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>{id}</MessageId>\
             </PublishResult><ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></PublishResponse>"
        );
        (StatusCode::OK, [(header::CONTENT_TYPE, "text/xml")], xml).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shown_and_not_obeyed() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::new("topic".into(), folder.path().to_owned());
        let mut arrivals = inbox.watch();
        inbox.deliver("run\r failed".into(), "why\u{1b}[2J\nthen".into()).unwrap();
        let message = arrivals.try_recv().unwrap();
        assert_eq!((message.subject.as_str(), message.text.as_str()), ("run\\u000d failed", "why\\u001b[2J\nthen"));
        let file = fs::read_to_string(message.file).unwrap();
        assert_eq!(file, "Subject: run\\u000d failed\n\nwhy\\u001b[2J\nthen\n");
    }
}
