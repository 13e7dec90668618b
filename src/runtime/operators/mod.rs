//! Operators of vocode's own, for the denoiser in integers on a CPU.
//!
//! Standard operators walk over a layer's memory five to eight times between its two products. These do it once. A graph holds each of them as a
//! function of standard operators too (`models/training/vocode_training/fused.py`, which says what they compute), for other providers and
//! programs. Shapes: B windows, F frames, S folded steps, a whole number of them a frame, C channels.

mod functions;
mod kernels;

use std::borrow::Cow;

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput,
};
use ort::value::{TensorElementType, ValueRef, ValueRefMut};

const DOMAIN: &str = "vocode";
const FLOATS: TensorElementType = TensorElementType::Float32;
const INTEGERS: TensorElementType = TensorElementType::Uint8;

/// The operators, for a session on a CPU.
///
/// # Errors
/// ONNX Runtime's own.
pub(super) fn domain() -> ort::Result<OperatorDomain> {
    let domain = OperatorDomain::new(DOMAIN)?.add(Gate)?;
    domain.add(Taps)?.add(ResidualTaps)
}

/// The bytes of a graph whose operators of ours are to be the kernels here.
pub(super) fn with_kernels(graph: &[u8]) -> Cow<'_, [u8]> {
    functions::without(graph, DOMAIN)
}

/// `Gate(u [B, S, 2C], biases [B, F, layers * 2C])`: uint8 `[B, S, C]`, with the bias of one layer.
struct Gate;

struct GateKernel {
    layer: usize,
}

impl Operator for Gate {
    type Kernel<'attr> = GateKernel;

    fn name(&self) -> &str {
        "Gate"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [FLOATS, FLOATS].map(OperatorInput::required)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(INTEGERS)]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<GateKernel> {
        let missing = || ort::Error::new("expected the attribute layer");
        let layer: i64 = context.get("layer").ok_or_else(missing)?;
        let layer = usize::try_from(layer).map_err(told)?;
        Ok(GateKernel { layer })
    }
}

impl Kernel for GateKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let (u, biases) = (input(context, 0)?, input(context, 1)?);
        let ((shape, u), (of_biases, biases)) = (floats(&u)?, floats(&biases)?);
        let ([windows, steps, width], [items, frames, stride]) = (&shape[..], &of_biases[..])
        else {
            return Err(shapes(&[&shape, &of_biases]));
        };
        let per_frame = steps.checked_div(*frames).unwrap_or(0);
        let first = self.layer.saturating_mul(*width);
        if items != windows
            || per_frame * frames != *steps
            || *width == 0
            || width % 2 != 0
            || first.saturating_add(*width) > *stride
        {
            return Err(shapes(&[&shape, &of_biases]));
        }
        let channels = width / 2;
        let mut gated = output(context, 0, &[*windows, *steps, channels])?;
        let (_, gated) = gated.try_extract_tensor_mut::<u8>()?;
        let biases = biases.get(first..).unwrap_or_default();
        kernels::gate(u, biases, *stride, per_frame.max(1), channels, gated);
        Ok(())
    }
}

/// `Taps(x [B, S, C])`: uint8 `[B, S, 3C]`, the state `dilation` steps earlier, now and later.
struct Taps;

/// `ResidualTaps(x, residual)`: `x + residual`, and its [`Taps`].
struct ResidualTaps;

struct TapsKernel {
    /// Levels of 1.
    scale: f32,
    dilation: usize,
    /// Whether a residual is added.
    adds: bool,
    /// The state of a window in integers.
    integers: Vec<u8>,
}

impl TapsKernel {
    fn new(context: &KernelContext<'_>, adds: bool) -> ort::Result<TapsKernel> {
        let missing = || ort::Error::new("expected the attributes scale and dilation");
        let scale: f32 = context.get("scale").ok_or_else(missing)?;
        let dilation: i64 = context.get("dilation").ok_or_else(missing)?;
        Ok(TapsKernel {
            scale: 1.0 / scale,
            dilation: usize::try_from(dilation).map_err(told)?,
            adds,
            integers: Vec::new(),
        })
    }
}

impl Operator for Taps {
    type Kernel<'attr> = TapsKernel;

    fn name(&self) -> &str {
        "Taps"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(FLOATS)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(INTEGERS)]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<TapsKernel> {
        TapsKernel::new(context, false)
    }
}

impl Operator for ResidualTaps {
    type Kernel<'attr> = TapsKernel;

    fn name(&self) -> &str {
        "ResidualTaps"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [FLOATS, FLOATS].map(OperatorInput::required)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [FLOATS, INTEGERS].map(OperatorOutput::required)
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<TapsKernel> {
        TapsKernel::new(context, true)
    }
}

impl Kernel for TapsKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let x = input(context, 0)?;
        let (shape, x) = floats(&x)?;
        let [windows, steps, channels] = shape[..] else {
            return Err(shapes(&[&shape]));
        };
        self.integers.resize(x.len(), 0);
        if self.adds {
            let residual = input(context, 1)?;
            let (other, residual) = floats(&residual)?;
            if other != shape {
                return Err(shapes(&[&shape, &other]));
            }
            let mut sum = output(context, 0, &shape)?;
            let (_, sum) = sum.try_extract_tensor_mut::<f32>()?;
            kernels::add_quantise(x, residual, self.scale, sum, &mut self.integers);
        } else {
            kernels::quantise(x, self.scale, &mut self.integers);
        }
        let mut taps = output(
            context,
            usize::from(self.adds),
            &[windows, steps, 3 * channels],
        )?;
        let (_, taps) = taps.try_extract_tensor_mut::<u8>()?;
        let window = steps * channels;
        if window > 0 {
            let all = self.integers.chunks_exact(window);
            for (rows, taps) in all.zip(taps.chunks_exact_mut(3 * window)) {
                kernels::lay_out(rows, channels, self.dilation, taps);
            }
        }
        Ok(())
    }
}

fn input(context: &ComputeContext, index: usize) -> ort::Result<ValueRef<'_>> {
    let missing = || ort::Error::new(format!("input {index} is missing"));
    context.input(index)?.ok_or_else(missing)
}

fn output<'a>(
    context: &'a ComputeContext,
    index: usize,
    shape: &[usize],
) -> ort::Result<ValueRefMut<'a>> {
    let missing = || ort::Error::new(format!("output {index} is missing"));
    context.output(index, shape.to_vec())?.ok_or_else(missing)
}

/// Shape and values.
fn floats<'a>(value: &'a ValueRef<'_>) -> ort::Result<(Vec<usize>, &'a [f32])> {
    let (shape, values) = value.try_extract_tensor::<f32>()?;
    let sizes = shape.iter().map(|size| usize::try_from(*size));
    let sizes = sizes.collect::<Result<Vec<_>, _>>().map_err(told)?;
    Ok((sizes, values))
}

fn told(error: impl ToString) -> ort::Error {
    ort::Error::new(error.to_string())
}

fn shapes(found: &[&[usize]]) -> ort::Error {
    ort::Error::new(format!("shapes that do not fit each other: {found:?}"))
}
