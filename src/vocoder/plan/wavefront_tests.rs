use super::*;
use crate::bundle::Context;
use crate::diffusion::Coefficients;
use crate::vocoder::plan::window::Chunks;
use proptest::prelude::*;

const HOP: usize = 4;
const CONTEXT: usize = 2;

/// A network whose reach is `CONTEXT` frames exactly and whose answer depends on place, time and every sample in reach, with layers
/// that pad with zeros at the edges of what they are given.
fn denoise(start: i64, t: f64, state: &[f32]) -> Vec<f32> {
    let reach = (CONTEXT * HOP) as i64;
    let at = |index: i64| {
        usize::try_from(index)
            .ok()
            .and_then(|i| state.get(i))
            .map_or(-0.3, |x| (x + 0.2).tanh())
    };
    let answer = |i: usize| {
        let around: f32 = (-reach..=reach)
            .map(|tap| at(i as i64 + tap) * ((tap * 7 + 3) % 5) as f32 * 0.1)
            .sum();
        let place = (start * HOP as i64 + i as i64) as f64;
        0.5 * around + (0.1 * place + t).sin() as f32
    };
    (0..state.len()).map(answer).collect()
}

fn plan(rows: usize) -> Plan {
    let row = |k: usize| Coefficients {
        t: k as f64,
        a: 0.6,
        b: 0.4,
        c: if k.is_multiple_of(2) { 0.1 } else { 0.0 },
        d: if k == 0 { 0.0 } else { 0.05 * (k % 3) as f64 },
        u: -0.3,
        v: 0.7,
    };
    Plan {
        rows: (0..rows).map(row).collect(),
        clamp: Some([-0.9, 0.9]),
    }
}

/// The definition, with no windows: every step on the whole clip with `CONTEXT` frames of outside.
fn whole(plan: &Plan, noise: Noise, frames: usize) -> Vec<f32> {
    let (pad, len) = (CONTEXT * HOP, frames * HOP);
    let mut state = vec![0.0; len];
    noise.fill(0, 0, &mut state);
    let mut remembered = vec![0.0; len];
    for (k, row) in plan.rows.iter().enumerate() {
        let padded = [vec![0.0; pad], state.clone(), vec![0.0; pad]].concat();
        let prediction = denoise(-(CONTEXT as i64), row.t, &padded)[pad..pad + len].to_vec();
        let mut fresh = vec![0.0; len];
        noise.fill(k as u32 + 1, 0, &mut fresh);
        for i in 0..len {
            let value = row.next([state[i], prediction[i], fresh[i], remembered[i]]);
            remembered[i] = row.remember(state[i], prediction[i]);
            state[i] = value.clamp(-0.9, 0.9) as f32;
        }
    }
    state
}

struct Run {
    samples: Vec<f32>,
    most_held: usize,
    calls: usize,
}

/// Pushes `frames` in `pieces`, running whatever is ready, one tick a piece or until nothing is.
fn windowed(
    plan: &Plan,
    noise: Noise,
    windows: WindowPlan,
    frames: usize,
    pieces: &[usize],
    exhaust: bool,
) -> Run {
    let mut front = Wavefront::new(plan.clone(), noise, windows, HOP);
    let mut run = Run {
        samples: Vec::new(),
        most_held: 0,
        calls: 0,
    };
    let mut tick = |front: &mut Wavefront, known: i64| {
        let ready = front.ready(known);
        for window in ready.iter().rev() {
            let mut state = vec![f32::NAN; window.frames * HOP];
            front.state(window, &mut state);
            let prediction = denoise(window.start, front.time(window.step), &state);
            front.apply(window, &state, &prediction);
            run.calls += 1;
        }
        run.most_held = run.most_held.max(front.held());
        front.take(&mut run.samples);
        !ready.is_empty()
    };
    let mut known = 0;
    for piece in pieces.iter().cycle() {
        known = (known + piece).min(frames);
        if known == frames {
            break;
        }
        while tick(&mut front, known as i64) && exhaust {}
    }
    front.end(frames);
    while tick(&mut front, i64::MAX) {}
    assert!(front.is_done());
    assert_eq!(front.frames_done(), (frames * plan.steps()) as u64);
    assert_eq!(front.oldest_frame(), i64::MAX);
    run
}

const REACH: Context = Context {
    denoiser: CONTEXT,
    conditioner: 0,
};

/// Windows of `core` frames in which steps wait for each other.
fn fixed(core: usize) -> WindowPlan {
    WindowPlan {
        step_offset: 0,
        ..WindowPlan::exact(core, REACH, 1).unwrap()
    }
}

