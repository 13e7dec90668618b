pub mod audio;
pub mod cli;
pub mod diffusion;
pub mod runtime;
