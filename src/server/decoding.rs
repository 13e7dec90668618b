//! From the mel of a message to the mel of the model.

use ndarray::Array2;
use tonic::Status;

use super::status::{invalid, of_mel};
use super::wire_mel::{self, Elsewhere, FrameLimit};
use crate::mel::{
    Approximation, Conversion, Mel, MelConvention, MelError, Moment, Prepared, restore,
    trim_padding,
};
use crate::proto;

/// Reads the mel of one call and brings it to its model's convention.
pub(super) struct MelDecoder<'a> {
    bands: usize,
    from: MelConvention,
    way: Way,
    trim: bool,
    restore: bool,
    frames: u64,
    elsewhere: Elsewhere<'a>,
}

/// How a mel comes to the model's convention.
enum Way {
    Exact(Box<Conversion>),
    /// For mels that are there whole.
    Approximate(Box<Approximation>),
}

impl Way {
    /// The exact one where there is one.
    fn between(
        from: &MelConvention,
        model: &MelConvention,
        approximate: bool,
    ) -> Result<Way, MelError> {
        match Conversion::new(from, model) {
            Err(MelError::Incompatible { .. }) if approximate => {
                Ok(Way::Approximate(Box::new(Approximation::new(from, model)?)))
            }
            exact => Ok(Way::Exact(Box::new(exact?))),
        }
    }
}

impl<'a> MelDecoder<'a> {
    /// What `config` says of the mel: its convention by name, or none for the model's own, and how it was normalised.
    pub fn new(
        config: &proto::SynthesisConfig,
        model: &MelConvention,
        elsewhere: Elsewhere<'a>,
    ) -> Result<MelDecoder<'a>, Status> {
        let mut from = match config.mel_convention.as_str() {
            "" => model.clone(),
            name if name == model.name => model.clone(),
            name => MelConvention::named(name).ok_or_else(|| {
                let unknown = MelError::UnknownConvention {
                    name: name.to_owned(),
                    known: MelConvention::names(),
                };
                of_mel(&unknown, None)
            })?,
        };
        normalise(&mut from, &config.mel_mean, &config.mel_std)?;
        Ok(MelDecoder {
            bands: from.n_mels,
            way: Way::between(&from, model, config.approximate_mel)
                .map_err(|e| of_mel(&e, elsewhere(&e)))?,
            elsewhere,
            from,
            trim: config.trim_padding,
            restore: config.restore,
            frames: config.start_frame,
        })
    }

    /// The conversion of a mel that comes in pieces, or not from its first frame on.
    ///
    /// # Errors
    /// INVALID_ARGUMENT where the mel must come whole.
    pub fn of_pieces(&self) -> Result<&Conversion, Status> {
        let (field, what) = match &self.way {
            Way::Exact(_) if self.trim => ("config.trim_padding", "padding is cut"),
            Way::Exact(_) if self.restore => ("config.restore", "a mel is restored"),
            Way::Exact(conversion) => return Ok(conversion),
            Way::Approximate(_) => ("config.approximate_mel", "a mel is converted approximately"),
        };
        let message = format!(
            "{what} where the mel comes whole: by Vocode or VocodeStream, and without start_frame"
        );
        Err(invalid(field, message))
    }

    /// [`Prepared::shift_samples`] of the mel.
    pub fn shift_samples(&self) -> i64 {
        match &self.way {
            Way::Exact(conversion) => conversion.shift_samples(),
            Way::Approximate(approximation) => approximation.shift_samples(),
        }
    }

    /// A mel that comes whole.
    pub fn whole(&mut self, message: &proto::Mel, limit: FrameLimit) -> Result<Prepared, Status> {
        let mel = self.read(message, limit)?;
        let mel = match self.trim {
            true => trim_padding(mel, &self.from).0,
            false => mel,
        };
        let mel = match self.restore {
            true => restore(mel, &self.from).0,
            false => mel,
        };
        let prepared = match &self.way {
            Way::Exact(conversion) => conversion.whole(mel),
            Way::Approximate(approximation) => approximation.whole(mel),
        };
        prepared.map_err(|e| self.refused(&e))
    }

    /// Further frames of a mel that comes in pieces, as `[n_mels, frames]` in the model's convention.
    pub fn piece(
        &mut self,
        message: &proto::Mel,
        limit: FrameLimit,
    ) -> Result<Array2<f32>, Status> {
        let mel = self.read(message, limit)?;
        let converted = self.of_pieces()?.apply(mel);
        Ok(converted.map_err(|e| self.refused(&e))?.into_values())
    }

    fn read(&mut self, message: &proto::Mel, limit: FrameLimit) -> Result<Mel, Status> {
        let mel = wire_mel::read(message, self.bands, self.frames, limit, &self.elsewhere)?;
        self.frames += mel.frames() as u64;
        Ok(mel)
    }

    fn refused(&self, error: &MelError) -> Status {
        of_mel(error, (self.elsewhere)(error))
    }
}

