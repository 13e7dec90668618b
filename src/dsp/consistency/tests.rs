use super::*;
use crate::mel::{analyse, testing};
use ndarray::{Array2, Axis, s};

fn fixture(name: &str) -> Array2<f32> {
    testing::fixture(&format!("consistency/{name}"))
}

fn signal(name: &str) -> Vec<f32> {
    testing::signal(&format!("consistency/{name}"))
}

fn hifigan() -> MelConvention {
    MelConvention::named("hifigan").unwrap()
}

fn plain(passes: usize) -> ConsistencyParameters {
    ConsistencyParameters {
        passes,
        momentum: 0.0,
    }
}

fn hurried(passes: usize) -> ConsistencyParameters {
    ConsistencyParameters {
        passes,
        momentum: 0.5,
    }
}

fn filter(passes: usize) -> ConsistencyFilter {
    ConsistencyFilter::new(&hifigan(), &plain(passes)).unwrap()
}

/// Mean absolute difference of two mels away from the ends.
fn distance(a: &[f32], mel: &Array2<f32>) -> f32 {
    let found = analyse(a, &hifigan()).unwrap().into_values();
    let inner = s![.., 2..mel.ncols() - 2];
    (&found.slice(inner) - &mel.slice(inner))
        .mapv(f32::abs)
        .mean()
        .unwrap()
}

#[test]
fn agrees_with_the_training_code() {
    for (name, folder) in [("hifigan", ""), ("vocos24k", "vocos24k/")] {
        let convention = MelConvention::named(name).unwrap();
        let made = [(1, 0.0, "once"), (3, 0.0, "thrice"), (5, 0.9, "momentum")];
        for (passes, momentum, made) in made {
            let file = |name: &str| format!("{folder}{name}");
            let parameters = ConsistencyParameters { passes, momentum };
            let found = ConsistencyFilter::new(&convention, &parameters)
                .unwrap()
                .apply(&signal(&file("audio")), fixture(&file("mel")).view())
                .unwrap();
            let expected = signal(&file(made));
            assert_eq!(found.len(), expected.len());
            for (n, (a, b)) in found.iter().zip(&expected).enumerate() {
                assert!((a - b).abs() < 1e-4, "{name}, {made}, at {n}: {a}, {b}");
            }
        }
    }
}

#[test]
fn each_pass_brings_the_mel_closer() {
    let mel = fixture("mel");
    let at = |passes| {
        distance(
            &filter(passes).apply(&signal("audio"), mel.view()).unwrap(),
            &mel,
        )
    };
    let before = distance(&signal("audio"), &mel);
    assert!(at(1) < 0.6 * before, "{before}, then {}", at(1));
    assert!(at(3) < 0.7 * at(1), "{}, then {}", at(1), at(3));
    let hurried = ConsistencyFilter::new(&hifigan(), &hurried(6)).unwrap();
    let found = distance(&hurried.apply(&signal("audio"), mel.view()).unwrap(), &mel);
    assert!(found < 0.95 * at(6), "{found}, plain {}", at(6));
}

#[test]
fn a_signal_that_has_its_mel_already_stays() {
    for name in MelConvention::names() {
        let convention = MelConvention::named(name).unwrap();
        // Whole hops, whatever the convention's are.
        let audio = signal("audio");
        let audio = &audio[..audio.len() / convention.hop * convention.hop];
        let mut mel = analyse(audio, &convention).unwrap().into_values();
        // A centred mel has one frame more than the signal has hops.
        let frames = audio.len() / convention.hop;
        mel.slice_axis_inplace(Axis(1), (0..frames).into());
        let filter = ConsistencyFilter::new(&convention, &plain(2));
        let found = filter.unwrap().apply(audio, mel.view()).unwrap();
        let worst = found
            .iter()
            .zip(audio)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst < 1e-3, "{name}: {worst}");
    }
}

#[test]
fn two_threads_give_what_one_gives() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    let pool = pool.unwrap();
    let (mel, audio) = (fixture("mel"), signal("audio"));
    for passes in 1..=4 {
        let filter = ConsistencyFilter::new(&hifigan(), &hurried(passes)).unwrap();
        let apply = || filter.apply(&audio, mel.view()).unwrap();
        assert_eq!(pool.install(apply), apply(), "{passes}");
    }
}

#[test]
fn pieces_of_any_size_give_the_whole() {
    let (mel, audio) = (fixture("mel"), signal("audio"));
    let filter = ConsistencyFilter::new(&hifigan(), &hurried(4)).unwrap();
    let whole = filter.apply(&audio, mel.view()).unwrap();
    for (frames, samples) in [(1, 256), (1, 100), (7, 1000), (20, 1), (5, 5120)] {
        let mut stream = filter.stream();
        let mut out = Vec::new();
        let mut mels = mel.axis_chunks_iter(Axis(1), frames);
        for piece in audio.chunks(samples) {
            if let Some(frames) = mels.next() {
                stream.push_mel(frames).unwrap();
            }
            stream.push_samples(piece, &mut out);
        }
        for rest in mels {
            stream.push_mel(rest).unwrap();
        }
        stream.finish(&mut out).unwrap();
        assert!(out == whole, "{frames} frames, {samples} samples a piece");
    }
}

