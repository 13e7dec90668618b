//! Watermarks found again: whether audio holds one, what it says, and where it lies.
//!
//! ```
//! use vocode::watermark::{Key, detect};
//!
//! let silence = vec![0.0; 5 * 22_050];
//! let found = detect(&silence, 22_050, &Key::public())?;
//! assert!(found.false_alarm() > 0.99 && found.payload.is_none());
//! # Ok::<(), vocode::audio::AudioError>(())
//! ```
//!
//! How a watermark is put in stands at [`SynthesisOptions::watermark`](crate::SynthesisOptions::watermark). The detector goes to a
//! spectrogram of cells as large as the watermark's, takes from the logarithm of each what its neighbours let expect, and multiplies what
//! is left with the key's signs, once with all cells alike and once weighed by how far each stands out of the noise of its band; for each speed from
//! -3% to 3%, each offset in time and each beginning of the pattern.
//!
//! # The false-alarm probability
//!
//! The signs of a key are fair coins to whatever audio was made without it. So for a group of cells with values `c`, the sum `z` of signs
//! times values over the root of the sum of the squares has `E exp(m z) <= exp(m^2 / 2)` for every `m` (Hoeffding 1963), whatever the
//! values are: speech, music or noise. Hence the likelihood ratio of a watermark of any strength, `exp(m z - m^2 / 2)` for the pilot times
//! `cosh(m z) exp(-m^2 / 2)` for each bit of the code, has an expectation of at most 1, and so has any average of such ratios: over strengths, weights, speeds,
//! offsets and parts of the file. By Markov's inequality that average reaches `1 / p` with a probability of `p` at most. The number that is
//! given is thus a bound that holds for all that was tried together, over the choice of the key; no distribution of audio is assumed.

mod cells;
mod evidence;
mod search;
mod trust;
mod whiten;

pub use crate::dsp::mark::{Key, KeyError, Watermark};
pub use search::{Detection, Place, detect};
