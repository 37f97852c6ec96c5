//! `google.storage.v2`, as far as the project calls it: look at an object, list, copy, delete. Any other method is answered
//! with "unimplemented", so that a new use shows at once.

use crate::{Draft, State, Stored};
use axum::{
    body::Body,
    extract::{self, Path, Request},
    response::Response,
};
use googleapis_tonic_google_storage_v2::google::storage::v2::{
    DeleteObjectRequest, GetObjectRequest, ListObjectsRequest, ListObjectsResponse, Object, ObjectChecksums,
    RewriteObjectRequest, RewriteResponse,
};
use prost::Message;
use prost_types::Timestamp;
use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};
use tonic::{Status, server::Grpc};
use tonic_prost::ProstCodec;

const PAGE: usize = 1000;

pub(crate) async fn call(
    extract::State(state): extract::State<State>,
    Path(method): Path<String>,
    request: Request,
) -> Response {
    match method.as_str() {
        "GetObject" => unary(request, move |asked| get(&state, &asked)).await,
        "ListObjects" => unary(request, move |asked| list(&state, asked)).await,
        "RewriteObject" => unary(request, move |asked| rewrite(&state, &asked)).await,
        "DeleteObject" => unary(request, move |asked| delete(&state, &asked)).await,
        other => Status::unimplemented(format!("{other} is not part of this test server")).into_http(),
    }
}

fn get(state: &State, asked: &GetObjectRequest) -> Result<Object, Status> {
    let found = state.objects.get(short(&asked.bucket), &asked.object);
    found.as_ref().map(object).ok_or_else(|| Status::not_found("No such object"))
}

/// Copies all of the object in one call.
fn rewrite(state: &State, asked: &RewriteObjectRequest) -> Result<RewriteResponse, Status> {
    let found = state.objects.get(short(&asked.source_bucket), &asked.source_object);
    let source = found.ok_or_else(|| Status::not_found("No such object"))?;
    let draft = Draft {
        bucket: short(&asked.destination_bucket).to_owned(),
        name: asked.destination_name.clone(),
        content_type: source.content_type,
        metadata: source.metadata,
        ..Draft::default()
    };
    let size = source.content.len() as i64;
    let copy = state.objects.put(draft, source.content).map_err(|_| Status::not_found("No such bucket"))?;
    let resource = Some(object(&copy));
    Ok(RewriteResponse { total_bytes_rewritten: size, object_size: size, done: true, resource, ..Default::default() })
}

fn delete(state: &State, asked: &DeleteObjectRequest) -> Result<(), Status> {
    let deleted = state.objects.delete(short(&asked.bucket), &asked.object);
    deleted.map(|_| ()).ok_or_else(|| Status::not_found("No such object"))
}

/// Pages begin after the name that is the page token.
fn list(state: &State, asked: ListObjectsRequest) -> Result<ListObjectsResponse, Status> {
    let all = state.objects.all(short(&asked.parent)).ok_or_else(|| Status::not_found("No such bucket"))?;
    let limit = usize::try_from(asked.page_size).ok().filter(|size| (1..=PAGE).contains(size)).unwrap_or(PAGE);
    let wanted = |stored: &&Stored| {
        let name = stored.name.as_str();
        name.starts_with(&asked.prefix)
            && name >= asked.lexicographic_start.as_str()
            && name > asked.page_token.as_str()
    };
    let mut page = ListObjectsResponse::default();
    for stored in all.iter().filter(wanted) {
        if page.objects.len() == limit {
            page.next_page_token = page.objects.last().map(|last| last.name.clone()).unwrap_or_default();
            break;
        }
        page.objects.push(object(stored));
    }
    Ok(page)
}

fn object(stored: &Stored) -> Object {
    let time =
        Timestamp { seconds: stored.created_at.timestamp(), nanos: stored.created_at.timestamp_subsec_nanos() as i32 };
    Object {
        bucket: format!("projects/_/buckets/{}", stored.bucket),
        name: stored.name.clone(),
        generation: stored.generation,
        metageneration: 1,
        size: stored.content.len() as i64,
        content_type: stored.content_type.clone(),
        metadata: stored.metadata.clone().into_iter().collect(),
        storage_class: "STANDARD".to_owned(),
        checksums: Some(ObjectChecksums { crc32c: Some(stored.crc32c), ..Default::default() }),
        create_time: Some(time),
        update_time: Some(time),
        ..Default::default()
    }
}

fn short(bucket: &str) -> &str {
    bucket.rsplit('/').next().unwrap_or(bucket)
}

/// Answers one call of one message.
async fn unary<Q, A>(request: Request, answer: impl Fn(Q) -> Result<A, Status> + Send) -> Response
where
    Q: Message + Default + Send + 'static,
    A: Message + Send + 'static,
{
    let mut grpc = Grpc::new(ProstCodec::<A, Q>::default());
    grpc.unary(Answer(answer), request).await.map(Body::new)
}

/// A function as a tonic service.
struct Answer<F>(F);

impl<Q, A, F: Fn(Q) -> Result<A, Status>> tower::Service<tonic::Request<Q>> for Answer<F> {
    type Response = tonic::Response<A>;
    type Error = Status;
    type Future = Ready<Result<tonic::Response<A>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<Q>) -> Self::Future {
        ready((self.0)(request.into_inner()).map(tonic::Response::new))
    }
}
