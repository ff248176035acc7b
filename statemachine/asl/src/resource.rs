//! The service integrations that a Task may name.

/// A service integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// [`Resource::LAMBDA_INVOKE`]
    LambdaInvoke,
    /// [`Resource::SNS_PUBLISH`]
    SnsPublish,
}

impl Resource {
    /// Calls a function and waits for its answer.
    pub const LAMBDA_INVOKE: &str = "arn:aws:states:::lambda:invoke";
    /// Publishes a message.
    pub const SNS_PUBLISH: &str = "arn:aws:states:::sns:publish";

    /// The integration that a definition names so, if it is known here.
    #[must_use]
    pub fn named(arn: &str) -> Option<Self> {
        match arn {
            Self::LAMBDA_INVOKE => Some(Self::LambdaInvoke),
            Self::SNS_PUBLISH => Some(Self::SnsPublish),
            _ => None,
        }
    }

    /// Service and action, as history events name them.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::LambdaInvoke => ("lambda", "invoke"),
            Self::SnsPublish => ("sns", "publish"),
        }
    }
}
