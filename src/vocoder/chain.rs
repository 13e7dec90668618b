//! All steps of a window in a row, on the device.
//!
//! Between calls of the denoiser the state need not leave a GPU's memory: a second graph applies the solver's row there, and one copy of the
//! finished samples comes out. The price is that a window begins with the context of all its steps, which a GPU has room for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::VocoderError;
use super::batch::Batch;
use super::interface::Interface;
use crate::diffusion::{Plan, Row};
use crate::runtime::{Binding, DeviceTensor, Graph};
use ndarray::Array2;

/// Most steps; longer plans go step by step.
pub(super) const MAX_STEPS: usize = 8;

/// Coefficients of a row, as the update graph takes them.
const COEFFICIENTS: usize = 8;

/// The graph of the update, and what lies on the device for each size of call.
pub(super) struct Chain {
    update: Graph,
    interface: Arc<Interface>,
    rigs: HashMap<(usize, usize), Rig>,
}

/// What a chain is given for windows of one shape.
pub(super) struct Task<'a> {
    /// Noise, where the windows begin, and conditions.
    pub batch: &'a Batch,
    /// The plan of each window, all of one length; a padded call has more windows than plans.
    pub plans: &'a [&'a Plan],
    /// 1 within the clip, 0 beyond; `[windows, samples]`.
    pub inside: &'a Array2<f32>,
    /// Writes the fresh noise of a step, `[windows, samples]`.
    pub noise: &'a dyn Fn(usize, &mut Array2<f32>),
}

/// The tensors and bindings of one size of call.
struct Rig {
    number: usize,
    /// The state before and after a step, by turns.
    states: [DeviceTensor; 2],
    remembered: [DeviceTensor; 2],
    prediction: DeviceTensor,
    noise: DeviceTensor,
    inside: Kept,
    conditions: Vec<DeviceTensor>,
    steps: Vec<StepRig>,
}

/// What is bound for one step.
struct StepRig {
    t: Kept,
    row: Kept,
    denoise: Binding,
    update: Binding,
}

/// A tensor that is written only when it changes.
struct Kept {
    tensor: DeviceTensor,
    last: Vec<f32>,
}

impl Chain {
    pub fn new(update: Graph, interface: Arc<Interface>) -> Chain {
        Chain {
            update,
            interface,
            rigs: HashMap::new(),
        }
    }

    /// Takes windows through all steps of their plans. Gives the finished samples `[windows, samples]`, which are right beyond the context of
    /// all steps.
    pub fn run(
        &mut self,
        denoiser: &mut Graph,
        task: &Task<'_>,
    ) -> Result<Array2<f32>, VocoderError> {
        let Task { batch, plans, .. } = task;
        let (windows, samples) = batch.x.dim();
        let number = self.rigs.len();
        let rig = match self.rigs.entry((windows, samples)) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(room) => {
                let rig = Rig::new(number, denoiser, &self.interface, windows, samples)?;
                room.insert(rig)
            }
        };
        let steps = plans.iter().map(|plan| plan.steps()).max().unwrap_or(0);
        rig.grow(steps, denoiser, &self.update, &self.interface)?;
        rig.states[0].write(batch.x.as_slice().unwrap_or_default())?;
        // The first row gives it no weight, but what a window before may have left there is NaN whatever its weight.
        rig.remembered[0].write(&vec![0.0; windows * samples])?;
        for (tensor, values) in rig.conditions.iter_mut().zip(&batch.conditions) {
            tensor.write(values.as_slice().unwrap_or_default())?;
        }
        rig.inside.set(task.inside.as_slice().unwrap_or_default())?;
        for step in 0..steps {
            let row = |window: usize| {
                let plan = plans.get(window).or(plans.first())?;
                Some((plan.rows.get(step)?, plan.clamp))
            };
            let rows: Vec<_> = (0..windows).filter_map(row).collect();
            if rows.iter().any(|(row, _)| row.c != 0.0) {
                let mut noise = Array2::zeros((windows, samples));
                (task.noise)(step, &mut noise);
                rig.noise.write(noise.as_slice().unwrap_or_default())?;
            }
            let own = &mut rig.steps[step];
            let times: Vec<f32> = rows.iter().map(|(row, _)| row.t as f32).collect();
            let rows: Vec<f32> = rows.into_iter().flat_map(coefficients).collect();
            own.t.set(&times)?;
            own.row.set(&rows)?;
            denoiser.run_bound(&own.denoise)?;
            self.update.run_bound(&own.update)?;
        }
        let mut finished = Array2::zeros((windows, samples));
        if let Some(room) = finished.as_slice_mut() {
            rig.states[steps % 2].read(room)?;
        }
        Ok(finished)
    }
}

