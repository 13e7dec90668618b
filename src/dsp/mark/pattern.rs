//! Which cells are louder and which softer, and what each says.

use super::key::Key;
use super::payload::CODE_BITS;

/// Columns after which the pattern begins anew.
pub(crate) const PERIOD: usize = 96;
/// Bands of frequency.
pub(crate) const BANDS: usize = 77;

/// The pattern of a key: for each cell, `[PERIOD, BANDS]`, its sign and whose it is.
pub(crate) struct Pattern {
    /// 1 or -1.
    pub signs: Vec<f32>,
    /// The bit of the code whose value the sign is multiplied with; [`Pattern::PILOT`] where it stands as it is.
    pub owners: Vec<u8>,
}

impl Pattern {
    /// The owner of the pilot's cells.
    pub const PILOT: u8 = CODE_BITS as u8;

    pub fn new(key: &Key) -> Pattern {
        let cells = PERIOD * BANDS;
        let bits = key
            .bytes("signs")
            .flat_map(|byte| (0..8).map(move |n| byte >> n & 1));
        let signs = bits.take(cells).map(|bit| 1.0 - 2.0 * f32::from(bit));
        // Half of the cells are the pilot's, the bits of the code share the others alike; then all are shuffled (Fisher and Yates).
        let owner = |cell: usize| match cell % 2 {
            0 => Pattern::PILOT,
            _ => (cell / 2 % CODE_BITS) as u8,
        };
        let mut owners: Vec<u8> = (0..cells).map(owner).collect();
        let mut bytes = key.bytes("owners");
        for last in (1..cells).rev() {
            let drawn = bytes
                .by_ref()
                .take(4)
                .fold(0u32, |word, byte| word << 8 | u32::from(byte));
            owners.swap(last, drawn as usize % (last + 1));
        }
        Pattern {
            signs: signs.collect(),
            owners,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_owners_are_shared_out_evenly() {
        let pattern = Pattern::new(&Key::public());
        assert_eq!(pattern.signs.len(), PERIOD * BANDS);
        // 6 standard deviations of a fair coin.
        let sum: f32 = pattern.signs.iter().sum();
        assert!(
            sum.abs() < 6.0 * (pattern.signs.len() as f32).sqrt(),
            "{sum}"
        );
        let count = |owner| pattern.owners.iter().filter(|o| **o == owner).count();
        assert_eq!(count(Pattern::PILOT), PERIOD * BANDS / 2);
        for bit in 0..Pattern::PILOT {
            assert_eq!(count(bit), PERIOD * BANDS / 2 / CODE_BITS, "{bit}");
        }
        assert_ne!(
            pattern.owners,
            Pattern::new(&Key::new(&[1; 16]).unwrap()).owners
        );
    }
}
