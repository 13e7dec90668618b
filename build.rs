//! For the server, generates the gRPC code from `proto/`, in Rust alone: protox reads the files, so no protoc is needed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    #[cfg(feature = "server")]
    grpc::generate()?;
    Ok(())
}

#[cfg(feature = "server")]
mod grpc {
    use std::env;
    use std::error::Error;
    use std::fs;
    use std::path::PathBuf;

    const PROTO: &str = "vocode/v1/vocoder.proto";

    pub fn generate() -> Result<(), Box<dyn Error>> {
        let files = protox::compile([PROTO], ["proto"])?;
        let out = PathBuf::from(env::var("OUT_DIR")?);
        // What reflection serves.
        let mut compiler = protox::Compiler::new(["proto"])?;
        compiler
            .include_imports(true)
            .include_source_info(true)
            .open_file(PROTO)?;
        fs::write(
            out.join("vocode.bin"),
            compiler.encode_file_descriptor_set(),
        )?;
        tonic_prost_build::configure()
            .bytes(".vocode.v1")
            .compile_fds(files)?;
        Ok(())
    }
}