impl Rig {
    fn new(
        number: usize,
        denoiser: &Graph,
        interface: &Interface,
        windows: usize,
        samples: usize,
    ) -> Result<Rig, VocoderError> {
        let signal = || denoiser.tensor(&[windows, samples]);
        let shapes = interface.condition_shapes(windows, samples / interface.hop);
        let conditions = shapes.iter().map(|shape| denoiser.tensor(shape));
        Ok(Rig {
            number,
            states: [signal()?, signal()?],
            remembered: [signal()?, signal()?],
            prediction: signal()?,
            noise: signal()?,
            inside: Kept::new(signal()?),
            conditions: conditions.collect::<Result<_, _>>()?,
            steps: Vec::new(),
        })
    }

    /// Binds as many steps as a plan has.
    fn grow(
        &mut self,
        steps: usize,
        denoiser: &Graph,
        update: &Graph,
        interface: &Interface,
    ) -> Result<(), VocoderError> {
        let windows = self.prediction.shape()[0];
        while self.steps.len() < steps {
            let step = self.steps.len();
            let kind = self.number * MAX_STEPS + step;
            let t = Kept::new(denoiser.tensor(&[windows])?);
            let row = Kept::new(denoiser.tensor(&[windows, COEFFICIENTS])?);
            let [first, second] = &mut self.states;
            let (before, after) = turned(step, first, second);
            let named = interface.conditions.iter().map(|c| c.name.as_str());
            let own = [("x", &*before), ("t", &t.tensor)];
            let inputs: Vec<_> = own.into_iter().chain(named.zip(&self.conditions)).collect();
            let denoise =
                denoiser.bind(kind, &inputs, &mut [("prediction", &mut self.prediction)])?;
            let [first, second] = &mut self.remembered;
            let (found, left) = turned(step, first, second);
            let inputs = [
                ("x", &*before),
                ("prediction", &self.prediction),
                ("noise", &self.noise),
                ("remembered", &*found),
                ("inside", &self.inside.tensor),
                ("row", &row.tensor),
            ];
            let mut outputs = [("next", after), ("remember", left)];
            let update = update.bind(kind, &inputs, &mut outputs)?;
            self.steps.push(StepRig {
                t,
                row,
                denoise,
                update,
            });
        }
        Ok(())
    }
}

impl Kept {
    /// A tensor that holds zeros.
    fn new(tensor: DeviceTensor) -> Kept {
        Kept {
            last: vec![0.0; tensor.shape().iter().product()],
            tensor,
        }
    }

    fn set(&mut self, values: &[f32]) -> Result<(), VocoderError> {
        if self.last != values {
            self.tensor.write(values)?;
            self.last.clear();
            self.last.extend_from_slice(values);
        }
        Ok(())
    }
}

/// What the update graph is told of a row.
fn coefficients((row, clamp): (&Row, Option<[f64; 2]>)) -> [f32; COEFFICIENTS] {
    let [low, high] = clamp.map_or([f32::MIN, f32::MAX], |c| c.map(|limit| limit as f32));
    let [a, b, c, d, u, v] = [row.a, row.b, row.c, row.d, row.u, row.v].map(|k| k as f32);
    [a, b, c, d, u, v, low, high]
}

/// Both, the first one first in even steps.
fn turned<T>(step: usize, first: T, second: T) -> (T, T) {
    if step.is_multiple_of(2) {
        (first, second)
    } else {
        (second, first)
    }
}
