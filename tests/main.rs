//! The tests of the whole, by subject.

mod budgets;
mod conventions;
mod direct;
mod durability;
mod model;
mod racing;
