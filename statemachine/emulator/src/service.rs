//! What tasks call.

use asl::Resource;
use futures_util::future::BoxFuture;
use serde_json::Value;

/// The services behind the integrations that the interpreter knows.
pub trait Service: Send + Sync {
    /// Calls one; what is answered is the task's result.
    fn call(&self, resource: Resource, parameters: Value) -> Called;
}

/// An answer that is on its way.
pub type Called = BoxFuture<'static, Result<Value, CallFailed>>;

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailed {
    /// The error's name, as Retry and Catch know it: `Lambda.ServiceException`.
    pub error: String,
    /// What it said.
    pub cause: String,
}
