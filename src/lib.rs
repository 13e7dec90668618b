#![doc = include_str!("../README.md")]

pub mod audio;
pub mod bundle;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "server")]
pub mod client;
pub mod diffusion;
pub mod dsp;
mod hash;
pub mod mel;
#[cfg(feature = "server")]
pub mod proto;
#[cfg(feature = "tune")]
pub mod quality;
pub mod runtime;
#[cfg(feature = "server")]
pub mod server;
mod stft;
mod text;
#[cfg(feature = "tune")]
pub mod tune;
pub mod vocoder;

/// The program: `main.rs` calls it and nothing else does.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub use cli::main;
