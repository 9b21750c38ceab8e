//! Messages of one queue between the pull and the end of their consumption. Pure.
//!
//! Always true: the offset to commit is that of the first message that is not consumed yet, so a crash never skips
//! one; messages leave in the order of their offsets.

use std::collections::BTreeMap;

use protocol::message::MessageExt;

/// Limits of the messages held for one queue.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// Messages.
    pub messages_max: usize,
    /// Bytes of their bodies.
    pub bytes_max: usize,
    /// Distance between the first and the last offset.
    pub span_max: u64,
}

/// Messages of one queue.
#[derive(Debug, Default)]
pub struct ProcessQueue {
    /// Not given to a listener yet.
    waiting: BTreeMap<u64, MessageExt>,
    /// Given to a listener, by offset, with their sizes.
    in_hand: BTreeMap<u64, usize>,
    /// Bytes of both.
    bytes: usize,
    /// One past the highest offset put in; what to commit when nothing is held.
    next: Option<u64>,
}

impl ProcessQueue {
    /// Adds pulled messages; those that are held already are passed over. Returns how many were new.
    pub fn put(&mut self, messages: impl IntoIterator<Item = MessageExt>) -> usize {
        let mut new = 0;
        for message in messages {
            let offset = message.queue_offset;
            if self.waiting.contains_key(&offset) || self.in_hand.contains_key(&offset) {
                continue;
            }
            self.bytes += message.body.len();
            self.next = Some(self.next.map_or(offset + 1, |next| next.max(offset + 1)));
            self.waiting.insert(offset, message);
            new += 1;
        }
        new
    }

    /// Notes that nothing up to `next` is left to consume besides what is held: what a tag filter passed over.
    pub fn skip_to(&mut self, next: u64) {
        self.next = Some(self.next.map_or(next, |known| known.max(next)));
    }

    /// Takes up to `count` messages in order.
    pub fn take(&mut self, count: usize) -> Vec<MessageExt> {
        let mut taken = Vec::new();
        while taken.len() < count {
            let Some((offset, message)) = self.waiting.pop_first() else { break };
            self.in_hand.insert(offset, message.body.len());
            taken.push(message);
        }
        taken
    }

    /// Gives messages back to be taken again.
    pub fn give_back(&mut self, messages: Vec<MessageExt>) {
        for message in messages {
            // After a reset they are nobody's any more.
            if self.in_hand.remove(&message.queue_offset).is_some() {
                self.waiting.insert(message.queue_offset, message);
            }
        }
    }

    /// Messages are done with. Returns the offset to commit, unless they were forgotten by a reset.
    pub fn done(&mut self, offsets: impl IntoIterator<Item = u64>) -> Option<u64> {
        let mut known = false;
        for offset in offsets {
            if let Some(size) = self.in_hand.remove(&offset) {
                self.bytes -= size;
                known = true;
            }
        }
        if known { self.commit_offset() } else { None }
    }

    /// The first offset that is not consumed; `None` before anything was pulled.
    pub fn commit_offset(&self) -> Option<u64> {
        let waiting = self.waiting.first_key_value().map(|(offset, _)| *offset);
        let in_hand = self.in_hand.first_key_value().map(|(offset, _)| *offset);
        match (waiting, in_hand) {
            (None, None) => self.next,
            (one, other) => one.into_iter().chain(other).min(),
        }
    }

    /// Whether the next pull must wait until some are consumed.
    pub fn is_full(&self, limits: CacheLimits) -> bool {
        self.len() >= limits.messages_max || self.bytes >= limits.bytes_max || self.span() > limits.span_max
    }

    /// Forgets everything; consumption goes on at `next`.
    pub fn reset(&mut self, next: u64) {
        *self = Self { next: Some(next), ..Self::default() };
    }

    /// Messages held.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.in_hand.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages that wait for a listener.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first and the last offset held.
    pub fn range(&self) -> Option<(u64, u64)> {
        let first = self.waiting.keys().next().into_iter().chain(self.in_hand.keys().next()).min()?;
        let last =
            self.waiting.keys().next_back().into_iter().chain(self.in_hand.keys().next_back()).max()?;
        Some((*first, *last))
    }

    fn span(&self) -> u64 {
        self.range().map_or(0, |(first, last)| last - first)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bytes::Bytes;
    use protocol::properties::Properties;

    use super::*;

    pub(crate) fn message(offset: u64, body: usize) -> MessageExt {
        let host = ([127, 0, 0, 1], 1).into();
        MessageExt {
            topic: "T".to_owned(),
            queue_id: 0,
            queue_offset: offset,
            flag: 0,
            sys_flag: 0,
            store_size: body,
            physical_offset: offset * 100,
            born_timestamp: 0,
            born_host: host,
            store_timestamp: 0,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body_crc: 0,
            properties: Properties::new(),
            body: Bytes::from(vec![0; body]),
        }
    }

    fn held(offsets: std::ops::Range<u64>) -> ProcessQueue {
        let mut queue = ProcessQueue::default();
        queue.put(offsets.map(|offset| message(offset, 10)));
        queue
    }

    fn offsets(messages: &[MessageExt]) -> Vec<u64> {
        messages.iter().map(|message| message.queue_offset).collect()
    }

    #[test]
    fn the_commit_offset_never_passes_a_message_that_is_not_consumed() {
        let mut queue = held(5..9);
        assert_eq!(queue.commit_offset(), Some(5));
        assert_eq!(offsets(&queue.take(3)), [5, 6, 7]);
        assert_eq!(queue.done([6, 7]), Some(5));
        assert_eq!(queue.done([5]), Some(8));
        queue.take(1);
        assert_eq!(queue.done([8]), Some(9));
        assert!(queue.is_empty() && queue.bytes() == 0);
    }

    #[test]
    fn messages_given_back_come_again_in_order() {
        let mut queue = held(0..4);
        let taken = queue.take(2);
        queue.give_back(taken);
        assert_eq!(offsets(&queue.take(9)), [0, 1, 2, 3]);
    }

    #[test]
    fn a_message_pulled_twice_is_held_once() {
        let mut queue = held(0..4);
        queue.take(2);
        assert_eq!(queue.put((0..6).map(|offset| message(offset, 10))), 2);
        assert_eq!((queue.len(), queue.bytes()), (6, 60));
    }

    #[test]
    fn filtered_messages_move_the_commit_offset_only_past_what_is_consumed() {
        let mut queue = held(0..1);
        queue.skip_to(50);
        assert_eq!(queue.commit_offset(), Some(0));
        queue.take(1);
        assert_eq!(queue.done([0]), Some(50));
    }

    #[test]
    fn a_reset_forgets_what_is_in_hand() {
        let mut queue = held(10..14);
        let taken = queue.take(2);
        queue.reset(3);
        assert_eq!(queue.done(offsets(&taken)), None);
        queue.give_back(taken);
        assert!(queue.is_empty());
        assert_eq!(queue.commit_offset(), Some(3));
    }

    #[test]
    fn each_limit_alone_stops_the_pull() {
        let limits = CacheLimits { messages_max: 3, bytes_max: 1000, span_max: 100 };
        assert!(!held(0..2).is_full(limits));
        assert!(held(0..3).is_full(limits));
        let mut wide = ProcessQueue::default();
        wide.put([message(0, 1), message(101, 1)]);
        assert!(wide.is_full(limits));
        let mut heavy = ProcessQueue::default();
        heavy.put([message(0, 1000)]);
        assert!(heavy.is_full(limits));
    }
}
