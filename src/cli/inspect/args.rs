//! The flags of `vocode inspect`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use crate::cli::args::{ConventionArg, LayoutArg, ModelArgs, Overwrite};
use crate::cli::mel::LengthArg;

/// Arguments of `vocode inspect`.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// A mel (.npy), a recording, the folder of a model, or - for standard input [default: the model in use]
    #[arg(value_name = "FILE|DIR")]
    pub(super) path: Option<PathBuf>,
    /// Draw the mel, or the recording's spectrogram, into this PNG file
    #[arg(long, env = "VOCODE_PLOT", value_name = "PNG")]
    pub(super) plot: Option<PathBuf>,
    /// What the mel's numbers are said to mean [default: what the model takes]
    #[arg(long, env = "VOCODE_MEL_CONVENTION", value_name = "NAME|FILE")]
    pub(super) mel_convention: Option<ConventionArg>,
    /// Tell whether a mel of another rate, hop or number of bands is taken approximately, as `vocode --approximate-mel` does
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
    /// Print JSON
    #[arg(long, env = "VOCODE_JSON", value_parser = FalseyValueParser::new())]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) length: LengthArg,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) overwrite: Overwrite,
}

impl InspectArgs {
    /// What stands above a picture: the name of the file.
    pub(super) fn title(&self) -> String {
        let name = self.path.as_deref().and_then(std::path::Path::file_name);
        let name = name.unwrap_or_default().to_string_lossy();
        if name == "-" {
            "standard input".to_owned()
        } else {
            name.into_owned()
        }
    }
}
