#![doc = include_str!("../README.md")]

pub mod audio;
pub mod bundle;
pub mod cli;
pub mod client;
pub mod diffusion;
pub mod dsp;
mod hash;
pub mod mel;
pub mod proto;
pub mod quality;
pub mod runtime;
pub mod server;
mod stft;
mod text;
pub mod tune;
pub mod vocoder;
