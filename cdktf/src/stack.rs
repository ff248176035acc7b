//! A Terraform stack under construction: typed resources, references that cannot dangle, deterministic JSON.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A Terraform resource; its members are the provider's arguments.
pub(crate) trait Resource: Serialize {
    /// The provider's name for it: `aws_s3_bucket`.
    const TYPE: &'static str;
}

/// A resource that is in the stack. Only adding one makes one, so that every reference leads somewhere.
pub(crate) struct Handle<R> {
    address: String,
    of: PhantomData<R>,
}

impl<R> Handle<R> {
    /// A reference to one of its attributes.
    pub(crate) fn get(&self, attribute: &str) -> String {
        format!("${{{}.{attribute}}}", self.address)
    }

    /// Its ARN.
    pub(crate) fn arn(&self) -> String {
        self.get("arn")
    }

    /// Its address, for `depends_on`.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }
}

/// The stack.
#[derive(Default)]
pub(crate) struct Stack {
    resources: BTreeMap<&'static str, BTreeMap<String, Value>>,
    data: BTreeMap<&'static str, BTreeMap<&'static str, Value>>,
    outputs: BTreeMap<String, Value>,
    doubled: Vec<String>,
}

impl Stack {
    /// Adds a resource under a name that is unique for its type.
    pub(crate) fn add<R: Resource>(&mut self, name: &str, resource: R) -> Result<Handle<R>> {
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' }).collect();
        let mut body = serde_json::to_value(resource)?;
        drop_absent(&mut body);
        let address = format!("{}.{name}", R::TYPE);
        if self.resources.entry(R::TYPE).or_default().insert(name, body).is_some() {
            self.doubled.push(address.clone());
        }
        Ok(Handle { address, of: PhantomData })
    }

    /// Looks something up that is not of the stack, and answers a reference to one of its attributes.
    pub(crate) fn data(&mut self, kind: &'static str, name: &'static str, query: Value, attribute: &str) -> String {
        self.data.entry(kind).or_default().insert(name, query);
        format!("${{data.{kind}.{name}.{attribute}}}")
    }

    /// Adds an output.
    pub(crate) fn output(&mut self, name: &str, value: String, description: &str) {
        self.outputs.insert(name.to_owned(), json!({ "value": value, "description": description }));
    }

    /// The stack as `cdk.tf.json` holds it.
    pub(crate) fn finish(mut self, name: &str, settings: Value) -> Result<Value> {
        self.data.entry("aws_caller_identity").or_default().insert("current", json!({}));
        self.data.entry("aws_partition").or_default().insert("current", json!({}));
        if !self.doubled.is_empty() {
            bail!("these resources are in the stack {name} twice: {}", self.doubled.join(", "));
        }
        let mut document = json!({
            "//": { "metadata": { "backend": "s3", "stackName": name, "version": "0.21.0", "overrides": {} }, "outputs": {} },
            "data": self.data,
            "resource": self.resources,
            "output": self.outputs,
        });
        if let (Some(document), Value::Object(settings)) = (document.as_object_mut(), settings) {
            document.extend(settings);
        }
        Ok(document)
    }
}

/// The account that is deployed to.
pub(crate) const ACCOUNT: &str = "${data.aws_caller_identity.current.account_id}";
/// `aws`, or that of China or GovCloud.
pub(crate) const PARTITION: &str = "${data.aws_partition.current.partition}";

/// Text that Terraform must not read as a template.
pub(crate) fn literal(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

/// Optional arguments that were not given are not written.
fn drop_absent(value: &mut Value) {
    match value {
        Value::Object(members) => {
            *members = std::mem::take(members).into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>();
            members.values_mut().for_each(drop_absent);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_absent),
        _ => {}
    }
}
