use super::*;
use crate::mel::testing;

fn fixture(name: &str) -> Array2<f32> {
    testing::fixture(&format!("envelope/{name}"))
}

fn signal(name: &str) -> Vec<f32> {
    testing::signal(&format!("envelope/{name}"))
}

fn hifigan() -> MelConvention {
    MelConvention::named("hifigan").unwrap()
}

/// The conventions of the fixtures, and where the second's are.
const CONVENTIONS: [(&str, &str); 2] = [("hifigan", ""), ("vocos24k", "vocos24k/")];

fn filter() -> EnvelopeFilter {
    filter_for(&hifigan())
}

fn filter_for(convention: &MelConvention) -> EnvelopeFilter {
    let log_equaliser = signal("log_equaliser");
    EnvelopeFilter::new(
        convention,
        &EnvelopeParameters {
            log_equaliser,
            ..Default::default()
        },
    )
    .unwrap()
}

fn assert_close(got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len());
    for (n, (a, b)) in got.iter().zip(want).enumerate() {
        assert!((a - b).abs() < tolerance, "at {n}: {a}, expected {b}");
    }
}

/// The mel and an excitation, repeated so that windows have something to be windows of.
fn long_clip(times: usize) -> (Array2<f32>, Vec<f32>) {
    let mel = fixture("mel");
    let views: Vec<_> = (0..times).map(|_| mel.view()).collect();
    let mel = ndarray::concatenate(ndarray::Axis(1), &views).unwrap();
    (mel, signal("excitation").repeat(times))
}

#[test]
fn gains_agree_with_the_training_code() {
    for (name, folder) in CONVENTIONS {
        let filter = filter_for(&MelConvention::named(name).unwrap());
        let mel = fixture(&format!("{folder}mel"));
        let gains = filter.gains(mel.view()).unwrap();
        let want = fixture(&format!("{folder}gain"));
        for (column, frame) in [0, 1, 9, 14, 23].into_iter().enumerate() {
            for (bin, want) in want.column(column).iter().enumerate() {
                let got = gains[(bin, frame)];
                assert!(
                    (got - want).abs() < 1e-4 * want.max(1.0),
                    "{name}, bin {bin}, frame {frame}: {got}, expected {want}"
                );
            }
        }
    }
}

#[test]
fn both_directions_agree_with_the_training_code() {
    for (name, folder) in CONVENTIONS {
        let filter = filter_for(&MelConvention::named(name).unwrap());
        let file = |name: &str| format!("{folder}{name}");
        let mel = fixture(&file("mel"));
        for (given, filtering, wanted) in [
            ("excitation", Filtering::Unwhiten, "unwhitened"),
            ("audio", Filtering::Whiten, "whitened"),
        ] {
            let found = filter.apply(&signal(&file(given)), mel.view(), filtering);
            assert_close(&found.unwrap(), &signal(&file(wanted)), 1e-4);
        }
    }
}

#[test]
fn pieces_of_any_size_give_the_whole() {
    let (mel, excitation) = long_clip(3);
    let filter = filter();
    let whole = filter
        .apply(&excitation, mel.view(), Filtering::Unwhiten)
        .unwrap();
    for (frames, samples) in [(1, 256), (1, 100), (7, 1000), (72, 1), (5, 18_432)] {
        let mut stream = filter.stream(Filtering::Unwhiten);
        let mut out = Vec::new();
        let mut mels = mel.axis_chunks_iter(ndarray::Axis(1), frames);
        for piece in excitation.chunks(samples) {
            if let Some(frames) = mels.next() {
                stream.push_mel(frames).unwrap();
            }
            stream.push_samples(piece, &mut out);
        }
        for rest in mels {
            stream.push_mel(rest).unwrap();
        }
        stream.finish(&mut out).unwrap();
        assert_eq!(out, whole, "{frames} frames, {samples} samples a piece");
    }
}

