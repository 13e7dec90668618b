//! What finished samples go through after the diffusion: the filters of the bundle, then the shift and the sample rate that were asked for.

mod output;
mod post_filter;

pub use output::Output;
pub(super) use post_filter::{Filters, PostFilter};
