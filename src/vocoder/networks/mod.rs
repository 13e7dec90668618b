//! The two graphs of a bundle: loading them, their inputs and outputs, and the ways to run windows through the denoiser.

mod batch;
mod conditioner;
mod cpu_sessions;
mod denoiser;
mod device_session;
mod interface;
mod load;
mod part;
mod runner;

pub(super) use batch::Batch;
pub(super) use conditioner::Conditioner;
pub(super) use cpu_sessions::CpuSessions;
pub(super) use denoiser::Denoiser;
pub(super) use interface::{ConditionLayout, Interface};
pub(super) use load::Networks;
pub(super) use part::Part;
pub(super) use runner::{Answer, Job};
