//! The two buckets: objects are created once, read whole and verified.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
pub use catalog::key::Bucket;
use catalog::manifest::Part;
use catalog::{Error, Fault, Result, digest, told_json};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::cause;
use crate::settings::Settings;

/// Whether an object was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was.
    Now,
    /// It was there already, and stays as it was.
    Already,
}

/// Both buckets.
#[derive(Clone, Debug)]
pub struct Lake {
    client: aws_sdk_s3::Client,
    ingestion: String,
    processed: String,
}

impl Lake {
    pub(crate) fn new(aws: &aws_config::SdkConfig, settings: &Settings) -> Self {
        Self {
            client: aws_sdk_s3::Client::new(aws),
            ingestion: settings.ingestion_bucket.clone(),
            processed: settings.processed_bucket.clone(),
        }
    }

    fn name(&self, bucket: Bucket) -> &str {
        match bucket {
            Bucket::Ingestion => &self.ingestion,
            Bucket::Processed => &self.processed,
        }
    }

    /// Creates an object; one that exists is left alone.
    ///
    /// # Errors
    /// `Lake.Unavailable`, `Lake.AccessDenied`.
    pub async fn create(&self, bucket: Bucket, key: &str, body: impl Into<Bytes>) -> Result<Created> {
        let body = ByteStream::from(body.into());
        let request = self.client.put_object().bucket(self.name(bucket)).key(key).if_none_match("*").body(body);
        match request.send().await {
            Ok(_) => Ok(Created::Now),
            Err(error) if error.code() == Some("PreconditionFailed") => Ok(Created::Already),
            Err(error) => Err(self.refused("write", bucket, key, error)),
        }
    }

    /// Creates a part from bytes that only this try writes.
    ///
    /// # Errors
    /// As [`Lake::create`].
    pub async fn create_part(&self, bucket: Bucket, key: String, rows: u64, body: Vec<u8>) -> Result<Part> {
        let part = Part { rows, bytes: body.len() as u64, sha256: digest::hex(&body), key };
        // Already there: the client sent the same bytes twice because the first answer was lost. The key holds the try.
        self.create(bucket, &part.key, body).await?;
        Ok(part)
    }

    /// Creates a JSON object, or gives the one that is there: of two writers the first wins.
    ///
    /// # Errors
    /// As [`Lake::create`] and [`Lake::read_json`].
    pub async fn create_json<T: Serialize + DeserializeOwned>(
        &self,
        bucket: Bucket,
        key: &str,
        value: T,
    ) -> Result<(T, Created)> {
        let body = serde_json::to_vec_pretty(&value)
            .map_err(|error| Error::because(Fault::Bug, format!("cannot encode {key}"), error))?;
        match self.create(bucket, key, body).await? {
            Created::Now => Ok((value, Created::Now)),
            Created::Already => match self.read_json(bucket, key).await? {
                Some(winner) => Ok((winner, Created::Already)),
                None => Err(Error::new(Fault::LakeCorrupt, format!("{} vanished", self.place(bucket, key)))),
            },
        }
    }

    /// Reads a JSON object, if it exists.
    ///
    /// # Errors
    /// `Lake.Corrupt` when it is not what was written, else as [`Lake::create`].
    pub async fn read_json<T: DeserializeOwned>(&self, bucket: Bucket, key: &str) -> Result<Option<T>> {
        let Some(body) = self.read(bucket, key).await? else {
            return Ok(None);
        };
        serde_json::from_slice(&body).map(Some).map_err(|error| {
            // It may hold rejected rows.
            let what = format!("{} is damaged: {}", self.place(bucket, key), told_json(&error));
            Error::new(Fault::LakeCorrupt, what)
        })
    }

    /// Reads a part whole and verifies it.
    ///
    /// # Errors
    /// `Lake.Corrupt` when it is missing, cut or altered, else as [`Lake::create`].
    pub async fn read_part(&self, bucket: Bucket, part: &Part) -> Result<Bytes> {
        let corrupt =
            |what: String| Error::new(Fault::LakeCorrupt, format!("{} {what}", self.place(bucket, &part.key)));
        let body = self.read(bucket, &part.key).await?.ok_or_else(|| corrupt("is missing".to_owned()))?;
        if body.len() as u64 != part.bytes {
            return Err(corrupt(format!("has {} bytes, its manifest says {}", body.len(), part.bytes)));
        }
        if digest::hex(&body) != part.sha256 {
            return Err(corrupt("is not what was written: its SHA-256 differs from its manifest's".to_owned()));
        }
        Ok(body)
    }

    /// Whether a part is there in its full size. What it holds is not looked at.
    ///
    /// # Errors
    /// As [`Lake::create`].
    pub async fn has_part(&self, bucket: Bucket, part: &Part) -> Result<bool> {
        let head = self.client.head_object().bucket(self.name(bucket)).key(&part.key).send().await;
        match head {
            Ok(head) => Ok(head.content_length().and_then(|bytes| u64::try_from(bytes).ok()) == Some(part.bytes)),
            // The answer to HEAD has no body that could say more than the status.
            Err(error) if error.code() == Some("NotFound") => Ok(false),
            Err(error) => Err(self.refused("look for", bucket, &part.key, error)),
        }
    }

    async fn read(&self, bucket: Bucket, key: &str) -> Result<Option<Bytes>> {
        let answer = match self.client.get_object().bucket(self.name(bucket)).key(key).send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(self.refused("read", bucket, key, error)),
        };
        let body = answer.body.collect().await.map_err(|error| {
            Error::because(Fault::LakeUnavailable, format!("cannot read {} to its end", self.place(bucket, key)), error)
        })?;
        Ok(Some(body.into_bytes()))
    }

    /// The first keys under a prefix, in order; at most `limit`, which is at most 1,000 for one request.
    ///
    /// # Errors
    /// As [`Lake::create`].
    pub async fn first_keys(&self, bucket: Bucket, prefix: &str, limit: i32) -> Result<Vec<String>> {
        let request = self.client.list_objects_v2().bucket(self.name(bucket)).prefix(prefix).max_keys(limit);
        let answer = request.send().await.map_err(|error| self.refused("list", bucket, prefix, error))?;
        Ok(answer.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect())
    }

    /// Every key under a prefix, in order, however many pages they are.
    ///
    /// # Errors
    /// As [`Lake::create`].
    pub async fn all_keys(&self, bucket: Bucket, prefix: &str) -> Result<Vec<String>> {
        let mut pages = self.client.list_objects_v2().bucket(self.name(bucket)).prefix(prefix).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.refused("list", bucket, prefix, error))?;
            keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
        }
        Ok(keys)
    }

    fn place(&self, bucket: Bucket, key: &str) -> String {
        format!("s3://{}/{key}", self.name(bucket))
    }

    fn refused<E, R>(&self, verb: &str, bucket: Bucket, key: &str, error: SdkError<E, R>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
        SdkError<E, R>: ProvideErrorMetadata,
    {
        let fault = match error.code() {
            Some(
                "AccessDenied" | "NoSuchBucket" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "AllAccessDisabled",
            ) => Fault::LakeAccessDenied,
            _ => Fault::LakeUnavailable,
        };
        Error::because(fault, format!("cannot {verb} {}", self.place(bucket, key)), cause(error))
    }
}
