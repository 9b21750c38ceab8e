//! The `/metrics` endpoint: as much HTTP/1.1 as a scraper speaks, and no more.
//!
//! Always true: a request head is at most 8 KiB and arrives within five seconds, at most 32
//! scrapers are served at a time (the next ones are closed at once), each connection carries one
//! answer. Called by the servers when `metricsExporterType=PROM`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::error::DaemonError;
use crate::metrics::Metrics;
use crate::tasks::Tasks;

const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEAD_WAIT_MAX: Duration = Duration::from_secs(5);
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
const SCRAPERS_MAX: usize = 32;
/// Rest after an accept that failed (out of file descriptors), so as not to spin.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// A listening metrics endpoint; it stops with the [`Tasks`] that own it.
#[derive(Debug)]
pub struct MetricsServer {
    local: SocketAddr,
}

impl MetricsServer {
    /// Listens and serves until `tasks` stop.
    pub async fn start(
        address: SocketAddr,
        metrics: Arc<Metrics>,
        tasks: &Tasks,
    ) -> Result<Self, DaemonError> {
        let failed = |source| DaemonError::MetricsBind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let owner = tasks.clone();
        tasks.spawn("metrics", |shutdown| async move {
            tokio::select! {
                () = shutdown.requested() => {}
                () = accept(listener, metrics, owner) => {}
            }
        });
        Ok(Self { local })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

async fn accept(listener: TcpListener, metrics: Arc<Metrics>, tasks: Tasks) {
    let places = Arc::new(Semaphore::new(SCRAPERS_MAX));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("metrics endpoint cannot accept: {error}");
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let metrics = Arc::clone(&metrics);
        tasks.spawn("metrics scrape", |shutdown| async move {
            let _place = place;
            tokio::select! {
                () = shutdown.requested() => {}
                () = serve(stream, &metrics) => {}
            }
        });
    }
}

async fn serve(mut stream: TcpStream, metrics: &Metrics) {
    let answer = match tokio::time::timeout(HEAD_WAIT_MAX, read_head(&mut stream)).await {
        Ok(Some(head)) => answer_to(&head, metrics),
        Ok(None) => response("431 Request Header Fields Too Large", "too long\n"),
        Err(_) => return,
    };
    // A scraper that stops reading only loses its own answer.
    let _ = tokio::time::timeout(ANSWER_WAIT_MAX, async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    })
    .await;
}

/// The request up to its blank line; `None` when it is too long or ends before.
async fn read_head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(512);
    let mut part = [0; 512];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut part).await.ok()?;
        if count == 0 || head.len() + count > HEAD_BYTES_MAX {
            return None;
        }
        head.extend_from_slice(&part[..count]);
    }
    Some(head)
}

fn answer_to(head: &[u8], metrics: &Metrics) -> String {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    match (method, path) {
        ("GET", "/metrics") => response("200 OK", &metrics.render()),
        ("GET", "/") => response("200 OK", "figures are at /metrics\n"),
        ("GET", _) => response("404 Not Found", "figures are at /metrics\n"),
        _ => response("405 Method Not Allowed", "only GET is answered\n"),
    }
}

fn response(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn started() -> (MetricsServer, Tasks) {
        let metrics = Arc::new(Metrics::new());
        metrics.counter("requests_total", "requests", &[]).add(5);
        let tasks = Tasks::new();
        let server = MetricsServer::start(([127, 0, 0, 1], 0).into(), metrics, &tasks).await.unwrap();
        (server, tasks)
    }

    async fn ask(server: &MetricsServer, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // A refused request may end in a reset after the answer.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn a_scraper_gets_the_figures() {
        let (server, tasks) = started().await;
        let answer = ask(&server, b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with(
            "\r\n\r\n# HELP requests_total requests\n# TYPE requests_total counter\nrequests_total 5\n"
        ));
        assert!(tasks.stop(Duration::from_secs(10)).await.is_empty());
    }

    #[tokio::test]
    async fn other_paths_methods_and_noise_are_refused() {
        let (server, _tasks) = started().await;
        assert!(ask(&server, b"GET /other HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 404"));
        assert!(ask(&server, b"POST /metrics HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 405"));
        assert!(ask(&server, b"\r\n\r\n").await.starts_with("HTTP/1.1 405"));
        let _ = ask(&server, &vec![b'x'; HEAD_BYTES_MAX + 1]).await;
        assert!(ask(&server, b"GET / HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn silent_scrapers_do_not_hold_up_a_stop_and_too_many_are_closed() {
        let (server, tasks) = started().await;
        let mut silent = Vec::new();
        for _ in 0..SCRAPERS_MAX {
            silent.push(TcpStream::connect(server.local_addr()).await.unwrap());
        }
        let mut refused = TcpStream::connect(server.local_addr()).await.unwrap();
        assert_eq!(refused.read(&mut [0; 1]).await.unwrap_or(0), 0, "closed without an answer");
        assert!(tasks.stop(Duration::from_secs(10)).await.is_empty());
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let (server, _tasks) = started().await;
        let again = MetricsServer::start(server.local_addr(), Arc::default(), &Tasks::new()).await;
        assert!(again.unwrap_err().to_string().contains(&server.local_addr().to_string()));
    }
}
