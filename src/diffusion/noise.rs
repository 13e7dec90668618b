//! Gaussian noise as a pure function of seed, step and absolute sample.

use std::f64::consts::TAU;

use wide::f64x4;

/// A source of standard Gaussian noise that can be read anywhere, in any order.
///
/// The bits are Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") with the key
/// `[seed low, seed high]` and the counter `[block low, block high, step, 0]`, block = sample / 4. With the four words r of a
/// block and u = (r + 0.5) / 2^32, samples 0 and 1 of the block are sqrt(-2 ln u0) times cos and sin of 2 pi u1 (Box-Muller
/// in f64, rounded to f32), samples 2 and 3 the same from u2 and u3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise {
    seed: u64,
    origin: u64,
}

impl Noise {
    /// The noise of one seed.
    pub fn new(seed: u64) -> Noise {
        Noise { seed, origin: 0 }
    }

    /// The same numbers counted from sample `origin` on: what [`Noise::fill`] calls sample 0 is sample `origin` of the clip.
    #[must_use]
    pub fn starting_at(self, origin: u64) -> Noise {
        Noise { origin, ..self }
    }

    /// The sample of the clip that is its sample 0.
    pub fn origin(&self) -> u64 {
        self.origin
    }

    /// The seed it was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Writes samples `start ..` of `step`. Step 0 is the initial state, step k + 1 the fresh noise of row k.
    pub fn fill(&self, step: u32, start: u64, out: &mut [f32]) {
        let start = start.wrapping_add(self.origin);
        let skip = (start % 8) as usize;
        let mut block = start / 8 * 2;
        let (head, rest) = out.split_at_mut(out.len().min((8 - skip) % 8));
        if !head.is_empty() {
            head.copy_from_slice(&self.two_blocks(step, block)[skip..skip + head.len()]);
            block = block.wrapping_add(2);
        }
        for piece in rest.chunks_mut(8) {
            piece.copy_from_slice(&self.two_blocks(step, block)[..piece.len()]);
            block = block.wrapping_add(2);
        }
    }

    /// The samples of `block` and the next.
    fn two_blocks(&self, step: u32, block: u64) -> [f32; 8] {
        let words = |block: u64| {
            philox(
                [block as u32, (block >> 32) as u32, step, 0],
                [self.seed as u32, (self.seed >> 32) as u32],
            )
        };
        let ([a, b, c, d], [e, f, g, h]) = (words(block), words(block.wrapping_add(1)));
        let (cosines, sines) = gaussians([a, c, e, g], [b, d, f, h]);
        let mut samples = [0.0; 8];
        for (pair, (cosine, sine)) in samples.chunks_mut(2).zip(cosines.iter().zip(sines)) {
            pair.copy_from_slice(&[*cosine as f32, sine as f32]);
        }
        samples
    }
}

/// Twice four Gaussian numbers from twice four random words (Box and Muller 1958).
fn gaussians(first: [u32; 4], second: [u32; 4]) -> ([f64; 4], [f64; 4]) {
    let uniform =
        |words: [u32; 4]| (f64x4::from(words.map(f64::from)) + 0.5) * (1.0 / 4_294_967_296.0);
    let radius = (uniform(first).ln() * -2.0).sqrt();
    let (sine, cosine) = (uniform(second) * TAU).sin_cos();
    ((radius * cosine).to_array(), (radius * sine).to_array())
}

