//! The wire contract: generated from `proto/vocode/v1/vocoder.proto`, where every field is explained.

// Written by tonic's and prost's generators, whose style is their own.
#![allow(clippy::all, missing_docs)]

tonic::include_proto!("vocode.v1");

/// The descriptors of the contract, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vocode.bin"));