#[test]
fn a_sample_comes_out_after_the_lookahead_and_not_before() {
    let (mel, excitation) = long_clip(2);
    let filter = filter();
    assert_eq!((filter.hop(), filter.lookahead_frames()), (256, 6));
    let mut stream = filter.stream(Filtering::Unwhiten);
    let mut out = Vec::new();
    for (frame, piece) in excitation.chunks(256).enumerate() {
        stream
            .push_mel(mel.slice(ndarray::s![.., frame..frame + 1]))
            .unwrap();
        stream.push_samples(piece, &mut out);
        let finished = (frame + 1).saturating_sub(6) * 256;
        assert!(
            (finished..finished + 256).contains(&out.len()),
            "{} samples after frame {frame}",
            out.len()
        );
    }
}

#[test]
fn whitening_is_undone_by_unwhitening() {
    let (mel, audio) = (fixture("mel"), signal("audio"));
    let filter = filter();
    let white = filter.apply(&audio, mel.view(), Filtering::Whiten).unwrap();
    let back = filter
        .apply(&white, mel.view(), Filtering::Unwhiten)
        .unwrap();
    // The steady noise at the end; where the envelope moves fast, the two filters do not commute.
    let steady = 17 * 256..22 * 256;
    let energy =
        |n: std::ops::Range<usize>, x: &dyn Fn(usize) -> f32| n.map(|n| x(n).powi(2)).sum::<f32>();
    let error = energy(steady.clone(), &|n| back[n] - audio[n]);
    let snr = 10.0 * (energy(steady, &|n| audio[n]) / error).log10();
    assert!(snr > 40.0, "{snr} dB");
}

#[test]
fn the_context_of_a_window_is_enough_for_equality() {
    // A window in the middle of a clip, filtered by itself with context on each side, equals the whole there.
    let (mel, excitation) = long_clip(3);
    let filter = filter();
    let whole = filter
        .apply(&excitation, mel.view(), Filtering::Unwhiten)
        .unwrap();
    let (from, to) = (20, 50);
    let part = mel.slice(ndarray::s![.., from..to]);
    let got = filter
        .apply(&excitation[from * 256..to * 256], part, Filtering::Unwhiten)
        .unwrap();
    let context = filter.lookahead_frames() + 1;
    let inner = context * 256..(to - from - context) * 256;
    assert_close(
        &got[inner.clone()],
        &whole[from * 256 + inner.start..from * 256 + inner.end],
        1e-5,
    );
}

/// Filters of both framings, of windows that are few hops and many, and smoothings that see further ahead than the windows.
fn filters() -> Vec<EnvelopeFilter> {
    let mut filters = Vec::new();
    for name in ["hifigan", "vocos24k"] {
        for (window, fft, smooth) in [
            (1024, 2048, 5),
            (1024, 1024, 1),
            (512, 1500, 1),
            (768, 2048, 3),
            (2048, 2300, 5),
            (1024, 2048, 11),
        ] {
            let parameters = EnvelopeParameters {
                fft,
                window,
                smooth,
                log_equaliser: vec![0.1; fft / 2 + 1],
                ..Default::default()
            };
            let convention = MelConvention::named(name).unwrap();
            filters.push(EnvelopeFilter::new(&convention, &parameters).unwrap());
        }
    }
    filters
}

/// A mel with some movement and noise as long as it, of the filter's bands.
fn moving_clip(filter: &EnvelopeFilter, frames: usize) -> (Array2<f32>, Vec<f32>) {
    let convention = &filter.tables.convention;
    let value = |(band, frame): (usize, usize)| {
        convention.floor_value() * (0.3 + 0.02 * ((7 * band + 13 * frame) % 17) as f32)
    };
    let mel = Array2::from_shape_fn((convention.n_mels, frames), value);
    let noise = testing::white_noise(0.3).into_iter().cycle();
    (mel, noise.take(frames * convention.hop).collect())
}

