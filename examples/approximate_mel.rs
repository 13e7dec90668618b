//! Mels of one convention to another by the approximate way, whatever that loses:
//! `cargo run --release --example approximate_mel -- FROM TO IN OUT`.
//!
//! FROM and TO are names of conventions or TOML files, IN and OUT folders of .npy files. Prints the samples by which the audio made of the results is
//! to be shifted. `vocode --approximate-mel` does the same for what loses little; this is how the losses are measured.

use std::error::Error;
use std::fs::{self, File};
use std::path::PathBuf;

use clap::Parser;
use vocode::mel::{Approximation, Layout, MelConvention, NpyLimits, read_npy, write_npy};

/// Converts mels approximately.
#[derive(Parser)]
struct Args {
    /// Convention of the mels
    from: String,
    /// Convention wanted
    to: String,
    /// Folder of mels
    input: PathBuf,
    /// Folder for the results
    output: PathBuf,
}

fn convention(word: &str) -> Result<MelConvention, Box<dyn Error>> {
    if let Some(named) = MelConvention::named(word) {
        return Ok(named);
    }
    Ok(MelConvention::from_toml(&fs::read_to_string(word)?)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let (from, to) = (convention(&args.from)?, convention(&args.to)?);
    let way = Approximation::unjudged(&from, &to);
    fs::create_dir_all(&args.output)?;
    let mut shift = 0;
    for entry in fs::read_dir(&args.input)? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "npy") {
            continue;
        }
        let bands = Some(from.n_mels);
        let mel = read_npy(
            File::open(&path)?,
            bands,
            Layout::BandsFirst,
            &NpyLimits::default(),
        )?;
        let prepared = way.whole(mel)?;
        shift = prepared.shift_samples;
        let target = args.output.join(path.file_name().unwrap_or_default());
        write_npy(File::create(target)?, &prepared.mel)?;
    }
    println!("{shift}");
    Ok(())
}
