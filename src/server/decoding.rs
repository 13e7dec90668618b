//! From the mel of a message to the mel of the model.

use ndarray::Array2;
use tonic::Status;

use super::status::{invalid, of_mel};
use crate::mel::{Conversion, Mel, MelConvention, MelError, Moment, Prepared, trim_padding};
use crate::proto;

/// Reads the mel of one call and brings it to its model's convention.
pub(super) struct MelDecoder {
    bands: usize,
    from: MelConvention,
    conversion: Conversion,
    trim: bool,
    frames: u64,
}

impl MelDecoder {
    /// What `config` says of the mel: its convention by name, or none for the model's own, and how it was normalised.
    pub fn new(
        config: &proto::SynthesisConfig,
        model: &MelConvention,
    ) -> Result<MelDecoder, Status> {
        let mut from = match config.mel_convention.as_str() {
            "" => model.clone(),
            name if name == model.name => model.clone(),
            name => MelConvention::named(name).ok_or_else(|| {
                of_mel(&MelError::UnknownConvention {
                    name: name.to_owned(),
                    known: MelConvention::names(),
                })
            })?,
        };
        normalise(&mut from, &config.mel_mean, &config.mel_std)?;
        Ok(MelDecoder {
            bands: from.n_mels,
            conversion: Conversion::new(&from, model).map_err(|e| of_mel(&e))?,
            from,
            trim: config.trim_padding,
            frames: 0,
        })
    }

    /// Whether padding is to be cut, for which a mel must come whole.
    pub fn trims(&self) -> bool {
        self.trim
    }

    /// [`Prepared::shift_samples`] of the mel.
    pub fn shift_samples(&self) -> i64 {
        self.conversion.shift_samples()
    }

    /// Remarks on the conversion; none of them is an error.
    pub fn notes(&self) -> &[String] {
        self.conversion.notes()
    }

    /// Frames read so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// A mel that comes whole.
    pub fn whole(&mut self, message: &proto::Mel) -> Result<Prepared, Status> {
        let mel = self.read(message)?;
        let mel = match self.trim {
            true => trim_padding(mel, &self.from).0,
            false => mel,
        };
        self.conversion.whole(mel).map_err(|e| of_mel(&e))
    }

    /// Further frames of a mel that comes in pieces, as `[n_mels, frames]` in the model's convention.
    pub fn piece(&mut self, message: &proto::Mel) -> Result<Array2<f32>, Status> {
        let mel = self.read(message)?;
        let converted = self.conversion.apply(mel).map_err(|e| of_mel(&e))?;
        Ok(converted.into_values())
    }

