//! S3 over a folder: objects are plain files under `lake/<bucket>/<key>`.
//!
//! As strict as the deployed buckets: objects are created and never overwritten or deleted, every request is signed, and
//! a function reaches its own prefixes alone. Operations that nobody here needs are refused as not implemented.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use catalog::key::Bucket;
use catalog::{Access, Deployment};
use futures_util::TryStreamExt as _;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::checksum::ChecksumHasher;
use s3s::dto::{
    CommonPrefix, ETag, ETagCondition, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListObjectsV2Input, ListObjectsV2Output,
    Object, PutObjectInput, PutObjectOutput, StreamingBlob, Timestamp,
};
use s3s::path::S3Path;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use serde_json::json;

use crate::calls::Calls;
use crate::credentials::Credentials;
use crate::door::Identity;

/// What S3 allows an answer to list.
const MAX_KEYS: usize = 1_000;

/// The S3 service of a home.
pub(crate) fn service(
    folder: &Path,
    deployment: &Deployment,
    credentials: &Credentials,
    calls: Arc<Calls>,
) -> io::Result<S3Service> {
    let names = BucketNames::of(deployment);
    for (_, bucket) in &names.0 {
        fs::create_dir_all(folder.join(bucket))?;
    }
    let incoming = folder.join(".incoming");
    if incoming.exists() {
        fs::remove_dir_all(&incoming)?; // Of a stack that crashed in the middle of a write.
    }
    fs::create_dir_all(&incoming)?;
    let mut auth = SimpleAuth::new();
    let mut reaches = HashMap::new();
    let catalog = &deployment.catalog;
    for function in catalog.all_functions() {
        reaches.insert(deployment.function(function), catalog.access(function));
    }
    for (identity, secret) in credentials.all() {
        auth.register(identity.to_owned(), secret.to_owned().into());
    }
    let lake = Folder { root: folder.to_path_buf(), names: names.clone(), written: AtomicU64::new(0) };
    let mut builder = S3ServiceBuilder::new(lake);
    builder.set_auth(auth);
    builder.set_access(Roles { names, reaches, calls });
    Ok(builder.build())
}

/// The two buckets by their names here.
#[derive(Clone, Debug)]
struct BucketNames([(Bucket, String); 2]);

impl BucketNames {
    fn of(deployment: &Deployment) -> Self {
        Self(Bucket::ALL.map(|bucket| (bucket, deployment.bucket(bucket))))
    }

    fn bucket(&self, name: &str) -> Option<Bucket> {
        self.0.iter().find(|(_, known)| known == name).map(|(bucket, _)| *bucket)
    }
}

/// What each identity may do: the operator reads everything, a function what its role in AWS would let it.
struct Roles {
    names: BucketNames,
    reaches: HashMap<String, Access>,
    calls: Arc<Calls>,
}

impl Roles {
    /// A function's call, as its role in AWS and the bucket's policy are asked.
    fn record(&self, identity: &str, operation: &str, context: &S3AccessContext<'_>) {
        let place = |bucket: &str| self.names.bucket(bucket).map_or("another", Bucket::name);
        match context.s3_path() {
            S3Path::Object { bucket, key } => {
                let header = context.headers().get("if-none-match").and_then(|value| value.to_str().ok());
                let condition = header.map_or_else(|| json!({}), |value| json!({ "s3:if-none-match": value }));
                let resource = json!({ "bucket": place(bucket), "key": key });
                self.calls.record(identity, &format!("s3:{operation}"), resource, condition);
            }
            S3Path::Bucket { bucket } if operation == "ListObjectsV2" => {
                let prefix = json!({ "s3:prefix": prefix_of(context) });
                self.calls.record(identity, "s3:ListBucket", json!({ "bucket": place(bucket) }), prefix);
            }
            _ => {}
        }
    }
}

/// The prefix that a listing asks for.
fn prefix_of(context: &S3AccessContext<'_>) -> Option<String> {
    let query = context.uri().query().unwrap_or_default();
    let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix="))?;
    Some(percent_encoding::percent_decode_str(prefix).decode_utf8_lossy().into_owned())
}