#[test]
fn a_sample_comes_out_after_the_lookahead_and_not_before() {
    let (mel, audio) = (fixture("mel"), signal("audio"));
    let lookahead = filter(1).lookahead_frames();
    let mut stream = filter(1).stream();
    let mut out = Vec::new();
    for (frame, piece) in audio.chunks(256).enumerate() {
        stream
            .push_mel(mel.slice(s![.., frame..frame + 1]))
            .unwrap();
        stream.push_samples(piece, &mut out);
        let finished = (frame + 1).saturating_sub(lookahead) * 256;
        assert!(out.len() >= finished, "{} after {frame}", out.len());
        assert!(out.len() <= finished + 256, "{} after {frame}", out.len());
    }
}

#[test]
fn centred_frames_are_scaled_where_their_windows_lie() {
    let convention = MelConvention::named("vocos24k").unwrap();
    let hop = convention.hop;
    let filter = ConsistencyFilter::new(&convention, &plain(1)).unwrap();
    let audio = testing::white_noise(0.1);
    let audio = &audio[..40 * hop];
    let mut mel = analyse(audio, &convention).unwrap().into_values();
    // A centred mel has one frame more than the signal has hops.
    mel.slice_axis_inplace(Axis(1), (0..40).into());
    let change = |found: &[f32], n: usize| (found[n] - audio[n]).abs() > 1e-4;
    for frame in [2, 20, 38] {
        let mut louder = mel.clone();
        louder.column_mut(frame).mapv_inplace(|v| v + 0.5);
        let found = filter.apply(audio, louder.view()).unwrap();
        let changed: Vec<usize> = (0..audio.len()).filter(|n| change(&found, *n)).collect();
        let (first, last) = (changed[0], changed[changed.len() - 1]);
        let (start, end) = (frame * hop - 512, frame * hop + 512);
        assert!(first >= start && last < end, "{frame}: {first} to {last}");
        assert!(
            first < start + 200 && last >= end - 200,
            "{frame}: {first} to {last}"
        );
    }
    // Windows that leave the clip at either end are left alone.
    for frame in [0, 1, 39] {
        let mut louder = mel.clone();
        louder.column_mut(frame).mapv_inplace(|v| v + 0.5);
        let found = filter.apply(audio, louder.view()).unwrap();
        assert!(
            (0..audio.len()).all(|n| !change(&found, n)),
            "frame {frame}"
        );
    }
}

#[test]
fn clips_shorter_than_a_window_are_left_alone() {
    for frames in [0, 1, 4] {
        let audio = &signal("audio")[..frames * 256];
        let mel = fixture("mel");
        let found = filter(2).apply(audio, mel.slice(s![.., ..frames])).unwrap();
        assert_eq!(found, audio, "{frames} frames");
    }
}

#[test]
fn silence_stays_silence_and_what_is_missing_is_not_forced() {
    let silent = vec![0.0; 20 * 256];
    let found = filter(2).apply(&silent, fixture("mel").view()).unwrap();
    assert!(found == silent);
}

#[test]
fn lengths_that_disagree_are_refused() {
    let mel = fixture("mel");
    let error = filter(1).apply(&[0.0; 100], mel.view()).unwrap_err();
    assert!(matches!(
        error,
        DspError::Length {
            expected: 5120,
            found: 100,
            ..
        }
    ));
    let narrow = mel.slice(s![..79, ..]);
    let error = filter(1).apply(&signal("audio"), narrow).unwrap_err();
    assert!(matches!(
        error,
        DspError::Bands {
            expected: 80,
            found: 79
        }
    ));
}

#[test]
fn what_cannot_be_enforced_is_refused_with_the_range() {
    let refused = |passes, change: fn(&mut MelConvention)| {
        let mut convention = hifigan();
        change(&mut convention);
        let filter = ConsistencyFilter::new(&convention, &plain(passes));
        filter.map(drop).unwrap_err().to_string()
    };
    assert_eq!(
        refused(0, |_| {}),
        "consistency.passes is 0, expected 1 to 16"
    );
    assert!(refused(17, |_| {}).contains("1 to 16"));
    for momentum in [-0.1, 1.1, f32::NAN] {
        let parameters = ConsistencyParameters {
            passes: 2,
            momentum,
        };
        let filter = ConsistencyFilter::new(&hifigan(), &parameters);
        let message = filter.map(drop).unwrap_err().to_string();
        assert!(message.ends_with("expected 0 to 1"), "{message}");
    }
    assert!(refused(1, |c| c.hop = 300).contains("a multiple of the hop of 300"));
    assert!(refused(1, |c| c.win_length = 512).contains("at least three times"));
}
