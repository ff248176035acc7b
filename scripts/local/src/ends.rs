//! EventBridge here: runs that ended without a word of their own are told to the alerts' topic.

use std::sync::Arc;

use catalog::Deployment;
use catalog::deployment::Ending;
use emulator::Ended;

use crate::inbox::Inbox;

pub(crate) fn tell(deployment: Deployment, inbox: Arc<Inbox>) -> Ended {
    Arc::new(move |execution| {
        let error = execution.failure.error.as_deref();
        let Some(ending) = Ending::of(execution.status.name(), error) else { return };
        let identity = &execution.identity;
        let told = deployment.told_of_end(ending, &identity.name, error.unwrap_or("no error"), &identity.arn);
        if let Err(cause) = inbox.deliver(told.subject, told.message) {
            tracing::warn!("of the end of {} nobody can be told: {cause}", identity.name);
        }
    })
}