/// Puts the mean and the standard deviation of a call in place of those of the convention.
fn normalise(convention: &mut MelConvention, mean: &[f64], std: &[f64]) -> Result<(), Status> {
    if mean.is_empty() && std.is_empty() {
        return Ok(());
    }
    let bands = convention.n_mels;
    for (field, list) in [("config.mel_mean", mean), ("config.mel_std", std)] {
        if ![0, 1, bands].contains(&list.len()) {
            let found = list.len();
            let message = format!(
                "there are {found} numbers; give one, or one for each of the {bands} bands"
            );
            return Err(invalid(field, message));
        }
    }
    let moment = |list: &[f64], none: f64| match *list {
        [] => Moment::One(none),
        [one] => Moment::One(one),
        _ => Moment::Bands(list.to_vec()),
    };
    let moments = (moment(mean, 0.0), moment(std, 1.0));
    convention.compression.set_moments(&moments.0, &moments.1);
    // Short enough for a name, whatever the convention is called.
    convention.name = format!("normalised {}", convention.name)
        .chars()
        .take(32)
        .collect();
    convention
        .validate()
        .map_err(|error| invalid("config.mel_std", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    fn hifigan() -> MelConvention {
        MelConvention::named("hifigan").unwrap()
    }

    fn nowhere() -> Elsewhere<'static> {
        Box::new(|_| None)
    }

    fn decoder(named: &str, model: &MelConvention) -> Result<MelDecoder<'static>, Status> {
        let config = proto::SynthesisConfig {
            mel_convention: named.to_owned(),
            ..proto::SynthesisConfig::default()
        };
        MelDecoder::new(&config, model, nowhere())
    }

    /// 4 frames whose values tell their frame and band.
    fn message() -> proto::Mel {
        let frame = |n: usize| (0..80).map(move |band| -(n as f32) - band as f32 / 100.0);
        let numbers = (0..4).flat_map(frame);
        proto::Mel {
            n_mels: 80,
            n_frames: 4,
            data_f32le: numbers
                .flat_map(f32::to_le_bytes)
                .collect::<Vec<u8>>()
                .into(),
            ..proto::Mel::default()
        }
    }

    #[test]
    fn a_normalised_mel_comes_back_by_its_mean_and_deviation() {
        let config = |mean: Vec<f64>, std: Vec<f64>| proto::SynthesisConfig {
            mel_mean: mean,
            mel_std: std,
            ..proto::SynthesisConfig::default()
        };
        let read = |config| {
            let mut decoder = MelDecoder::new(&config, &hifigan(), nowhere())?;
            decoder.piece(&message(), FrameLimit::Stream(9))
        };
        let one = read(config(vec![-1.0], vec![2.0])).unwrap();
        assert_eq!(one[(0, 3)], -7.0);
        let each = (0..80).map(|band| -f64::from(band) / 10.0).collect();
        let each = read(config(each, Vec::new())).unwrap();
        assert!((each[(10, 2)] + 3.1).abs() < 1e-5, "{}", each[(10, 2)]);
        for odd in [config(vec![1.0; 79], vec![]), config(vec![], vec![0.0])] {
            assert_eq!(read(odd).unwrap_err().code(), Code::InvalidArgument);
        }
    }

    #[test]
    fn conventions_are_converted_or_refused() {
        let refused = |name| decoder(name, &hifigan()).map(|_| ()).unwrap_err();
        assert_eq!(refused("lmnt").code(), Code::FailedPrecondition);
        let unknown = refused("wavenet");
        assert_eq!(unknown.code(), Code::InvalidArgument);
        assert!(unknown.message().contains("tacotron2"));
        assert_eq!(
            decoder("tacotron2", &hifigan()).unwrap().shift_samples(),
            128
        );
    }

    #[test]
    fn what_does_not_convert_exactly_is_taken_where_that_is_asked_for_and_the_mel_comes_whole() {
        let decoder = |named: &str| {
            let config = proto::SynthesisConfig {
                mel_convention: named.to_owned(),
                approximate_mel: true,
                ..proto::SynthesisConfig::default()
            };
            MelDecoder::new(&config, &hifigan(), nowhere())
        };
        let refused = decoder("speecht5").map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains("PESQ"), "{refused}");
        let mut espnet = decoder("espnet").unwrap();
        assert_eq!(
            espnet.of_pieces().unwrap_err().code(),
            Code::InvalidArgument
        );
        let piece = espnet.piece(&message(), FrameLimit::Stream(9));
        assert_eq!(piece.unwrap_err().code(), Code::InvalidArgument);
        // What converts exactly does so in pieces too.
        assert!(decoder("tacotron2").unwrap().of_pieces().is_ok());
    }
}
