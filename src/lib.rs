pub mod audio;
pub mod diffusion;