#[async_trait::async_trait]
impl S3Access for Roles {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        // Who signed it is the door's to say. (The S3 server checks again, which takes older signatures too.)
        let identity = context.extensions_mut().get::<Identity>().map(|Identity(identity)| identity.clone());
        let identity = identity.ok_or_else(|| s3_error!(AccessDenied, "the request is not signed"))?;
        let operation = context.s3_op().name();
        let reading = matches!(operation, "GetObject" | "HeadObject");
        let Some(access) = self.reaches.get(&identity) else {
            // The operator: whoever holds the home's own key.
            return if operation == "PutObject" { Err(denied(&identity, operation)) } else { Ok(()) };
        };
        self.record(&identity, operation, context);
        let within = |prefixes: &[(Bucket, String)], bucket: &str, key: &str| {
            let bucket = self.names.bucket(bucket);
            prefixes.iter().any(|(of, prefix)| Some(*of) == bucket && key.starts_with(prefix.as_str()))
        };
        let allowed = match context.s3_path() {
            S3Path::Object { bucket, key } if reading => within(&access.reads, bucket, key),
            S3Path::Object { bucket, key } if operation == "PutObject" => within(&access.creates, bucket, key),
            S3Path::Bucket { bucket } if operation == "ListObjectsV2" => {
                prefix_of(context).is_some_and(|prefix| within(&access.reads, bucket, &prefix))
            }
            _ => false,
        };
        if allowed { Ok(()) } else { Err(denied(&identity, operation)) }
    }
}

fn denied(identity: &str, operation: &str) -> S3Error {
    S3Error::with_message(
        S3ErrorCode::AccessDenied,
        format!("{identity} is not authorized to perform s3:{operation} here"),
    )
}

/// The buckets as folders.
struct Folder {
    root: PathBuf,
    names: BucketNames,
    written: AtomicU64,
}

impl Folder {
    fn bucket(&self, name: &str) -> S3Result<PathBuf> {
        match self.names.bucket(name) {
            Some(_) => Ok(self.root.join(name)),
            None => Err(s3_error!(NoSuchBucket, "The specified bucket does not exist")),
        }
    }

    /// The file of an object. Keys that are no plain relative path could lead out of the bucket.
    fn file(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() <= 255;
        if !key.split('/').all(plain) || key.contains(['\0', '\\']) {
            return Err(s3_error!(InvalidArgument, "this key cannot be a file here"));
        }
        Ok(self.bucket(bucket)?.join(key))
    }

    fn open(&self, bucket: &str, key: &str) -> S3Result<(fs::File, fs::Metadata)> {
        let path = self.file(bucket, key)?;
        let open = || -> io::Result<_> {
            let file = fs::File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_file() { Ok((file, metadata)) } else { Err(io::ErrorKind::NotFound.into()) }
        };
        open().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                s3_error!(NoSuchKey, "The specified key does not exist.")
            }
            _ => failed(&error),
        })
    }

    fn list(&self, input: &ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let root = self.bucket(&input.bucket)?;
        let wanted = usize::try_from(input.max_keys.unwrap_or(1_000)).unwrap_or_default().min(MAX_KEYS);
        let after = input.continuation_token.as_ref().or(input.start_after.as_ref()).cloned().unwrap_or_default();
        let delimiter = match input.delimiter.as_deref() {
            None | Some("") => false,
            Some("/") => true,
            Some(_) => return Err(s3_error!(NotImplemented, "the only delimiter here is /")),
        };
        let prefix = input.prefix.clone().unwrap_or_default();
        let mut listing = Listing { prefix: &prefix, after: &after, delimiter, limit: wanted + 1, found: Vec::new() };
        listing.walk(&root, "").map_err(|error| failed(&error))?;
        let mut found = listing.found;
        let is_truncated = found.len() > wanted;
        found.truncate(wanted);
        let next = found.last().filter(|_| is_truncated).map(Found::key);
        let key_count = i32::try_from(found.len()).unwrap_or(i32::MAX);
        let (mut contents, mut common_prefixes) = (Vec::new(), Vec::new());
        for entry in found {
            match entry {
                Found::Prefix(prefix) => common_prefixes.push(CommonPrefix { prefix: Some(prefix) }),
                Found::Object(key, metadata) => contents.push(Object {
                    key: Some(key),
                    size: i64::try_from(metadata.len()).ok(),
                    last_modified: modified(&metadata),
                    e_tag: Some(etag(&metadata)),
                    ..Object::default()
                }),
            }
        }
        Ok(ListObjectsV2Output {
            name: Some(input.bucket.clone()),
            prefix: input.prefix.clone(),
            delimiter: input.delimiter.clone(),
            max_keys: input.max_keys,
            key_count: Some(key_count),
            is_truncated: Some(is_truncated),
            next_continuation_token: next,
            contents: Some(contents),
            common_prefixes: Some(common_prefixes),
            ..ListObjectsV2Output::default()
        })
    }
}