/// Ten rounds of Philox4x32.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    for _ in 0..10 {
        let [low, high] = [
            u64::from(MULTIPLIERS[0]) * u64::from(counter[0]),
            u64::from(MULTIPLIERS[1]) * u64::from(counter[2]),
        ];
        counter = [
            (high >> 32) as u32 ^ counter[1] ^ key[0],
            high as u32,
            (low >> 32) as u32 ^ counter[3] ^ key[1],
            low as u32,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn philox_gives_the_known_answers_of_random123() {
        let known: [([u32; 4], [u32; 2], [u32; 4]); 3] = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [u32::MAX; 4],
                [u32::MAX; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in known {
            assert_eq!(philox(counter, key), expected);
        }
    }

    #[test]
    fn the_numbers_are_those_of_the_standard_librarys_functions() {
        for (seed, step, start) in [(0, 0, 0), (7, 3, 1 << 20), (u64::MAX, 9, 1 << 40)] {
            let mut found = [0.0; 4096];
            Noise::new(seed).fill(step, start, &mut found);
            for (pair, found) in found.chunks(2).enumerate() {
                let sample = start + 2 * pair as u64;
                let block = sample / 4;
                let words = philox(
                    [block as u32, (block >> 32) as u32, step, 0],
                    [seed as u32, (seed >> 32) as u32],
                );
                let at = (sample % 4) as usize;
                let uniform = |word: u32| (f64::from(word) + 0.5) / 2f64.powi(32);
                let radius = (-2.0 * uniform(words[at]).ln()).sqrt();
                let (sine, cosine) = (TAU * uniform(words[at + 1])).sin_cos();
                for (found, expected) in found.iter().zip([radius * cosine, radius * sine]) {
                    assert!(
                        (f64::from(*found) - expected).abs() <= 3e-7 * expected.abs().max(1e-3)
                    );
                }
            }
        }
    }

    #[test]
    fn the_numbers_are_the_documented_ones() {
        // Worked out from the known answer of counter 0, key 0.
        let uniform = |word: u32| (f64::from(word) + 0.5) / 2f64.powi(32);
        let (u0, u1, u2, u3) = (
            uniform(0x6627_e8d5),
            uniform(0xe169_c58d),
            uniform(0xbc57_ac4c),
            uniform(0x9b00_dbd8),
        );
        let mut out = [0.0; 4];
        Noise::new(0).fill(0, 0, &mut out);
        let (near, far) = ((-2.0 * u0.ln()).sqrt(), (-2.0 * u2.ln()).sqrt());
        let expected = [
            near * (TAU * u1).cos(),
            near * (TAU * u1).sin(),
            far * (TAU * u3).cos(),
            far * (TAU * u3).sin(),
        ];
        assert_eq!(out, expected.map(|value| value as f32));
    }

    #[test]
    fn it_is_standard_gaussian() {
        let mut out = vec![0.0; 200_000];
        Noise::new(7).fill(3, 12_345, &mut out);
        let count = out.len() as f64;
        let moment =
            |power: i32| out.iter().map(|&x| f64::from(x).powi(power)).sum::<f64>() / count;
        assert!(moment(1).abs() < 0.01, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.02, "variance {}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.1, "fourth moment {}", moment(4));
        let lag = out
            .windows(2)
            .map(|w| f64::from(w[0]) * f64::from(w[1]))
            .sum::<f64>()
            / count;
        assert!(lag.abs() < 0.01, "correlation {lag}");
    }

    #[test]
    fn seeds_steps_and_places_differ() {
        let read = |seed, step, start| {
            let mut out = [0.0; 8];
            Noise::new(seed).fill(step, start, &mut out);
            out
        };
        let base = read(1, 0, 0);
        for other in [
            read(2, 0, 0),
            read(1 << 32 | 1, 0, 0),
            read(1, 1, 0),
            read(1, 0, 8),
            read(1, 0, 1 << 34),
        ] {
            assert_ne!(base, other);
        }
    }

    proptest! {
        #[test]
        fn any_piece_is_the_same_as_the_whole(seed: u64, step: u32, start in 0u64..1 << 40, from in 0usize..60, length in 0usize..60) {
            let noise = Noise::new(seed);
            let mut whole = [0.0; 120];
            noise.fill(step, start, &mut whole);
            let mut piece = vec![0.0; length];
            noise.fill(step, start + from as u64, &mut piece);
            prop_assert_eq!(&piece[..], &whole[from..from + length]);
            let moved = noise.starting_at(start);
            moved.fill(step, from as u64, &mut piece);
            prop_assert_eq!(&piece[..], &whole[from..from + length]);
        }
    }
}
