//! The promises of `frame`.

use proptest::prelude::*;

use super::*;
use crate::envelope::EntryKind;
use crate::types::LeaderId;

fn stored(index: u64, body: &[u8]) -> LogEntry {
    let id = EntryId { term: 3, node: 1, index };
    let mut envelope = Envelope {
        total: 0,
        crc: 0,
        kind: EntryKind::Records,
        id,
        position: index * 1000,
        count: 1,
        previous_crc: 9,
        timestamp: 5,
    };
    let mut bytes = envelope.encode([body].into_iter()).to_vec();
    bytes.extend_from_slice(body);
    stored_entry(&envelope, bytes.into()).unwrap()
}

fn request(bodies: &[Vec<u8>]) -> AppendEntriesRequest<Types> {
    let id = |index| LogId::new(LeaderId { term: 3, node_id: 1 }, index);
    AppendEntriesRequest {
        vote: VoteOf { leader_id: LeaderId { term: 3, node_id: 1 }, committed: true },
        prev_log_id: Some(id(6)),
        entries: bodies.iter().enumerate().map(|(at, body)| stored(7 + at as u64, body)).collect(),
        leader_commit: Some(id(4)),
    }
}

fn encoded(bodies: &[Vec<u8>]) -> Vec<u8> {
    let (head, slices) = encode_append(request(bodies), 99);
    [head.to_vec(), slices.concat()].concat()
}

proptest! {
    #[test]
    fn a_request_survives_the_wire_and_any_flipped_bit_of_an_entry_is_found(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..100), 0..5),
        at in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let bytes = encoded(&bodies);
        let frame = decode_append(Bytes::from(bytes.clone())).unwrap();
        prop_assert_eq!(frame.sender_last, 99);
        prop_assert_eq!(format!("{:?}", frame.request), format!("{:?}", request(&bodies)));
        let (head, slices) = encode_append(request(&bodies), 99);
        if !slices.is_empty() {
            let mut flipped = bytes;
            let at = head.len() + at.index(flipped.len() - head.len());
            flipped[at] ^= 1 << bit;
            prop_assert!(decode_append(flipped.into()).is_err());
        }
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_append(Bytes::from(bytes.clone()));
        let _ = decode_appended(bytes.into());
    }
}

#[test]
fn a_request_cut_anywhere_or_with_bytes_too_many_is_refused() {
    let bytes = encoded(&[vec![1; 10], vec![2; 20]]);
    for len in 0..bytes.len() {
        assert!(decode_append(Bytes::copy_from_slice(&bytes[..len])).is_err(), "{len}");
    }
    assert!(decode_append(Bytes::from([bytes, vec![0]].concat())).is_err());
}

#[test]
fn answers_survive_the_wire() {
    let id = LogId::new(LeaderId { term: 3, node_id: 1 }, 8);
    let vote = VoteOf { leader_id: LeaderId { term: 4, node_id: 2 }, committed: false };
    let answers: [StreamAppendResult<Types>; 4] = [
        Ok(None),
        Ok(Some(id)),
        Err(StreamAppendError::Conflict(id)),
        Err(StreamAppendError::HigherVote(vote)),
    ];
    for answer in answers {
        assert_eq!(decode_appended(encode_appended(&answer).freeze()).unwrap(), answer);
    }
}
