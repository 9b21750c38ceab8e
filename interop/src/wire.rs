//! Just enough of the remoting protocol to ask a server whether it is ready.
//!
//! Written apart from the `protocol` crate on purpose: what judges our servers must not share their mistakes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};

const GET_BROKER_CLUSTER_INFO: i32 = 106;
const GET_BROKER_RUNTIME_INFO: i32 = 28;
const GET_ALL_TOPIC_CONFIG: i32 = 21;
const PATIENCE: Duration = Duration::from_secs(2);
const FRAME_BYTES_MAX: usize = 16 << 20;

/// The name server's answer to "which brokers are there", as text: its map keys are bare numbers.
pub(crate) fn cluster_info(port: u16) -> anyhow::Result<String> {
    call(port, GET_BROKER_CLUSTER_INFO)
}

/// The topics a broker knows, as text.
pub(crate) fn topics(port: u16) -> anyhow::Result<String> {
    call(port, GET_ALL_TOPIC_CONFIG)
}

/// One figure of a broker's runtime information.
pub(crate) fn runtime_figure(port: u16, name: &str) -> anyhow::Result<u64> {
    let body = call(port, GET_BROKER_RUNTIME_INFO)?;
    let table: serde_json::Value = serde_json::from_str(&body).context("runtime information is not JSON")?;
    let figure =
        table["table"][name].as_str().with_context(|| format!("no {name} in the runtime information"))?;
    Ok(figure.trim().parse()?)
}

/// The port of the broker that the name server lists as id 0 of this broker name.
pub(crate) fn master_port(cluster_info: &str) -> Option<u16> {
    let start = ["{0:\"", ",0:\"", "\"0\":\""]
        .iter()
        .find_map(|key| cluster_info.find(key).map(|at| at + key.len()))?;
    let address = cluster_info[start..].split('"').next()?;
    address.rsplit(':').next()?.parse().ok()
}

fn call(port: u16, code: i32) -> anyhow::Result<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let header = format!(
        "{{\"code\":{code},\"extFields\":{{}},\"flag\":0,\"language\":\"JAVA\",\"opaque\":1,\
         \"serializeTypeCurrentRPC\":\"JSON\",\"version\":409}}"
    );
    let header_bytes = u32::try_from(header.len())?;
    let mut frame = (header_bytes + 4).to_be_bytes().to_vec();
    frame.extend(header_bytes.to_be_bytes());
    frame.extend(header.as_bytes());
    stream.write_all(&frame)?;
    let (header, body) = answer(&mut stream)?;
    let header: serde_json::Value =
        serde_json::from_slice(&header).context("the answer's header is not JSON")?;
    if header["code"] != 0 {
        bail!("code {} {}", header["code"], header["remark"]);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn answer(stream: &mut TcpStream) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let mut word = [0; 4];
    stream.read_exact(&mut word)?;
    let length = u32::from_be_bytes(word) as usize;
    stream.read_exact(&mut word)?;
    let header_length = (u32::from_be_bytes(word) & 0x00ff_ffff) as usize;
    anyhow::ensure!(
        length <= FRAME_BYTES_MAX && header_length + 4 <= length,
        "a frame of {length} bytes makes no sense"
    );
    let mut header = vec![0; header_length];
    stream.read_exact(&mut header)?;
    let mut body = vec![0; length - 4 - header_length];
    stream.read_exact(&mut body)?;
    Ok((header, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_0_is_found_whether_its_key_is_bare_or_quoted() {
        assert_eq!(master_port(r#"{"brokerAddrs":{1:"127.0.0.1:7",0:"127.0.0.1:9"}}"#), Some(9));
        assert_eq!(master_port(r#"{"brokerAddrs":{"0":"127.0.0.1:10911"}}"#), Some(10_911));
        assert_eq!(master_port(r#"{"brokerAddrs":{1:"127.0.0.1:7"}}"#), None);
    }
}
