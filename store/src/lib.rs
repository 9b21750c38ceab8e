//! Messages on one machine: commit log, consume queues, index, dispatch, checkpoint, retention. Knows no network, no Raft.
