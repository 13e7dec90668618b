//! The watermark as it is put in: a keyed pattern of small gains in cells of time and frequency.
//!
//! Time is cut into columns of 1024/22,050 s (46 ms) and frequency, from 0.9 to 7.5 kHz, into bands of 22,050/256 Hz (86 Hz). Each cell is
//! 0.8 dB louder or softer than it would be, as a [`Key`] says; every 96 columns (4.5 s) the pattern begins anew. Half of the cells are the
//! pilot, which tells that there is a watermark and where its pattern begins; the sign of the others carries the payload: 32 bits and their
//! CRC in a code of 112 bits. Columns are counted from the first sample of a clip, so windows, streams and wholes agree.
//! [`crate::watermark`] is the way back.

mod gains;
mod key;
mod pattern;
mod payload;
mod stream;

pub use gains::Watermark;
pub(crate) use gains::{BAND_HZ, COLUMN_SECONDS, LOWEST_HZ, MarkGains};
pub use key::{Key, KeyError};
pub(crate) use pattern::{BANDS, PERIOD, Pattern};
pub(crate) use payload::{CODE_BITS, decode};
pub use stream::MarkFilter;