/// One line of a listing.
enum Found {
    Object(String, fs::Metadata),
    Prefix(String),
}

impl Found {
    fn key(&self) -> String {
        match self {
            Self::Object(key, _) | Self::Prefix(key) => key.clone(),
        }
    }
}

/// A walk through a bucket in the order of its keys, into those folders alone that may hold what is wanted.
struct Listing<'l> {
    prefix: &'l str,
    after: &'l str,
    delimiter: bool,
    limit: usize,
    found: Vec<Found>,
}

impl Listing<'_> {
    fn walk(&mut self, folder: &Path, path: &str) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // A folder stands where the keys in it stand: `a-b` comes before `a/b`.
            let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
            names.push(format!("{path}{name}{slash}"));
        }
        names.sort_unstable();
        for name in names {
            if self.found.len() >= self.limit {
                break;
            }
            let is_folder = name.ends_with('/');
            let leads_there = is_folder && (self.prefix.starts_with(&name) || name.starts_with(self.prefix));
            let is_over = name.as_str() <= self.after && !(is_folder && self.after.starts_with(&name));
            if is_over || !(leads_there || name.starts_with(self.prefix)) {
                continue;
            }
            let inner = folder.join(name[path.len()..].trim_end_matches('/'));
            if !is_folder {
                self.found.push(Found::Object(name, fs::metadata(inner)?));
            } else if self.delimiter && name.len() > self.prefix.len() {
                self.found.push(Found::Prefix(name));
            } else {
                self.walk(&inner, &name)?;
            }
        }
        Ok(())
    }
}

fn failed(error: &io::Error) -> S3Error {
    match error.kind() {
        // What a full disk is here, S3 never has; it is as transient as a server's own trouble.
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            S3Error::with_message(S3ErrorCode::InternalError, "no space is left in the folder of the lake")
        }
        _ => S3Error::with_message(S3ErrorCode::InternalError, error.to_string()),
    }
}

fn modified(metadata: &fs::Metadata) -> Option<Timestamp> {
    metadata.modified().ok().map(Timestamp::from)
}

/// An object never changes, so its size and time tell it from every other one of its key.
fn etag(metadata: &fs::Metadata) -> ETag {
    let age = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    ETag::Strong(format!("{:x}-{:x}", metadata.len(), age.as_nanos()))
}