#[test]
fn in_both_framings_pieces_give_the_whole_as_early_as_the_lookahead_says() {
    for (case, filter) in filters().into_iter().enumerate() {
        let (mel, excitation) = moving_clip(&filter, 30);
        let (hop, lookahead) = (filter.hop(), filter.lookahead_frames());
        for filtering in [Filtering::Whiten, Filtering::Unwhiten] {
            let whole = filter.apply(&excitation, mel.view(), filtering).unwrap();
            assert_eq!(whole.len(), excitation.len());
            let mut stream = filter.stream(filtering);
            let (mut out, mut earliest) = (Vec::new(), usize::MAX);
            for frame in 0..mel.ncols() {
                let column = mel.slice(ndarray::s![.., frame..frame + 1]);
                stream.push_mel(column).unwrap();
                stream.push_samples(&excitation[frame * hop..(frame + 1) * hop], &mut out);
                assert!(
                    out.len() >= (frame + 1).saturating_sub(lookahead) * hop,
                    "{case}: {} samples after frame {frame}",
                    out.len()
                );
                if !out.is_empty() {
                    earliest = earliest.min(frame + 1 - out.len() / hop);
                }
            }
            // Some sample of a frame does not come any earlier.
            assert!(earliest >= lookahead - 1, "{case}: {earliest}");
            stream.finish(&mut out).unwrap();
            assert!(out == whole, "{case}");
        }
    }
}

#[test]
fn in_both_framings_a_sample_depends_on_no_more_than_the_lookahead_on_either_side() {
    for (case, filter) in filters().into_iter().enumerate() {
        let (mel, excitation) = moving_clip(&filter, 40);
        let (hop, reach) = (filter.hop(), filter.lookahead_frames());
        let filtering = Filtering::Unwhiten;
        let whole = filter.apply(&excitation, mel.view(), filtering).unwrap();
        let (from, to) = (2, 38);
        let part = mel.slice(ndarray::s![.., from..to]);
        let got = filter
            .apply(&excitation[from * hop..to * hop], part, filtering)
            .unwrap();
        let inner = reach * hop..(to - from - reach) * hop;
        let expected = &whole[from * hop..][inner.clone()];
        let worst = got[inner].iter().zip(expected);
        let worst = worst.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{case}: {worst}");
    }
}

#[test]
fn a_centred_convention_is_whitened_and_back() {
    let convention = MelConvention::named("vocos24k").unwrap();
    let filter = EnvelopeFilter::new(&convention, &EnvelopeParameters::default()).unwrap();
    let audio = testing::white_noise(0.3);
    let audio = &audio[..80 * convention.hop];
    let mel = crate::mel::analyse(audio, &convention)
        .unwrap()
        .into_values();
    // A centred mel has one frame more than the signal has hops.
    let mel = mel.slice(ndarray::s![.., ..80]);
    let white = filter.apply(audio, mel, Filtering::Whiten).unwrap();
    let back = filter.apply(&white, mel, Filtering::Unwhiten).unwrap();
    let inner = 8 * convention.hop..72 * convention.hop;
    let energy = |x: &mut dyn Iterator<Item = f32>| x.map(|x| x * x).sum::<f32>();
    let error = energy(&mut inner.clone().map(|n| back[n] - audio[n]));
    let snr = 10.0 * (energy(&mut inner.clone().map(|n| audio[n])) / error).log10();
    assert!(snr > 40.0, "{snr} dB");
    let level = (energy(&mut inner.clone().map(|n| white[n])) / inner.len() as f32).sqrt();
    assert!((0.01..100.0).contains(&level), "{level}");
}

#[test]
fn a_click_grows_most_with_the_frame_that_is_centred_on_it() {
    for name in ["hifigan", "vocos24k"] {
        let convention = MelConvention::named(name).unwrap();
        let parameters = EnvelopeParameters {
            smooth: 1,
            ..Default::default()
        };
        let filter = EnvelopeFilter::new(&convention, &parameters).unwrap();
        let (hop, place) = (256, 10 * 256 + convention.centre());
        let mut click = vec![0.0; 21 * hop];
        click[place] = 1.0;
        let with_loud = |frame: usize| {
            let mut mel = Array2::from_elem((convention.n_mels, 21), convention.floor_value());
            mel.column_mut(frame).fill(0.0);
            let out = filter.apply(&click, mel.view(), Filtering::Unwhiten);
            out.unwrap()[place].abs()
        };
        let levels: Vec<f32> = (8..13).map(with_loud).collect();
        assert!(
            (0..5).all(|n| n == 2 || levels[n] < levels[2]),
            "{name}: {levels:?}"
        );
        // Its neighbours see it equally far from their middles.
        assert!(
            (levels[1] / levels[3] - 1.0).abs() < 0.01,
            "{name}: {levels:?}"
        );
    }
}