fn growing(first: usize, longest: usize, steps: usize) -> WindowPlan {
    WindowPlan::streaming(Chunks { first, longest }, REACH, steps).unwrap()
}

proptest! {
    #[test]
    fn windows_and_pieces_change_nothing(
        frames in 1usize..60, first in 1usize..20, longest in 1usize..40, steps in 1usize..7, step_offset in prop::sample::select(vec![0, CONTEXT]),
        pieces in prop::collection::vec(1usize..20, 1..4), exhaust: bool, seed: u64,
    ) {
        let (plan, noise) = (plan(steps), Noise::new(seed));
        let windows = WindowPlan { step_offset, ..growing(first, longest, steps) };
        let run = windowed(&plan, noise, windows, frames, &pieces, exhaust);
        prop_assert_eq!(run.samples, whole(&plan, noise, frames));
    }
}

/// Several windows of a step may be under way at the same time, as long as they are applied in their order.
#[test]
fn windows_sent_ahead_change_nothing() {
    let (steps, frames) = (3, 50);
    let (plan, noise) = (plan(steps), Noise::new(1));
    let mut front = Wavefront::new(plan.clone(), noise, fixed(5), HOP);
    front.end(frames);
    let (mut samples, mut most) = (Vec::new(), 0);
    while !front.is_done() {
        let mut sent = Vec::new();
        for step in 0..steps {
            let mut next = front.steps[step].next;
            while let Some(window) = front.next(step, next, i64::MAX) {
                next = window.core_start + window.core as i64;
                let mut state = vec![f32::NAN; window.frames * HOP];
                front.state(&window, &mut state);
                sent.push((window, state));
            }
        }
        most = most.max(sent.len());
        for (window, state) in sent {
            let prediction = denoise(window.start, front.time(window.step), &state);
            front.apply(&window, &state, &prediction);
        }
        front.take(&mut samples);
    }
    assert_eq!((samples, most), (whole(&plan, noise, frames), 10));
}

#[test]
fn too_little_context_shows() {
    let (plan, noise) = (plan(3), Noise::new(1));
    let windows = WindowPlan {
        context: CONTEXT - 1,
        ..fixed(5)
    };
    let run = windowed(&plan, noise, windows, 30, &[7], true);
    let worst = run
        .samples
        .iter()
        .zip(whole(&plan, noise, 30))
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst > 1e-3, "{worst}");
}

#[test]
fn memory_does_not_grow_with_the_clip() {
    let held = |frames| windowed(&plan(4), Noise::new(1), fixed(8), frames, &[8], false).most_held;
    assert_eq!(held(200), held(2000));
}

#[test]
fn one_window_a_step_covers_a_short_clip() {
    let run = windowed(&plan(4), Noise::new(1), fixed(10), 10, &[10], true);
    assert_eq!(run.calls, 4);
}

#[test]
fn the_first_chunk_needs_its_look_ahead_and_no_frame_more() {
    let (steps, first) = (4, 3);
    let windows = growing(first, 12, steps);
    let finished = |known: usize| {
        let mut front = Wavefront::new(plan(steps), Noise::new(1), windows, HOP);
        let mut samples = Vec::new();
        while let Some(window) = front.ready(known as i64).last() {
            let state = vec![0.0; window.frames * HOP];
            front.apply(window, &state, &state);
            front.take(&mut samples);
        }
        samples.len() / HOP
    };
    let enough = windows.look_ahead();
    assert_eq!(enough, first + steps * CONTEXT);
    assert_eq!((finished(enough - 1), finished(enough)), (0, first));
}

#[test]
fn windows_have_the_lengths_of_the_plan() {
    let windows = growing(3, 12, 4);
    for frames in [1, 5, 40, 101] {
        let mut front = Wavefront::new(plan(4), Noise::new(1), windows, HOP);
        front.end(frames);
        while let Some(window) = front.ready(i64::MAX).first() {
            assert!(windows.cores().contains(&window.core), "{window:?}");
            let state = vec![0.0; window.frames * HOP];
            front.apply(window, &state, &state);
        }
    }
}

#[test]
fn windows_ready_together_are_one_a_step() {
    let mut front = Wavefront::new(plan(3), Noise::new(1), fixed(4), HOP);
    front.end(100);
    let mut most = 0;
    while !front.is_done() {
        let ready = front.ready(i64::MAX);
        assert!(ready.windows(2).all(|pair| pair[0].step < pair[1].step));
        most = most.max(ready.len());
        ready.iter().for_each(|window| {
            let state = vec![0.0; window.frames * HOP];
            front.apply(window, &state, &state);
        });
    }
    assert_eq!(most, 3);
}