#[async_trait::async_trait]
impl S3 for Folder {
    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let mut input = req.input;
        if !input.if_none_match.as_ref().is_some_and(ETagCondition::is_any) {
            return Err(s3_error!(AccessDenied, "objects are created here, never overwritten: send If-None-Match: *"));
        }
        let file = self.file(&input.bucket, &input.key)?;
        let body = input.body.take().ok_or_else(|| s3_error!(IncompleteBody))?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let incoming = self.root.join(".incoming").join(number.to_string());
        let stored = store(body, &incoming, &file, &mut input, req.trailing_headers.as_ref()).await;
        let removed = fs::remove_file(&incoming);
        let metadata = stored?;
        removed.map_err(|error| failed(&error))?;
        Ok(S3Response::new(PutObjectOutput { e_tag: Some(etag(&metadata)), ..PutObjectOutput::default() }))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        let (mut file, metadata) = self.open(&input.bucket, &input.key)?;
        let (mut length, mut content_range) = (metadata.len(), None);
        if let Some(range) = input.range {
            let bytes = range.check(metadata.len())?;
            length = bytes.end - bytes.start;
            content_range = Some(format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, metadata.len()));
            file.seek(io::SeekFrom::Start(bytes.start)).map_err(|error| failed(&error))?;
        }
        let reader = io::Read::take(file, length);
        let chunks = futures_util::stream::try_unfold(reader, async |mut reader| {
            let mut chunk = Vec::with_capacity(256 << 10);
            let read = io::Read::take(&mut reader, 256 << 10).read_to_end(&mut chunk)?;
            Ok::<_, io::Error>((read > 0).then(|| (bytes::Bytes::from(chunk), reader)))
        });
        Ok(S3Response::new(GetObjectOutput {
            body: Some(StreamingBlob::wrap(Box::pin(chunks))),
            content_length: i64::try_from(length).ok(),
            content_range,
            accept_ranges: Some("bytes".to_owned()),
            last_modified: modified(&metadata),
            e_tag: Some(etag(&metadata)),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let (_, metadata) = self.open(&req.input.bucket, &req.input.key)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(metadata.len()).ok(),
            accept_ranges: Some("bytes".to_owned()),
            last_modified: modified(&metadata),
            e_tag: Some(etag(&metadata)),
            ..HeadObjectOutput::default()
        }))
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.bucket(&req.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let bucket = |name: &String| -> S3Result<s3s::dto::Bucket> {
            let metadata = fs::metadata(self.bucket(name)?).map_err(|error| failed(&error))?;
            let made = metadata.created().ok().map(Timestamp::from).or_else(|| modified(&metadata));
            Ok(s3s::dto::Bucket { name: Some(name.clone()), creation_date: made, ..s3s::dto::Bucket::default() })
        };
        let buckets = self.names.0.iter().map(|(_, name)| bucket(name)).collect::<S3Result<_>>()?;
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets), ..ListBucketsOutput::default() }))
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.list(&req.input).map(S3Response::new)
    }
}

/// Writes a body beside the lake, verifies it, and links it into its place: atomic, and refused where one stands.
async fn store(
    mut body: StreamingBlob,
    incoming: &Path,
    place: &Path,
    input: &mut PutObjectInput,
    trailers: Option<&s3s::TrailingHeaders>,
) -> S3Result<fs::Metadata> {
    let mut hasher = ChecksumHasher::default();
    let by_trailer = |name: &str| input.checksum_algorithm.as_ref().is_some_and(|algorithm| algorithm.as_str() == name);
    if input.checksum_crc32.is_some() || by_trailer("CRC32") {
        hasher.crc32 = Some(s3s::crypto::Checksum::new());
    }
    if input.checksum_crc64nvme.is_some() || by_trailer("CRC64NVME") {
        hasher.crc64nvme = Some(s3s::crypto::Checksum::new());
    }
    let mut file = fs::File::create(incoming).map_err(|error| failed(&error))?;
    let mut length = 0_i64;
    while let Some(chunk) =
        body.try_next().await.map_err(|error| S3Error::with_message(S3ErrorCode::IncompleteBody, error.to_string()))?
    {
        hasher.update(&chunk);
        file.write_all(&chunk).map_err(|error| failed(&error))?;
        length += i64::try_from(chunk.len()).unwrap_or(i64::MAX);
    }
    if input.content_length.is_some_and(|announced| announced != length) {
        return Err(s3_error!(IncompleteBody, "the body is not as long as announced"));
    }
    let trailer = |name: &str| {
        let trailers = trailers.and_then(s3s::TrailingHeaders::take);
        trailers.and_then(|headers| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned))
    };
    let computed = hasher.finalize();
    if let Some(crc32) = &computed.checksum_crc32 {
        let sent = input.checksum_crc32.take().or_else(|| trailer("x-amz-checksum-crc32"));
        if sent.as_ref() != Some(crc32) {
            return Err(s3_error!(BadDigest, "the CRC32 sent is not that of the body"));
        }
    }
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).map_err(|error| failed(&error))?;
    }
    match fs::hard_link(incoming, place) {
        Ok(()) => file.metadata().map_err(|error| failed(&error)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"))
        }
        Err(error) => Err(failed(&error)),
    }
}

/// Shared by the gateway's handlers.
pub(crate) type Shared = Arc<S3Service>;
