//! Flags of the main command.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args};

use super::args::{
    ConventionArg, FormatArg, LayoutArg, Overwrite, RestoreArg, SessionArgs, sharpening,
};
use super::batch::BatchArgs;
use super::container::Container;
use super::sampling::SamplingArgs;
use super::watermark::WatermarkArgs;
use crate::mel::Sharpening;

/// Arguments of the main command.
#[derive(Args, Debug)]
pub struct SynthArgs {
    /// Mel spectrograms (.npy), folders of them, or - for standard input
    #[arg(required_unless_present = "manifest", value_name = "MEL")]
    pub(super) inputs: Vec<PathBuf>,
    /// The file to write (.wav, .flac, .opus or .raw), or a folder for several inputs, or - for standard output, where the audio goes as it is made
    /// [default: MEL's name with .wav]
    #[arg(short, long, env = "VOCODE_OUTPUT", value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// What is written, where no name says it: to standard output, or for several inputs [default: what -o ends in, or wav]
    #[arg(long, env = "VOCODE_CONTAINER", value_enum, value_name = "KIND")]
    pub(super) container: Option<Container>,
    #[command(flatten)]
    pub(super) sampling: SamplingArgs,
    /// Seed of the noise: the same seed gives the same file
    #[arg(long, env = "VOCODE_SEED", default_value_t = 0, value_name = "N")]
    pub(super) seed: u64,
    /// Sample rate of the audio [default: the model's own]
    #[arg(long, env = "VOCODE_SAMPLE_RATE", value_name = "HZ")]
    pub(super) sample_rate: Option<u32>,
    /// How samples are stored
    #[arg(
        long,
        env = "VOCODE_FORMAT",
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(super) format: FormatArg,
    /// Turn peaks beyond full scale down smoothly where samples are stored as integers; false clips them
    #[arg(long, env = "VOCODE_LIMIT", default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub(super) limit: bool,
    /// What the mel's numbers mean: hifigan, tacotron2, matcha and others of conventions/, or a TOML file [default: what the model takes]
    #[arg(long, env = "VOCODE_MEL_CONVENTION", value_name = "NAME|FILE")]
    pub(super) mel_convention: Option<ConventionArg>,
    /// Take mels of other rates, hops and bands too, approximately, where that was measured to lose little
    #[arg(long, env = "VOCODE_APPROXIMATE_MEL", value_parser = FalseyValueParser::new())]
    pub(super) approximate_mel: bool,
    /// Which axis of the mel holds the bands
    #[arg(
        long,
        env = "VOCODE_LAYOUT",
        value_enum,
        default_value_t,
        value_name = "LAYOUT"
    )]
    pub(super) layout: LayoutArg,
    /// Undo the blur of a mel that an acoustic model averaged; the mel of a recording stays as it is
    #[arg(
        long,
        env = "VOCODE_RESTORE",
        value_enum,
        default_value_t,
        value_name = "WHEN"
    )]
    pub(super) restore: RestoreArg,
    /// Bring out the detail across bands that a blurred mel has lost, 0 to 4; 0 leaves the mel as it is [default: the model's own]
    #[arg(long, env = "VOCODE_SHARPEN", value_parser = sharpening, value_name = "AMOUNT")]
    pub(super) sharpen: Option<Sharpening>,
    #[command(flatten)]
    pub(super) watermark: WatermarkArgs,
    /// Cut frames at either end that hold one value in every band: the padding of a batch
    #[arg(long, env = "VOCODE_TRIM_PADDING", value_parser = FalseyValueParser::new())]
    pub(super) trim_padding: bool,
    /// Print the summary as JSON, on standard output (standard error where the audio goes there)
    #[arg(long, env = "VOCODE_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) overwrite: Overwrite,
    #[command(flatten)]
    pub(super) batch: BatchArgs,
    #[command(flatten)]
    pub(super) session: SessionArgs,
}
