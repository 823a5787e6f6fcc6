//! Runs the application for one request, whatever version of HTTP it came by.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::{Context, Poll},
};

use actix_http::{
    Request, Response,
    body::{BoxBody, EitherBody, MessageBody},
};
use actix_service::Service;

/// The application's response; `None` where `gone` was ready while the application was not. `gone` is asked after the
/// application: an answer that is ready at once is given even to who has left.
pub(super) async fn call<S, B>(
    app: &S,
    request: Request,
    mut gone: impl FnMut(&mut Context<'_>) -> Poll<()>,
) -> Option<Response<EitherBody<B, BoxBody>>>
where
    S: Service<Request>,
    S::Error: Into<actix_web::Error>,
    S::Response: Into<Response<B>>,
    B: MessageBody + 'static,
{
    let ready = poll_fn(|context| app.poll_ready(context)).await;
    let result = match ready {
        Ok(()) => {
            let mut handler = pin!(app.call(request));
            poll_fn(|context| match handler.as_mut().poll(context) {
                Poll::Ready(result) => Poll::Ready(Some(result)),
                Poll::Pending => gone(context).map(|()| None),
            })
            .await?
        }
        Err(error) => Err(error),
    };
    Some(match result {
        Ok(response) => response.into().map_body(|_, body| EitherBody::left(body)),
        Err(error) => {
            let response: Response<BoxBody> = error.into().into();
            response.map_body(|_, body| EitherBody::right(body))
        }
    })
}
