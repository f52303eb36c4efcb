//! The error of a measurement.

use std::error::Error;

/// An error that ends a measurement, described for the user.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;
