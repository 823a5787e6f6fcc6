//! What is decided, as tables and as properties.

mod calendar;
mod capacity;
mod decisions;
mod samples;
mod world;
