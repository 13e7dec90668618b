//! From samples to a mel spectrogram, in any convention. Agrees with librosa and torchaudio within 1e-4 (tests/fixtures/mel).

use ndarray::Array2;

use super::filterbank::{filterbank, sparse_rows};
use super::{Mel, MelConvention, MelError};
use crate::stft::{Stft, reflect};

/// The mel spectrogram of `samples`, mono at `convention.sample_rate` with full scale at 1; `[n_mels, frames]`.
///
/// Frames: `samples / hop` in hop framing, `1 + samples / hop` in centred framing.
///
/// # Errors
/// [`MelError::AudioTooShort`] below one frame, [`MelError::AudioNonFinite`], and [`MelError::ConventionField`] for a convention that
/// does not pass [`MelConvention::validate`].
pub fn analyse(samples: &[f32], convention: &MelConvention) -> Result<Mel, MelError> {
    convention.validate()?;
    if let Some((index, &value)) = samples.iter().enumerate().find(|(_, s)| !s.is_finite()) {
        return Err(MelError::AudioNonFinite { index, value });
    }
    let (n_fft, hop) = (convention.n_fft, convention.hop);
    let padding = convention.padding();
    let expected = (n_fft - 2 * padding).max(1);
    if samples.len() < expected {
        return Err(MelError::AudioTooShort {
            expected,
            found: samples.len(),
            convention: convention.name.clone(),
        });
    }
    let frames = 1 + (samples.len() + 2 * padding - n_fft) / hop;
    let bands = sparse_rows(filterbank(convention).view());
    let mut stft = Stft::new(n_fft, convention.win_length);
    let mut magnitudes = vec![0.0; stft.bins()];
    let mut values = Array2::zeros((convention.n_mels, frames));
    for frame in 0..frames {
        let start = (frame * hop) as i64 - padding as i64;
        let spectrum =
            stft.spectrum(|n| f64::from(samples[reflect(start + n as i64, samples.len())]));
        for (magnitude, bin) in magnitudes.iter_mut().zip(spectrum) {
            *magnitude = convention.bin_magnitude(bin.norm_sqr());
        }
        for (band, (first, weights)) in bands.iter().enumerate() {
            let sum: f64 = weights
                .iter()
                .zip(&magnitudes[*first..])
                .map(|(w, m)| f64::from(*w) * m)
                .sum();
            values[(band, frame)] = convention.compress(sum);
        }
    }
    if let Some(moments) = &convention.compression.per_band {
        moments.apply(&mut values);
    }
    Mel::new(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::testing;

    fn array(name: &str) -> Array2<f32> {
        testing::fixture(&format!("mel/{name}"))
    }

    fn signal(rate: u32) -> Vec<f32> {
        testing::signal(&format!("mel/signal_{rate}"))
    }

    fn largest_difference(a: &Array2<f32>, b: &Array2<f32>) -> f32 {
        assert_eq!(a.shape(), b.shape());
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max)
    }

    #[test]
    fn agrees_with_librosa_in_every_named_convention() {
        for name in MelConvention::names() {
            let convention = MelConvention::named(name).unwrap();
            let mel = analyse(&signal(convention.sample_rate), &convention).unwrap();
            let worst = largest_difference(&mel.into_values(), &array(name));
            assert!(worst < 1e-4, "{name} differs by {worst}");
        }
    }

    /// The experiment behind `Prepared::shift_samples`: delaying the signal by half a hop turns a centred mel into a hop-framed one.
    #[test]
    fn a_centred_frame_is_the_hop_frame_of_the_signal_delayed_by_half_a_hop() {
        let centred = MelConvention::named("tacotron2").unwrap();
        let framed = MelConvention::named("hifigan").unwrap();
        let signal = signal(22_050);
        let delayed: Vec<f32> = std::iter::repeat_n(0.0, 128)
            .chain(signal.iter().copied())
            .collect();
        let centred = analyse(&signal, &centred).unwrap();
        let framed = analyse(&delayed, &framed).unwrap();
        // Away from the ends, where the paddings differ, and above what HiFi-GAN's 1e-9 under the root moves.
        let (mut compared, mut worst) = (0, 0f32);
        for ((band, frame), value) in centred.view().indexed_iter() {
            if (3..centred.frames() - 4).contains(&frame) && *value > -4.0 {
                worst = worst.max((value - framed.view()[(band, frame)]).abs());
                compared += 1;
            }
        }
        assert!(
            compared > 300 && worst < 1e-3,
            "{compared} values differ by up to {worst}"
        );
    }

    #[test]
    fn counts_frames_as_each_framing_says() {
        let framed = MelConvention::named("hifigan").unwrap();
        let centred = MelConvention::named("tacotron2").unwrap();
        for (samples, expected) in [(256, 1), (511, 1), (512, 2), (25_600, 100)] {
            assert_eq!(
                analyse(&vec![0.1; samples], &framed).unwrap().frames(),
                expected
            );
            assert_eq!(
                analyse(&vec![0.1; samples], &centred).unwrap().frames(),
                expected + 1
            );
        }
    }

    #[test]
    fn silence_is_at_the_floor_and_nothing_is_above_the_ceiling() {
        for name in MelConvention::names() {
            let convention = MelConvention::named(name).unwrap();
            let silence = analyse(&[0.0; 2048], &convention).unwrap();
            assert!(
                silence
                    .view()
                    .iter()
                    .all(|v| *v == convention.floor_value()),
                "{name}"
            );
            let square: Vec<f32> = (0..8192)
                .map(|n| if n % 64 < 32 { 1.0 } else { -1.0 })
                .collect();
            for loud in [vec![1.0; 8192], square] {
                let loudest = analyse(&loud, &convention)
                    .unwrap()
                    .view()
                    .iter()
                    .copied()
                    .fold(-99.0, f32::max);
                assert!(loudest <= convention.ceiling_value(), "{name}: {loudest}");
            }
        }
    }

    #[test]
    fn refuses_audio_without_a_frame_or_with_nan() {
        let framed = MelConvention::named("hifigan").unwrap();
        let short = analyse(&[0.0; 255], &framed);
        assert!(matches!(
            short,
            Err(MelError::AudioTooShort {
                expected: 256,
                found: 255,
                ..
            })
        ));
        let centred = MelConvention::named("lmnt").unwrap();
        assert!(matches!(
            analyse(&[], &centred),
            Err(MelError::AudioTooShort { .. })
        ));
        assert_eq!(analyse(&[0.5], &centred).unwrap().frames(), 1);
        let nan = analyse(&[0.0, f32::NAN], &centred);
        assert!(matches!(
            nan,
            Err(MelError::AudioNonFinite { index: 1, .. })
        ));
    }
}