#[test]
fn an_unused_half_of_the_smoothing_does_not_shift_the_mel() {
    // Smoothing longer than the frames outside the clip: gains must still belong to their own frames.
    let parameters = EnvelopeParameters {
        smooth: 11,
        ..Default::default()
    };
    let filter = EnvelopeFilter::new(&hifigan(), &parameters).unwrap();
    let mut mel = Array2::from_elem((80, 21), hifigan().floor_value());
    mel.column_mut(10).fill(0.0);
    let gains = filter.gains(mel.view()).unwrap();
    let loudest = (0..21).max_by(|a, b| gains[(300, *a)].total_cmp(&gains[(300, *b)]));
    assert_eq!(loudest, Some(10));
    let mut click = vec![0.0; 21 * 256];
    for frame in 0..21 {
        click[frame * 256 + 128] = 1.0;
    }
    let out = filter
        .apply(&click, mel.view(), Filtering::Unwhiten)
        .unwrap();
    let peak = |frame: usize| out[frame * 256 + 128].abs();
    assert!(peak(10) > peak(9) && peak(10) > peak(11));
    assert!((peak(9) / peak(11) - 1.0).abs() < 0.01);
}

#[test]
fn refuses_what_does_not_fit() {
    let defaults = EnvelopeParameters::default;
    let refused = |parameters: EnvelopeParameters, field: &str| {
        let message = EnvelopeFilter::new(&hifigan(), &parameters)
            .err()
            .unwrap()
            .to_string();
        assert!(message.contains(field), "{field}: {message}");
    };
    refused(
        EnvelopeParameters {
            fft: 2047,
            ..defaults()
        },
        "fft",
    );
    refused(
        EnvelopeParameters {
            fft: usize::MAX - 1,
            ..defaults()
        },
        "fft",
    );
    refused(
        EnvelopeParameters {
            window: 1000,
            ..defaults()
        },
        "window",
    );
    refused(
        EnvelopeParameters {
            window: 4096,
            ..defaults()
        },
        "window",
    );
    refused(
        EnvelopeParameters {
            lifter: 0,
            ..defaults()
        },
        "lifter",
    );
    refused(
        EnvelopeParameters {
            lifter: 1024,
            ..defaults()
        },
        "lifter",
    );
    refused(
        EnvelopeParameters {
            smooth: 4,
            ..defaults()
        },
        "smooth",
    );
    refused(
        EnvelopeParameters {
            log_equaliser: vec![0.0; 3],
            ..defaults()
        },
        "log_equaliser",
    );
    refused(
        EnvelopeParameters {
            log_equaliser: vec![f32::NAN; 1025],
            ..defaults()
        },
        "log_equaliser",
    );
    let crowded = MelConvention {
        n_mels: 512,
        ..hifigan()
    };
    assert!(matches!(
        EnvelopeFilter::new(&crowded, &defaults()),
        Err(DspError::EmptyBand { band: 0 })
    ));

    let mel = fixture("mel");
    let short = filter().apply(&[0.0; 300], mel.view(), Filtering::Unwhiten);
    assert!(matches!(
        short,
        Err(DspError::Length {
            frames: 24,
            expected: 6144,
            found: 300
        })
    ));
    let narrow = filter().apply(
        &[0.0; 256],
        Array2::zeros((79, 1)).view(),
        Filtering::Unwhiten,
    );
    assert!(matches!(
        narrow,
        Err(DspError::Bands {
            expected: 80,
            found: 79
        })
    ));
}

#[test]
fn samples_that_are_not_numbers_do_not_panic() {
    let mel = fixture("mel");
    let out = filter()
        .apply(&vec![f32::NAN; 24 * 256], mel.view(), Filtering::Unwhiten)
        .unwrap();
    assert_eq!(out.len(), 24 * 256);
}
