//! The URL guard against servers that behave badly.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::Redirect;
use axum::routing::get;
use illumine_guard::{Allow, FetchError, FetchLimits, Fetched, Guard, Resolve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Every name has these addresses.
struct Names(Vec<IpAddr>, AtomicUsize);

impl Names {
    fn all(addresses: &[&str]) -> Arc<Self> {
        let addresses = addresses.iter().map(|text| text.parse().unwrap());
        Arc::new(Self(addresses.collect(), AtomicUsize::new(0)))
    }
}

#[async_trait::async_trait]
impl Resolve for Names {
    async fn resolve(&self, _: &str, _: u16) -> Vec<IpAddr> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.clone()
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Counts what reaches it.
async fn counting() -> (SocketAddr, Arc<AtomicUsize>) {
    let hits = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&hits);
    let router = Router::new().fallback(move || async move {
        counter.fetch_add(1, Ordering::SeqCst);
        "inside"
    });
    (serve(router).await, hits)
}

fn limits() -> FetchLimits {
    FetchLimits {
        total: Duration::from_secs(20),
        connect: Duration::from_secs(5),
        bytes: 1000,
        redirects: 5,
    }
}

fn allowing(address: SocketAddr) -> Guard {
    Guard::new(Allow::parse(&[address.to_string()]).unwrap())
}

async fn fetch(guard: &Guard, url: String) -> Result<Fetched, FetchError> {
    guard.fetch(&url, limits()).await
}

#[tokio::test]
async fn addresses_inside_are_never_connected_to() {
    let (address, hits) = counting().await;
    let port = address.port();
    let guard = Guard::default();
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "[::ffff:127.0.0.1]",
        "localhost",
        "0",
    ] {
        let error = fetch(&guard, format!("http://{host}:{port}/"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "url_private", "{host}");
        assert!(error.is_refusal());
    }
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn names_that_mean_addresses_inside_are_refused() {
    let (address, hits) = counting().await;
    for addresses in [
        &["127.0.0.1"][..],
        &["8.8.8.8", "127.0.0.1"],
        &["::1"],
        &["64:ff9b::7f00:1"],
    ] {
        let guard = Guard::with_resolver(Allow::default(), Names::all(addresses));
        let url = format!("http://pictures.example.com:{}/", address.port());
        let error = fetch(&guard, url).await.unwrap_err();
        assert_eq!(error.code(), "url_private", "{addresses:?}");
    }
    let guard = Guard::with_resolver(Allow::default(), Names::all(&[]));
    let error = fetch(&guard, "http://nowhere.example.com/".into())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "url_unresolved");
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_connection_goes_to_the_judged_address() {
    let (address, hits) = counting().await;
    let host = format!("mirror.example.com:{}", address.port());
    let names = Names::all(&["127.0.0.1"]);
    let guard = Guard::with_resolver(Allow::parse(&[&host]).unwrap(), names.clone());
    let fetched = fetch(&guard, format!("http://{host}/a.png")).await.unwrap();
    assert_eq!(fetched.bytes, "inside");
    assert_eq!(hits.load(Ordering::SeqCst), 1);
    assert_eq!(
        names.1.load(Ordering::SeqCst),
        1,
        "one look-up, no second answer"
    );
}

#[tokio::test]
async fn redirects_are_judged_like_the_first_address() {
    let (inside, hits) = counting().await;
    let router = Router::new().route(
        "/to/{*url}",
        get(|Path(url): Path<String>| async move { Redirect::temporary(&url) }),
    );
    let outside = serve(router).await;
    let guard = allowing(outside);
    for target in [
        format!("http://{inside}/"),
        format!("http://localhost:{}/", inside.port()),
        format!("http://2130706433:{}/", inside.port()),
        format!("http://{outside}/to/http://{inside}/"),
    ] {
        let error = fetch(&guard, format!("http://{outside}/to/{target}"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "url_private", "{target}");
    }
    let error = fetch(&guard, format!("http://{outside}/to/file:///etc/passwd"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "url_scheme");
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn redirects_are_followed_and_counted() {
    let hop = |Path(left): Path<u32>| async move {
        match left {
            0 => Redirect::to("/end"),
            left => Redirect::to(&format!("/hop/{}", left - 1)),
        }
    };
    let router = Router::new()
        .route("/hop/{left}", get(hop))
        .route("/end", get(|| async { "here" }))
        .route("/nowhere", get(|| async { StatusCode::FOUND }));
    let address = serve(router).await;
    let guard = allowing(address);
    let fetched = fetch(&guard, format!("http://{address}/hop/4"))
        .await
        .unwrap();
    assert_eq!(fetched.bytes, "here");
    assert_eq!(fetched.final_url.path(), "/end");
    let error = fetch(&guard, format!("http://{address}/hop/5"))
        .await
        .unwrap_err();
    assert_eq!(error, FetchError::Redirects(5));
    let error = fetch(&guard, format!("http://{address}/nowhere"))
        .await
        .unwrap_err();
    assert_eq!(error, FetchError::BadRedirect);
}

#[tokio::test]
async fn bodies_are_cut_off() {
    let endless = || async {
        let chunks = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 300]));
        Response::new(Body::from_stream(chunks))
    };
    let router = Router::new()
        .route("/endless", get(endless))
        .route("/announced", get(|| async { "x".repeat(1001) }))
        .route("/fits", get(|| async { "x".repeat(1000) }));
    let address = serve(router).await;
    let guard = allowing(address);
    for path in ["endless", "announced"] {
        let error = fetch(&guard, format!("http://{address}/{path}"))
            .await
            .unwrap_err();
        assert_eq!(error, FetchError::TooLarge(1000), "{path}");
    }
    assert_eq!(
        fetch(&guard, format!("http://{address}/fits"))
            .await
            .unwrap()
            .bytes
            .len(),
        1000
    );
}

#[tokio::test]
async fn hanging_and_broken_servers_do_not_hold_us() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 300];
            let length = stream.read(&mut request).await.unwrap_or_default();
            if request[..length].starts_with(b"GET /cut") {
                let head = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nhalf";
                let _ = stream.write_all(head).await;
            } else {
                held.push(stream);
            }
        }
    });
    let guard = allowing(address);
    let error = fetch(&guard, format!("http://{address}/cut"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "url_unreachable");
    assert!(error.is_transient());
    let short = FetchLimits {
        total: Duration::from_millis(300),
        ..limits()
    };
    let error = guard
        .fetch(&format!("http://{address}/hang"), short)
        .await
        .unwrap_err();
    assert_eq!(error.code(), "url_timeout");
}

