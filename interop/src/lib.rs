//! Unmodified RocketMQ clients and brokers against ours.
