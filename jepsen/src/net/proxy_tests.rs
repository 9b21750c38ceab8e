//! The proxy between a client and an echo server on loopback.

use tokio::time::timeout;

use super::*;
use crate::net::Links;

const ANY: &str = "127.0.0.1:0";
const PATIENCE: Duration = Duration::from_secs(20);

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn through() -> (Proxy, Links) {
    let links = Links::between(2);
    let (there, back) = (links.watch(0, 1).unwrap(), links.watch(1, 0).unwrap());
    let proxy = Proxy::start(ANY.parse().unwrap(), echo().await, there, back, 7).unwrap();
    (proxy, links)
}

async fn round_trip(stream: &mut TcpStream, text: &[u8]) {
    stream.write_all(text).await.unwrap();
    let mut back = vec![0; text.len()];
    timeout(PATIENCE, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(back, text);
}

#[tokio::test]
async fn a_whole_link_carries_everything_in_order() {
    let (proxy, _links) = through().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    for size in [1, 1_000, 100_000] {
        let bytes: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
        round_trip(&mut stream, &bytes).await;
    }
}

#[tokio::test]
async fn a_slow_link_is_late_and_loses_nothing() {
    let (proxy, links) = through().await;
    let slow =
        Flow { delay: Duration::from_millis(40), jitter: Duration::from_millis(10), ..Flow::default() };
    links.lay(1, vec![(0, 1, slow), (1, 0, slow)]);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let before = Instant::now();
    round_trip(&mut stream, b"hello").await;
    assert!(before.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_one_way_cut_holds_one_direction_until_it_heals() {
    let (proxy, links) = through().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    round_trip(&mut stream, b"before").await;
    links.lay(1, vec![(1, 0, Flow::CUT)]);
    stream.write_all(b"during").await.unwrap();
    let mut back = [0; 6];
    assert!(timeout(Duration::from_millis(150), stream.read_exact(&mut back)).await.is_err());
    links.lift(1);
    timeout(PATIENCE, stream.read_exact(&mut back)).await.unwrap().unwrap();
    assert_eq!(&back, b"during");
}

#[tokio::test]
async fn a_connection_made_during_a_cut_opens_and_stays_silent() {
    let (proxy, links) = through().await;
    links.lay(1, vec![(0, 1, Flow::CUT), (1, 0, Flow::CUT)]);
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    let mut back = [0; 1];
    assert!(timeout(Duration::from_millis(150), stream.read_exact(&mut back)).await.is_err());
    links.lift_all();
    timeout(PATIENCE, stream.read_exact(&mut back)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_reset_storm_breaks_open_connections() {
    let (proxy, links) = through().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    round_trip(&mut stream, b"before").await;
    let storm = Flow { reset_after: Some(Duration::from_millis(20)), ..Flow::default() };
    links.lay(1, vec![(0, 1, storm)]);
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(ended.is_err() || rest.is_empty());
    links.lift(1);
    let mut again = TcpStream::connect(proxy.address()).await.unwrap();
    round_trip(&mut again, b"after").await;
}

#[tokio::test]
async fn a_server_that_is_down_is_a_closed_connection() {
    let links = Links::between(2);
    let (there, back) = (links.watch(0, 1).unwrap(), links.watch(1, 0).unwrap());
    let nobody = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap();
    let proxy = Proxy::start(ANY.parse().unwrap(), nobody, there, back, 7).unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
}
