//! The composition root: configuration and topology to runners, readiness, drain.
