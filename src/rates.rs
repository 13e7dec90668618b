//! The sample rates that are accepted anywhere: of mels, of recordings and of what is written.

/// Lowest sample rate that is accepted anywhere, in hertz.
pub const MIN_SAMPLE_RATE: u32 = 1_000;
/// Highest sample rate that is accepted anywhere, in hertz.
pub const MAX_SAMPLE_RATE: u32 = 384_000;
