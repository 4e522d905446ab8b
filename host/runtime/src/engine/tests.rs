//! The engine with tiny guests written by hand: what is refused, what is kept, and what is contained.

mod cache;
mod containment;
mod guests;
mod imports;
mod loading;
mod pool;
