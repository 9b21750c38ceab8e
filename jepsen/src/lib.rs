//! Faults on real processes, histories, checkers.
