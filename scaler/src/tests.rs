//! What is decided, as tables and as properties.

mod calendar;
mod capacity;
mod comparison;
mod decisions;
mod properties;
mod samples;
mod world;
