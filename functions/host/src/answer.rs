//! What an AWS service answered, as the cause of an error: its code and its words, and nothing of a request.

use std::error::Error;
use std::fmt;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// A service's refusal.
#[derive(Debug)]
struct Refusal {
    code: String,
    message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Error for Refusal {}

/// The cause beneath a failed call: what the service said, or else the SDK's own error with all that led to it.
#[must_use]
pub fn cause<E, R>(error: SdkError<E, R>) -> Box<dyn Error + Send + Sync>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    R: fmt::Debug + Send + Sync + 'static,
    SdkError<E, R>: ProvideErrorMetadata,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => Box::new(Refusal { code: code.to_owned(), message: message.to_owned() }),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use catalog::Fault;

    use super::*;

    fn report(error: SdkError<GetObjectError, &'static str>) -> String {
        catalog::Error::because(Fault::LakeUnavailable, "cannot read s3://b/k", cause(error)).report()
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_service() {
        let refused = ErrorMetadata::builder().code("SlowDown").message("Please reduce your request rate.").build();
        let report = report(SdkError::service_error(GetObjectError::generic(refused), "Authorization: hunter2"));
        assert!(
            report.starts_with("cannot read s3://b/k: SlowDown: Please reduce your request rate. (to do: "),
            "{report}"
        );
    }

    #[test]
    fn a_call_that_got_no_answer_is_told_with_all_that_led_to_it() {
        let report = report(SdkError::timeout_error(std::io::Error::other("connection refused")));
        assert!(
            report.starts_with("cannot read s3://b/k: request has timed out: connection refused (to do"),
            "{report}"
        );
    }
}
