use super::*;
use crate::bundle::Context;
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
    let row = |k: usize| Row {
        t: k as f64,
        a: 0.6,
        b: 0.4,
        c: if k.is_multiple_of(2) { 0.1 } else { 0.0 },
        d: if k == 0 { 0.0 } else { 0.05 * (k % 3) as f64 },
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
    let mut previous = vec![0.0; len];
    for (k, row) in plan.rows.iter().enumerate() {
        let padded = [vec![0.0; pad], state.clone(), vec![0.0; pad]].concat();
        let prediction = denoise(-(CONTEXT as i64), row.t, &padded)[pad..pad + len].to_vec();
        let mut fresh = vec![0.0; len];
        noise.fill(k as u32 + 1, 0, &mut fresh);
        for i in 0..len {
            let value = combine(row, [state[i], prediction[i], fresh[i], previous[i]]);
            state[i] = value.clamp(-0.9, 0.9) as f32;
        }
        previous = prediction;
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
            let mut state = vec![f32::NAN; windows.frames() * HOP];
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

fn window_plan(core: usize, stagger: usize) -> WindowPlan {
    let context = Context {
        denoiser: CONTEXT,
        conditioner: 0,
    };
    WindowPlan {
        stagger,
        ..WindowPlan::exact(core, context, 1).unwrap()
    }
}

proptest! {
    #[test]
    fn windows_and_pieces_change_nothing(
        frames in 1usize..60, core in 1usize..40, steps in 1usize..6, stagger in prop::sample::select(vec![0, CONTEXT]),
        pieces in prop::collection::vec(1usize..20, 1..4), exhaust: bool, seed: u64,
    ) {
        let (plan, noise) = (plan(steps), Noise::new(seed));
        let run = windowed(&plan, noise, window_plan(core, stagger), frames, &pieces, exhaust);
        prop_assert_eq!(run.samples, whole(&plan, noise, frames));
    }
}

#[test]
fn too_little_context_shows() {
    let (plan, noise) = (plan(3), Noise::new(1));
    let windows = WindowPlan {
        context: CONTEXT - 1,
        ..window_plan(5, 0)
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
    let held = |frames| {
        windowed(
            &plan(4),
            Noise::new(1),
            window_plan(8, 0),
            frames,
            &[8],
            false,
        )
        .most_held
    };
    assert_eq!(held(200), held(2000));
}

#[test]
fn one_window_a_step_covers_a_short_clip() {
    let run = windowed(&plan(4), Noise::new(1), window_plan(10, 0), 10, &[10], true);
    assert_eq!(run.calls, 4);
}

#[test]
fn staggered_steps_follow_at_the_distance_of_the_context() {
    let (steps, core) = (4, 10);
    let windows = window_plan(core, CONTEXT);
    let mut front = Wavefront::new(plan(steps), Noise::new(1), windows, HOP);
    // With exactly the look-ahead of steps * context frames, the first core comes out, less what the stagger put before the clip.
    let mut samples = Vec::new();
    loop {
        let ready = front.ready((core + CONTEXT) as i64);
        let Some(window) = ready.first() else { break };
        let state = vec![0.0; windows.frames() * HOP];
        front.apply(window, &state, &state);
        front.take(&mut samples);
    }
    assert_eq!(samples.len(), (core + CONTEXT - steps * CONTEXT) * HOP);
}

#[test]
fn windows_ready_together_are_one_a_step() {
    let mut front = Wavefront::new(plan(3), Noise::new(1), window_plan(4, 0), HOP);
    front.end(100);
    let mut most = 0;
    while !front.is_done() {
        let ready = front.ready(i64::MAX);
        assert!(ready.windows(2).all(|pair| pair[0].step < pair[1].step));
        most = most.max(ready.len());
        let state = vec![0.0; front.windows().frames() * HOP];
        ready
            .iter()
            .for_each(|window| front.apply(window, &state, &state));
    }
    assert_eq!(most, 3);
}
