//! The body of REGISTER_BROKER: plain JSON, or, for brokers with thousands of topics, a zlib stream of short texts.

use std::collections::BTreeMap;
use std::io::Read;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};

use super::config::{
    TopicConfig, TopicConfigAndMappingSerializeWrapper, TopicConfigSerializeWrapper, TopicFilterType,
};
use super::queue::DataVersion;
use crate::error::BodyError;
use crate::json::macros::bodies;
use crate::json::{Json, Value};

/// A compressed body never expands past this: room for a million topics.
pub const EXPANDED_BYTES_MAX: usize = 128 << 20;
/// Brokers from this version on send the section of static topics. Source: RocketMQ `RegisterBrokerBody`, `MQVersion.V5_0_0`.
pub const MAPPING_SECTION_VERSION: i32 = 413;
/// Brokers below this version send the bare topic table. Source: RocketMQ `MQVersion.V3_0_11`.
pub const REGISTER_BODY_VERSION: i32 = 37;

bodies! {
    /// What a broker registers.
    RegisterBrokerBody {
        filter_server_list: Vec<String> => "filterServerList",
        topic_config_serialize_wrapper: TopicConfigAndMappingSerializeWrapper => "topicConfigSerializeWrapper",
    }
}

impl RegisterBrokerBody {
    /// Reads the body of a broker of this version, compressed or not.
    pub fn decode_for(body: &[u8], version: i32, compressed: bool) -> Result<Self, BodyError> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        if compressed {
            return Self::decode_compressed(body, version);
        }
        if version >= REGISTER_BODY_VERSION {
            return Self::from_json(body);
        }
        let bare = TopicConfigSerializeWrapper::from_json(body)?;
        let wrapper = TopicConfigAndMappingSerializeWrapper {
            data_version: bare.data_version,
            topic_config_table: bare.topic_config_table,
            ..Default::default()
        };
        Ok(Self { topic_config_serialize_wrapper: wrapper, ..Self::default() })
    }

    /// The compressed body, with the section of static topics.
    pub fn encode_compressed(&self) -> Bytes {
        let wrapper = &self.topic_config_serialize_wrapper;
        let mut plain = BytesMut::new();
        put_block(&wrapper.data_version.to_json(), &mut plain);
        plain.put_u32(wrapper.topic_config_table.len() as u32);
        for topic in wrapper.topic_config_table.values() {
            put_block(topic_text(topic).as_bytes(), &mut plain);
        }
        put_block(&self.filter_server_list.to_json(), &mut plain);
        plain.put_u32(wrapper.topic_queue_mapping_info_map.len() as u32);
        for mapping in wrapper.topic_queue_mapping_info_map.values() {
            put_block(&mapping.to_json(), &mut plain);
        }
        let mut out = Vec::new();
        ZlibEncoder::new(&plain[..], Compression::best())
            .read_to_end(&mut out)
            .expect("compressing memory into memory has nothing that can fail");
        Bytes::from(out)
    }

    /// Reads a compressed body.
    pub fn decode_compressed(body: &[u8], version: i32) -> Result<Self, BodyError> {
        let mut plain = Vec::new();
        let read = ZlibDecoder::new(body).take(EXPANDED_BYTES_MAX as u64 + 1).read_to_end(&mut plain);
        if read.map_or(true, |len| len > EXPANDED_BYTES_MAX) {
            return Err(BodyError::Inflate { max: EXPANDED_BYTES_MAX });
        }
        let mut left = &plain[..];
        let mut wrapper = TopicConfigAndMappingSerializeWrapper {
            data_version: DataVersion::from_json(take_block(&mut left, "data version")?)?,
            ..Default::default()
        };
        for _ in 0..take_u32(&mut left, "topic count")? {
            let topic = parse_topic_text(take_block(&mut left, "topic")?)?;
            wrapper.topic_config_table.insert(topic.topic_name.clone(), topic);
        }
        let filter_server_list = Vec::from_json(take_block(&mut left, "filter servers")?)?;
        if version >= MAPPING_SECTION_VERSION {
            wrapper.topic_queue_mapping_info_map = take_mappings(&mut left)?;
        }
        Ok(Self { filter_server_list, topic_config_serialize_wrapper: wrapper })
    }
}

fn take_mappings(left: &mut &[u8]) -> Result<BTreeMap<String, Value>, BodyError> {
    let mut mappings = BTreeMap::new();
    for _ in 0..take_u32(left, "mapping count")? {
        let mapping = crate::json::parse(take_block(left, "mapping")?)?;
        let topic = mapping.get("topic").and_then(Value::as_str).unwrap_or_default().to_owned();
        mappings.insert(topic, mapping);
    }
    Ok(mappings)
}

/// A topic in one line: `name readQueues writeQueues perm filterType {attributes}`.
pub fn topic_text(topic: &TopicConfig) -> String {
    let TopicConfig { topic_name, read_queue_nums, write_queue_nums, perm, topic_filter_type, .. } = topic;
    let attributes = String::from_utf8_lossy(&topic.attributes.to_json()).into_owned();
    format!(
        "{topic_name} {read_queue_nums} {write_queue_nums} {perm} {} {attributes}",
        topic_filter_type.name()
    )
}

fn parse_topic_text(text: &[u8]) -> Result<TopicConfig, BodyError> {
    let malformed = || BodyError::Register { part: "topic text" };
    let text = std::str::from_utf8(text).map_err(|_| malformed())?;
    // Attributes come last and may hold spaces themselves.
    let mut words = text.splitn(6, ' ');
    let mut word = || words.next().ok_or_else(malformed);
    let topic_name = word()?.to_owned();
    let read_queue_nums = word()?.parse().map_err(|_| malformed())?;
    let write_queue_nums = word()?.parse().map_err(|_| malformed())?;
    let perm = word()?.parse().map_err(|_| malformed())?;
    let topic_filter_type = TopicFilterType::from_name(word()?).unwrap_or_default();
    let attributes = match word() {
        Ok(json) => BTreeMap::from_json(json.as_bytes()).unwrap_or_default(),
        Err(_) => BTreeMap::new(),
    };
    Ok(TopicConfig {
        attributes,
        perm,
        read_queue_nums,
        topic_filter_type,
        topic_name,
        write_queue_nums,
        ..TopicConfig::default()
    })
}

fn put_block(block: &[u8], out: &mut BytesMut) {
    out.put_u32(block.len() as u32);
    out.put_slice(block);
}

fn take_u32(left: &mut &[u8], part: &'static str) -> Result<u32, BodyError> {
    let (word, rest) = left.split_first_chunk::<4>().ok_or(BodyError::Register { part })?;
    *left = rest;
    Ok(u32::from_be_bytes(*word))
}

fn take_block<'a>(left: &mut &'a [u8], part: &'static str) -> Result<&'a [u8], BodyError> {
    let len = take_u32(left, part)? as usize;
    let (block, rest) = left.split_at_checked(len).ok_or(BodyError::Register { part })?;
    *left = rest;
    Ok(block)
}