    fn read(&mut self, message: &proto::Mel) -> Result<Mel, Status> {
        let (expected, found) = (self.bands, message.n_mels as usize);
        if found != expected {
            let shape = vec![found, message.n_frames as usize];
            return Err(of_mel(&MelError::Bands { expected, shape }));
        }
        let before = self.frames;
        let mel = Mel::new(values(message)?).map_err(|error| match error {
            MelError::NonFinite {
                count,
                total,
                value,
                band,
                frame,
            } => of_mel(&MelError::NonFinite {
                count,
                total,
                value,
                band,
                frame: frame + before as usize,
            }),
            other => of_mel(&other),
        })?;
        self.frames += mel.frames() as u64;
        Ok(mel)
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

/// The values as `[n_mels, n_frames]`. The sizes are held against the bytes that are there before anything is allocated.
fn values(message: &proto::Mel) -> Result<Array2<f32>, Status> {
    let (bands, frames) = (message.n_mels as usize, message.n_frames as usize);
    if frames == 0 {
        return Err(invalid(
            "mel.n_frames",
            "the mel has no frames; send 1 or more in each message",
        ));
    }
    let bytes = &message.data_f32le;
    let expected = u128::from(message.n_mels) * u128::from(message.n_frames) * 4;
    if bytes.len() as u128 != expected {
        return Err(invalid(
            "mel.data_f32le",
            format!(
                "{bands} bands of {frames} frames take {expected} bytes as 32-bit floats, and {} came",
                bytes.len()
            ),
        ));
    }
    let frames_first = match proto::MelLayout::try_from(message.layout) {
        Ok(proto::MelLayout::Unspecified | proto::MelLayout::FramesFirst) => true,
        Ok(proto::MelLayout::BandsFirst) => false,
        Err(_) => {
            let message = format!("there is no layout {}", message.layout);
            return Err(invalid("mel.layout", message));
        }
    };
    let numbers = bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    let shape = if frames_first {
        (frames, bands)
    } else {
        (bands, frames)
    };
    let array = Array2::from_shape_vec(shape, numbers)
        .map_err(|error| invalid("mel.data_f32le", error.to_string()))?;
    Ok(if frames_first {
        array.reversed_axes()
    } else {
        array
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tonic::Code;
    use tonic_types::StatusExt;

    fn hifigan() -> MelConvention {
        MelConvention::named("hifigan").unwrap()
    }

    fn decoder(named: &str, model: &MelConvention) -> Result<MelDecoder, Status> {
        let config = proto::SynthesisConfig {
            mel_convention: named.to_owned(),
            ..proto::SynthesisConfig::default()
        };
        MelDecoder::new(&config, model)
    }

    /// A mel whose value tells its frame and band.
    fn message(layout: proto::MelLayout, frames: usize) -> proto::Mel {
        let value = |frame: usize, band: usize| -(frame as f32) - band as f32 / 100.0;
        let numbers: Vec<f32> = match layout {
            proto::MelLayout::BandsFirst => (0..80 * frames)
                .map(|i| value(i % frames, i / frames))
                .collect(),
            _ => (0..80 * frames).map(|i| value(i / 80, i % 80)).collect(),
        };
        let data: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
        proto::Mel {
            n_mels: 80,
            n_frames: frames as u32,
            layout: layout.into(),
            data_f32le: Bytes::from(data),
        }
    }

    fn refused(change: impl FnOnce(&mut proto::Mel)) -> (Code, String) {
        let mut message = message(proto::MelLayout::FramesFirst, 4);
        change(&mut message);
        let status = decoder("", &hifigan())
            .unwrap()
            .piece(&message)
            .unwrap_err();
        let details = status.get_error_details();
        (
            status.code(),
            details.bad_request().unwrap().field_violations[0]
                .field
                .clone(),
        )
    }

    #[test]
    fn both_layouts_give_one_mel() {
        for layout in [
            proto::MelLayout::Unspecified,
            proto::MelLayout::FramesFirst,
            proto::MelLayout::BandsFirst,
        ] {
            let mel = decoder("", &hifigan())
                .unwrap()
                .piece(&message(layout, 4))
                .unwrap();
            assert_eq!((mel.dim(), mel[(7, 3)]), ((80, 4), -3.07), "{layout:?}");
        }
    }

    #[test]
    fn sizes_that_lie_are_refused_before_they_are_believed() {
        let field = |name: &str| (Code::InvalidArgument, name.to_owned());
        assert_eq!(refused(|m| m.n_frames = u32::MAX), field("mel.data_f32le"));
        assert_eq!(
            refused(|m| m.data_f32le = m.data_f32le.slice(1..)),
            field("mel.data_f32le")
        );
        assert_eq!(refused(|m| m.n_frames = 0), field("mel.n_frames"));
        assert_eq!(refused(|m| m.n_mels = 100), field("mel.n_mels"));
        assert_eq!(refused(|m| m.layout = 9), field("mel.layout"));
    }

    #[test]
    fn a_value_that_is_no_number_is_placed_in_the_clip() {
        let mut decoder = decoder("", &hifigan()).unwrap();
        let good = message(proto::MelLayout::FramesFirst, 4);
        decoder.piece(&good).unwrap();
        let mut bytes = good.data_f32le.to_vec();
        bytes[(2 * 80 + 5) * 4..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
        let status = decoder
            .piece(&proto::Mel {
                data_f32le: bytes.into(),
                ..good
            })
            .unwrap_err();
        assert!(
            status.message().contains("NaN in frame 6, band 5"),
            "{}",
            status.message()
        );
    }

    #[test]
    fn a_normalised_mel_comes_back_by_its_mean_and_deviation() {
        let config = |mean: Vec<f64>, std: Vec<f64>| proto::SynthesisConfig {
            mel_mean: mean,
            mel_std: std,
            ..proto::SynthesisConfig::default()
        };
        let read = |config| {
            let mut decoder = MelDecoder::new(&config, &hifigan())?;
            decoder.piece(&message(proto::MelLayout::FramesFirst, 4))
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
}
