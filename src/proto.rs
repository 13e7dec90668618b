//! The wire contract: generated from `proto/vocode/v1/vocoder.proto`, where every field is explained.
//!
//! ```
//! use vocode::proto::SynthesisConfig;
//!
//! let config = SynthesisConfig { seed: Some(7), ..SynthesisConfig::default() };
//! assert!(config.model.is_empty(), "the first model of the server");
//! ```

// Written by tonic's and prost's generators, whose style is their own.
#![allow(clippy::all, missing_docs)]

tonic::include_proto!("vocode.v1");

/// The descriptors of the contract, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vocode.bin"));
