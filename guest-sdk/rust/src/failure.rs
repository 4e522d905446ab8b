//! The two ways in which a handler fails, and how any error becomes one of them.

use std::error::Error;
use std::fmt::{self, Display};

use crate::error::Unavailable;

/// What handlers return: nothing, or why the message was not handled.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// Why a message was not handled. The case decides what happens to it.
///
/// It is deliberately not a [`std::error::Error`]: that lets `?` turn every error into a failure. Such a failure is
/// [`Rejected`](Self::Rejected), unless the host said that a store or the bus is unavailable: then it is [`Transient`](Self::Transient).
///
/// ```
/// use krt_node::{Failure, FailureExt, Result};
///
/// fn number(text: &str) -> Result<u32> {
///     Ok(text.parse().context("the amount is not a number")?)
/// }
/// assert_eq!(number("x").unwrap_err().text(), "the amount is not a number: invalid digit found in string");
///
/// fn fetch() -> std::io::Result<u32> { Err(std::io::ErrorKind::TimedOut.into()) }
/// fn ask() -> Result<u32> {
///     fetch().transient()
/// }
/// assert!(matches!(ask(), Err(Failure::Transient(_))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The message is at fault: an ERROR message with this text goes out and it is not tried again.
    Rejected(String),
    /// The world is at fault: the message comes again after a pause; after the last attempt it counts as rejected.
    Transient(String),
}

/// What can be done to a result on its way to being a [`Failure`].
pub trait FailureExt<T> {
    /// Makes the error transient: worth another attempt.
    ///
    /// # Errors
    /// The error as [`Failure::Transient`].
    fn transient(self) -> Result<T>;

    /// Makes the error a rejection, whatever it was.
    ///
    /// # Errors
    /// The error as [`Failure::Rejected`].
    fn rejected(self) -> Result<T>;

    /// Says what was being done, in front of the error's own text.
    ///
    /// # Errors
    /// The error, with `what` in front of it.
    fn context(self, what: impl Display) -> Result<T>;
}

impl Failure {
    /// A rejection with this text.
    pub fn rejected(text: impl Into<String>) -> Self {
        Self::Rejected(text.into())
    }

    /// A transient failure with this text.
    pub fn transient(text: impl Into<String>) -> Self {
        Self::Transient(text.into())
    }

    /// Its text.
    pub fn text(&self) -> &str {
        match self {
            Self::Rejected(text) | Self::Transient(text) => text,
        }
    }

    /// Whether it asks for another attempt.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut transient = Unavailable::is(&error);
        let mut source = error.source();
        while let Some(cause) = source {
            transient |= Unavailable::is(cause);
            let cause_text = cause.to_string();
            // Many errors repeat their cause in their own text.
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        if transient { Self::Transient(text) } else { Self::Rejected(text) }
    }
}

impl<T, E: Into<Failure>> FailureExt<T> for std::result::Result<T, E> {
    fn transient(self) -> Result<T> {
        self.map_err(|e| match e.into() {
            Failure::Rejected(text) | Failure::Transient(text) => Failure::Transient(text),
        })
    }

    fn rejected(self) -> Result<T> {
        self.map_err(|e| match e.into() {
            Failure::Rejected(text) | Failure::Transient(text) => Failure::Rejected(text),
        })
    }

    fn context(self, what: impl Display) -> Result<T> {
        self.map_err(|e| match e.into() {
            Failure::Rejected(text) => Failure::Rejected(format!("{what}: {text}")),
            Failure::Transient(text) => Failure::Transient(format!("{what}: {text}")),
        })
    }
}
