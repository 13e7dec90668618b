//! The watermark as a filter of its own, where no other pass can take it along.

use std::sync::Arc;

use ndarray::ArrayView2;

use super::gains::{COLUMN_SECONDS, MarkGains, Watermark};
use crate::dsp::consistency::ConsistencyStream;
use crate::dsp::pass::{PassTables, Place, SpectralPass};
use crate::dsp::{DspError, MelFilter};
use crate::mel::MelConvention;

/// Windows, as multiples of a column, that a pass of mel consistency may have to take the watermark along: the cells become a blur under
/// longer ones, and are cut into pieces by shorter ones.
const FITTING: std::ops::RangeInclusive<f64> = 0.6..=1.5;

/// Puts watermarks into signals of one convention. Cheap to clone.
#[derive(Clone)]
pub struct MarkFilter {
    sample_rate: u32,
    /// Length of the transform, and whether the passes of the mel's consistency can take the watermark along.
    n_fft: usize,
    rides: bool,
    tables: Arc<PassTables>,
}

impl MarkFilter {
    /// For signals made of mels of `convention`.
    pub fn new(convention: &MelConvention) -> MarkFilter {
        let rate = f64::from(convention.sample_rate);
        // A window as long as a column, in four hops of a length that is kind to the FFT.
        let hop = ((COLUMN_SECONDS * rate / 64.0).round() as usize).max(1) * 16;
        let window = convention.win_length as f64 / rate;
        MarkFilter {
            sample_rate: convention.sample_rate,
            n_fft: convention.n_fft,
            rides: FITTING.contains(&(window / COLUMN_SECONDS)),
            tables: Arc::new(PassTables::new(4 * hop, 4 * hop, hop, 3 * hop / 2)),
        }
    }

    /// Whether passes of mel consistency can take the watermark along.
    pub fn rides(&self) -> bool {
        self.rides
    }

    /// Has the last of the passes put the watermark in. Where there is none, or its windows do not fit, the watermark's own pass comes back,
    /// to be run after it. The signal begins with sample `origin` of its clip.
    pub fn put_in(
        &self,
        watermark: &Watermark,
        last: Option<&mut ConsistencyStream>,
        origin: u64,
    ) -> Option<MarkStream> {
        let gains = |n_fft| MarkGains::new(watermark, self.sample_rate, n_fft).starting_at(origin);
        match last {
            Some(pass) if self.rides => {
                pass.put_in(gains(self.n_fft));
                None
            }
            _ => Some(MarkStream {
                pass: SpectralPass::new(&self.tables),
                gains: gains(self.tables.n_fft()),
            }),
        }
    }
}

/// A pass that puts a watermark into a signal that comes in pieces; the result does not depend on the pieces. What lies within a window of
/// the ends of the clip gets less of it.
pub struct MarkStream {
    pass: SpectralPass,
    gains: MarkGains,
}

impl MarkStream {
    fn advance(&mut self, out: &mut Vec<f32>) {
        while let Some(place) = self.pass.ready(out) {
            match place {
                Place::Outside => self.pass.leave(),
                Place::Inside(centre) => self.pass.scale(|_, ln_gains| {
                    ln_gains.fill(0.0);
                    self.gains.add(centre, ln_gains);
                }),
            }
        }
    }
}

/// The mel does not matter to it.
impl MelFilter for MarkStream {
    fn push_mel(&mut self, _: ArrayView2<'_, f32>) -> Result<(), DspError> {
        Ok(())
    }

    fn end_mel(&mut self) {}

    fn push_samples(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.pass.push(samples);
        self.advance(out);
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), DspError> {
        self.pass.finish(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Key;
    use super::*;
    use crate::mel::testing;

    fn marked(audio: &[f32], piece: usize) -> Vec<f32> {
        let filter = MarkFilter::new(&MelConvention::named("hifigan").unwrap());
        let mut stream = filter
            .put_in(&Watermark::new(&Key::public(), 7), None, 0)
            .unwrap();
        let mut out = Vec::new();
        for piece in audio.chunks(piece) {
            stream.push_samples(piece, &mut out);
        }
        stream.finish(&mut out).unwrap();
        out
    }

    #[test]
    fn pieces_of_any_size_give_the_whole_which_is_a_little_different() {
        let audio = testing::signal("consistency/audio");
        let whole = marked(&audio, audio.len());
        for piece in [1, 100, 256, 1000] {
            assert!(marked(&audio, piece) == whole, "{piece} samples a piece");
        }
        let energy = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>();
        let change: Vec<f32> = whole.iter().zip(&audio).map(|(a, b)| a - b).collect();
        let share = energy(&change) / energy(&audio);
        assert!((1e-5..1e-2).contains(&share), "{share}");
    }

    #[test]
    fn what_is_shorter_than_a_window_is_left_alone() {
        let audio = &testing::signal("consistency/audio")[..1000];
        assert_eq!(marked(audio, 300), audio);
    }

    #[test]
    fn passes_whose_windows_are_of_another_length_do_not_take_it_along() {
        let rides = |change: fn(&mut MelConvention)| {
            let mut convention = MelConvention::named("hifigan").unwrap();
            change(&mut convention);
            MarkFilter::new(&convention).rides
        };
        assert!(rides(|_| {}));
        assert!(rides(|c| c.sample_rate = 24_000));
        assert!(!rides(|c| c.win_length = 512));
        assert!(!rides(|c| c.sample_rate = 8_000));
    }
}
