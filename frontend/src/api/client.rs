//! Fetching, errors and the server's clock.

use std::cell::{Cell, RefCell};

use gloo_net::http::{Request, Response};
use js_sys::Promise;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use wasm_bindgen_futures::JsFuture;
use web_sys::{FormData, ProgressEvent, XmlHttpRequest};

use super::{ApiError, BASE};
use crate::browser;

thread_local! {
    /// The server's clock minus this machine's, milliseconds.
    static CLOCK_OFFSET_MS: Cell<i64> = const { Cell::new(0) };
    static ON_SIGNED_OUT: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Below this the clocks are taken as one: the `Date` header counts seconds.
const CLOCK_GRAIN_MS: i64 = 2_000;

/// What to do when the server asks for a key.
pub fn on_signed_out(act: impl Fn() + 'static) {
    ON_SIGNED_OUT.with(|slot| *slot.borrow_mut() = Some(Box::new(act)));
}

/// Now, milliseconds of the server's clock as far as it is known.
pub fn server_now_ms() -> i64 {
    browser::now_ms() + CLOCK_OFFSET_MS.get()
}

fn url(path: &str) -> String {
    format!("{BASE}{path}")
}

fn request_failed(error: gloo_net::Error) -> ApiError {
    match error {
        gloo_net::Error::SerdeError(error) => ApiError::Unreadable(error.to_string()),
        _ => ApiError::Unreachable,
    }
}

pub async fn get<T: DeserializeOwned>(path: &str) -> Result<T, ApiError> {
    let answer = Request::get(&url(path)).send().await;
    read(accept(answer).await?).await
}

pub async fn post(path: &str, body: &impl Serialize) -> Result<Response, ApiError> {
    let request = Request::post(&url(path)).json(body);
    accept(request.map_err(request_failed)?.send().await).await
}

pub async fn post_with_key(
    path: &str,
    body: &impl Serialize,
    idempotency_key: &str,
) -> Result<Response, ApiError> {
    let request = Request::post(&url(path))
        .header("idempotency-key", idempotency_key)
        .json(body);
    accept(request.map_err(request_failed)?.send().await).await
}

pub async fn post_form(path: &str, form: web_sys::FormData) -> Result<Response, ApiError> {
    let request = Request::post(&url(path)).body(form);
    accept(request.map_err(request_failed)?.send().await).await
}

pub async fn delete(path: &str) -> Result<(), ApiError> {
    let answer = Request::delete(&url(path)).send().await;
    accept(answer).await.map(drop)
}

/// Reads an accepted answer's JSON.
pub async fn read<T: DeserializeOwned>(answer: Response) -> Result<T, ApiError> {
    let text = answer.text().await.map_err(|_| ApiError::Unreachable)?;
    serde_json::from_str(&text).map_err(|error| ApiError::Unreadable(error.to_string()))
}

async fn accept(answer: Result<Response, gloo_net::Error>) -> Result<Response, ApiError> {
    let answer = answer.map_err(request_failed)?;
    note_clock(&answer);
    if answer.ok() {
        return Ok(answer);
    }
    let status = answer.status();
    let body = answer.text().await.unwrap_or_default();
    Err(refused(&answer.url(), status, &body))
}

fn refused(url: &str, status: u16, body: &str) -> ApiError {
    // Signing in with a wrong key is an error of its own page.
    if status == 401 && !url.ends_with("/session") {
        ON_SIGNED_OUT.with(|slot| {
            if let Some(act) = slot.borrow().as_ref() {
                act();
            }
        });
    }
    ApiError::refused(status, body)
}

/// Sends a large form; `progress` hears of the share that has been sent, 0 to 1, which
/// `fetch` does not tell.
pub async fn send_form<T: DeserializeOwned>(
    url: &str,
    form: &FormData,
    progress: impl Fn(f64) + 'static,
) -> Result<T, ApiError> {
    let request = XmlHttpRequest::new().map_err(ApiError::from_js)?;
    request.open("POST", url).map_err(ApiError::from_js)?;
    let heard = Closure::<dyn Fn(ProgressEvent)>::new(move |event: ProgressEvent| {
        if event.total() > 0.0 {
            progress(event.loaded() / event.total());
        }
    });
    let upload = request.upload().map_err(ApiError::from_js)?;
    upload.set_onprogress(Some(heard.as_ref().unchecked_ref()));
    let ended = Promise::new(&mut |resolve, _| request.set_onloadend(Some(&resolve)));
    request
        .send_with_opt_form_data(Some(form))
        .map_err(ApiError::from_js)?;
    JsFuture::from(ended).await.map_err(ApiError::from_js)?;
    let status = request.status().unwrap_or(0);
    let body = request.response_text().ok().flatten().unwrap_or_default();
    match status {
        0 => Err(ApiError::Unreachable),
        200..300 => {
            serde_json::from_str(&body).map_err(|error| ApiError::Unreadable(error.to_string()))
        }
        _ => Err(refused(url, status, &body)),
    }
}

fn note_clock(answer: &Response) {
    let Some(date) = answer.headers().get("date") else {
        return;
    };
    let server_ms = js_sys::Date::parse(&date);
    if server_ms.is_finite() {
        let offset = server_ms as i64 - browser::now_ms();
        let apart = offset.abs() > CLOCK_GRAIN_MS;
        CLOCK_OFFSET_MS.set(if apart { offset } else { 0 });
    }
}
