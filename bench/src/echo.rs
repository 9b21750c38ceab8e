//! The measure of all servers: reads the same frames and answers each with a reply of the
//! usual size, and does nothing else. What a broker reaches is quoted as a share of this.

use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const REPLY_HEAD: &str = r#"{"code":0,"extFields":{"MSG_REGION":"DefaultRegion","TRACE_ON":"true","msgId":"7F00000100002A9F00000000000003E8","queueId":"3","queueOffset":"1234567","transactionId":"7F000001000A18B4AAC29A2B3C4D0000"},"flag":1,"language":"JAVA","opaque":"#;
const REPLY_TAIL: &str = r#","serializeTypeCurrentRPC":"JSON","version":479}"#;

/// Serves on two worker threads, as the broker does on a two-core machine, until it is killed.
pub(crate) async fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    println!("{}", listener.local_addr()?);
    let listener = listener.into_std()?;
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(accept(listener))
    })
    .await?
}

async fn accept(listener: std::net::TcpListener) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // A peer that goes away ends its own task and nothing else.
            let _ = answer(stream).await;
        });
    }
}

async fn answer(mut stream: TcpStream) -> anyhow::Result<()> {
    let mut input = BytesMut::with_capacity(64 * 1024);
    let mut out = BytesMut::with_capacity(64 * 1024);
    while stream.read_buf(&mut input).await? > 0 {
        while input.len() >= 4 {
            let length = u32::from_be_bytes(input[..4].try_into()?) as usize;
            if input.len() < 4 + length {
                break;
            }
            let key = b"\"opaque\":";
            let at = input.windows(key.len()).position(|window| window == key).unwrap_or(0) + key.len();
            let opaque: [u8; 10] = input[at..at + 10].try_into()?;
            let head = REPLY_HEAD.len() + opaque.len() + REPLY_TAIL.len();
            out.extend_from_slice(&(head as u32 + 4).to_be_bytes());
            out.extend_from_slice(&(head as u32).to_be_bytes());
            out.extend_from_slice(REPLY_HEAD.as_bytes());
            out.extend_from_slice(&opaque);
            out.extend_from_slice(REPLY_TAIL.as_bytes());
            input.advance(4 + length);
        }
        stream.write_all_buf(&mut out).await?;
    }
    Ok(())
}
