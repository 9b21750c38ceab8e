//! The broker process: wiring, processors, replication, registration.