#[tokio::test]
async fn statuses_are_told_apart() {
    let busy = || async {
        (
            StatusCode::TOO_MANY_REQUESTS,
            [("retry-after", "7")],
            "slow down",
        )
    };
    let router = Router::new()
        .route("/busy", get(busy))
        .route("/gone", get(|| async { StatusCode::GONE }));
    let address = serve(router).await;
    let guard = allowing(address);
    let error = fetch(&guard, format!("http://{address}/busy?api_key=s3cr3t"))
        .await
        .unwrap_err();
    assert!(error.is_transient());
    assert!(!format!("{error} {error:?}").contains("s3cr3t"));
    let FetchError::Status { retry_after, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
    let error = fetch(&guard, format!("http://{address}/gone"))
        .await
        .unwrap_err();
    assert!(!error.is_transient());
}

#[tokio::test]
async fn nothing_of_ours_is_sent_along() {
    let echo = |headers: HeaderMap| async move {
        let names: Vec<_> = headers
            .keys()
            .map(|name| name.as_str().to_owned())
            .collect();
        names.join(" ")
    };
    let router = Router::new()
        .route(
            "/",
            get(|| async { ([("set-cookie", "a=b")], Redirect::to("/echo")) }),
        )
        .route("/echo", get(echo));
    let address = serve(router).await;
    let fetched = fetch(&allowing(address), format!("http://{address}/"))
        .await
        .unwrap();
    let names = String::from_utf8(fetched.bytes.to_vec()).unwrap();
    for name in ["cookie", "authorization", "referer", "proxy"] {
        assert!(!names.contains(name), "{names}");
    }
}
