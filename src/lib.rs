pub mod audio;
pub mod bundle;
pub mod cli;
pub mod diffusion;
pub mod dsp;
pub mod mel;
pub mod runtime;
mod text;
pub mod vocoder;
