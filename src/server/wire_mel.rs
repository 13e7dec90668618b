//! The numbers of a mel message, in either of the two ways in which they come.

use ndarray::Array2;
use tonic::Status;

use super::status::{beyond, invalid, not_finite, of_mel, taken_by};
use crate::mel::{Layout, Mel, MelError, NpyLimits, read_npy};
use crate::proto;

/// Most bytes that are held for each byte of a `.npy` file: its data, 32-bit numbers of 16-bit ones, these turned, and the model's.
const HELD_BY_NPY: u64 = 1 + 2 + 2 + 2;

/// Most frames of the mel of a call, all its messages together.
#[derive(Clone, Copy, Debug)]
pub(super) enum FrameLimit {
    /// Of Vocode.
    Whole(u32),
    /// Of every other method.
    Stream(u64),
}

impl FrameLimit {
    fn frames(self) -> u64 {
        match self {
            FrameLimit::Whole(limit) => limit.into(),
            FrameLimit::Stream(limit) => limit,
        }
    }

    /// Whether a mel may have so many frames; `field` is blamed where it may not.
    pub fn check(self, field: &str, frames: u64) -> Result<(), Status> {
        if frames <= self.frames() {
            return Ok(());
        }
        let message = match self {
            FrameLimit::Whole(limit) => format!(
                "the mel has {frames} frames, and Vocode takes {limit} at most (Limits.max_unary_frames): send it through VocodeStream"
            ),
            FrameLimit::Stream(limit) => format!(
                "the mel has {frames} frames or more, and a call takes {limit} at most (Limits.max_stream_frames): make several calls"
            ),
        };
        Err(beyond(field, message))
    }
}

/// Bytes that a message makes the server hold, beside itself: its numbers, and those of the model's convention.
pub(super) fn held_bytes(message: &proto::Mel) -> u64 {
    let (floats, npy) = (message.data_f32le.len(), message.npy_bytes.len());
    2 * floats as u64 + HELD_BY_NPY * npy as u64
}

/// The name of another model of the server that takes a mel which was refused with this error, where there is one.
pub(super) type Elsewhere<'a> = Box<dyn Fn(&MelError) -> Option<&'a str> + Send + Sync + 'a>;

/// The mel of a message, of `bands` bands. `before` is how many frames of the call came before it.
pub(super) fn read(
    message: &proto::Mel,
    bands: usize,
    before: u64,
    limit: FrameLimit,
    elsewhere: &Elsewhere<'_>,
) -> Result<Mel, Status> {
    let has_sizes = message.n_mels != 0 || message.n_frames != 0;
    let has_floats = has_sizes || !message.data_f32le.is_empty();
    match (has_floats, message.npy_bytes.is_empty()) {
        (true, false) => Err(invalid(
            "mel.npy_bytes",
            "the mel came twice: send npy_bytes alone, or n_mels, n_frames and data_f32le without it",
        )),
        (false, true) => Err(invalid(
            "mel",
            "the mel is empty: send n_mels, n_frames and data_f32le, or npy_bytes",
        )),
        (true, true) => floats(message, bands, before, limit, elsewhere),
        (false, false) => npy(message, bands, before, limit, elsewhere),
    }
}

/// Numbers whose sizes stand beside them.
fn floats(
    message: &proto::Mel,
    bands: usize,
    before: u64,
    limit: FrameLimit,
    elsewhere: &Elsewhere<'_>,
) -> Result<Mel, Status> {
    limit.check("mel.n_frames", before + u64::from(message.n_frames))?;
    let found = message.n_mels as usize;
    if found != bands {
        let shape = vec![found, message.n_frames as usize];
        let refusal = MelError::Bands {
            expected: bands,
            shape,
        };
        return Err(of_mel(&refusal, elsewhere(&refusal)));
    }
    Mel::new(values(message)?).map_err(|error| match error {
        MelError::NonFinite {
            value, band, frame, ..
        } => not_finite("mel.data_f32le", value, band, frame as u64 + before),
        other => of_mel(&other, None),
    })
}

/// The bytes of a `.npy` file, of either layout and any floating-point type.
fn npy(
    message: &proto::Mel,
    bands: usize,
    before: u64,
    limit: FrameLimit,
    elsewhere: &Elsewhere<'_>,
) -> Result<Mel, Status> {
    let layout = match layout(message)? {
        proto::MelLayout::Unspecified => Layout::Auto,
        proto::MelLayout::FramesFirst => Layout::FramesFirst,
        proto::MelLayout::BandsFirst => Layout::BandsFirst,
    };
    let left = limit.frames().saturating_sub(before);
    let limits = NpyLimits::default().max_frames(usize::try_from(left).unwrap_or(usize::MAX));
    let read = read_npy(&message.npy_bytes[..], Some(bands), layout, &limits);
    read.map_err(|error| match error {
        MelError::TooManyFrames { found, .. } => {
            let frames = before + found as u64;
            match limit.check("mel.npy_bytes", frames) {
                Err(status) => status,
                Ok(()) => of_npy(&error, None),
            }
        }
        MelError::NonFinite {
            value, band, frame, ..
        } => not_finite("mel.npy_bytes", value, band, frame as u64 + before),
        MelError::AmbiguousLayout { shape } => invalid(
            "mel.layout",
            format!(
                "shape {shape:?} does not tell bands from frames: say bands first for [n_mels, frames] or frames first for [frames, n_mels]"
            ),
        ),
        other => of_npy(&other, elsewhere(&other)),
    })
}

fn of_npy(error: &MelError, other: Option<&str>) -> Status {
    invalid("mel.npy_bytes", format!("{error}{}", taken_by(other)))
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
    let frames_first = layout(message)? != proto::MelLayout::BandsFirst;
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

fn layout(message: &proto::Mel) -> Result<proto::MelLayout, Status> {
    proto::MelLayout::try_from(message.layout).map_err(|_| {
        let message = format!("there is no layout {}", message.layout);
        invalid("mel.layout", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ndarray::Array;
    use ndarray_npy::WriteNpyExt;
    use tonic::Code;
    use tonic_types::StatusExt;

    const LIMIT: FrameLimit = FrameLimit::Stream(100);

    fn nowhere() -> Elsewhere<'static> {
        Box::new(|_| None)
    }

    /// The value of a band and a frame, which tells both.
    fn value(band: usize, frame: usize) -> f32 {
        -(frame as f32) - band as f32 / 100.0
    }

    fn message(layout: proto::MelLayout, frames: usize) -> proto::Mel {
        let numbers: Vec<f32> = match layout {
            proto::MelLayout::BandsFirst => (0..80 * frames)
                .map(|i| value(i / frames, i % frames))
                .collect(),
            _ => (0..80 * frames).map(|i| value(i % 80, i / 80)).collect(),
        };
        let data: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
        proto::Mel {
            n_mels: 80,
            n_frames: frames as u32,
            layout: layout.into(),
            data_f32le: Bytes::from(data),
            npy_bytes: Bytes::new(),
        }
    }

    /// The same as a file of that shape.
    fn file(shape: [usize; 2], layout: proto::MelLayout) -> proto::Mel {
        let array = Array::from_shape_fn(shape, |(row, column)| match shape[0] == 80 {
            true => value(row, column),
            false => value(column, row),
        });
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).unwrap();
        proto::Mel {
            layout: layout.into(),
            npy_bytes: bytes.into(),
            ..proto::Mel::default()
        }
    }

    fn refused(message: &proto::Mel, before: u64) -> (Code, String, String) {
        let status = read(message, 80, before, LIMIT, &nowhere()).unwrap_err();
        let details = status.get_error_details();
        let bad = details.bad_request().unwrap();
        let field = bad.field_violations[0].field.clone();
        (status.code(), field, status.message().to_owned())
    }

    #[test]
    fn every_way_and_layout_gives_one_mel() {
        use proto::MelLayout::{BandsFirst, FramesFirst, Unspecified};
        let messages = [
            message(Unspecified, 4),
            message(FramesFirst, 4),
            message(BandsFirst, 4),
            file([80, 4], Unspecified),
            file([4, 80], Unspecified),
            file([80, 4], BandsFirst),
            file([4, 80], FramesFirst),
            file([80, 80], BandsFirst),
        ];
        for (number, message) in messages.iter().enumerate() {
            let mel = read(message, 80, 0, LIMIT, &nowhere()).unwrap();
            assert_eq!((mel.n_mels(), mel.view()[(7, 3)]), (80, -3.07), "{number}");
        }
    }

    #[test]
    fn sizes_that_lie_are_refused_before_they_are_believed() {
        let changed = |change: fn(&mut proto::Mel)| {
            let mut message = message(proto::MelLayout::FramesFirst, 4);
            change(&mut message);
            let (code, field, _) = refused(&message, 0);
            (code, field)
        };
        let field = |name: &str| (Code::InvalidArgument, name.to_owned());
        let long = (Code::OutOfRange, "mel.n_frames".to_owned());
        assert_eq!(changed(|m| m.n_frames = u32::MAX), long);
        assert_eq!(changed(|m| m.n_frames = 90), field("mel.data_f32le"));
        let cut: fn(&mut proto::Mel) = |m| m.data_f32le = m.data_f32le.slice(1..);
        assert_eq!(changed(cut), field("mel.data_f32le"));
        assert_eq!(changed(|m| m.n_frames = 0), field("mel.n_frames"));
        assert_eq!(changed(|m| m.n_mels = 100), field("mel.n_mels"));
        assert_eq!(changed(|m| m.layout = 9), field("mel.layout"));
    }

    #[test]
    fn a_mel_comes_in_one_way() {
        let file = file([80, 4], proto::MelLayout::Unspecified);
        let message = message(proto::MelLayout::FramesFirst, 4);
        let npy_bytes = file.npy_bytes.clone();
        let (code, field, words) = refused(
            &proto::Mel {
                npy_bytes,
                ..message
            },
            0,
        );
        assert_eq!(
            (code, field.as_str()),
            (Code::InvalidArgument, "mel.npy_bytes")
        );
        assert!(words.contains("came twice"), "{words}");
        let (_, field, _) = refused(&proto::Mel { n_mels: 80, ..file }, 0);
        assert_eq!(field, "mel.npy_bytes");
        let (_, field, words) = refused(&proto::Mel::default(), 0);
        assert_eq!(field, "mel");
        assert!(words.contains("npy_bytes"), "{words}");
    }

    #[test]
    fn a_file_that_cannot_be_used_names_its_field() {
        let unspecified = proto::MelLayout::Unspecified;
        let bytes = |bytes: &'static [u8]| proto::Mel {
            npy_bytes: Bytes::from_static(bytes),
            ..proto::Mel::default()
        };
        let mut unknown = file([80, 4], unspecified);
        unknown.layout = 9;
        let cases = [
            (file([80, 101], unspecified), "mel.npy_bytes", "101 frames"),
            (file([64, 4], unspecified), "mel.npy_bytes", "[64, 4]"),
            (file([80, 80], unspecified), "mel.layout", "bands first"),
            (unknown, "mel.layout", "no layout 9"),
            (bytes(b"RIFF....WAVE"), "mel.npy_bytes", "WAV"),
        ];
        for (message, field, word) in cases {
            let (_, found, words) = refused(&message, 0);
            assert_eq!(found, field, "{words}");
            assert!(words.contains(word), "{words}");
        }
        let (code, _, words) = refused(&file([80, 4], unspecified), 98);
        assert_eq!(code, Code::OutOfRange);
        assert!(words.contains("102 frames"), "{words}");
    }

    #[test]
    fn a_value_that_is_no_number_is_placed_in_the_clip() {
        let mut floats = message(proto::MelLayout::FramesFirst, 4);
        let mut bytes = floats.data_f32le.to_vec();
        bytes[(2 * 80 + 5) * 4..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
        floats.data_f32le = bytes.into();
        let mut file = file([4, 80], proto::MelLayout::Unspecified);
        let mut bytes = file.npy_bytes.to_vec();
        let data = bytes.len() - 4 * 80 * 4;
        bytes[data + (2 * 80 + 5) * 4..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
        file.npy_bytes = bytes.into();
        for (message, field) in [(floats, "mel.data_f32le"), (file, "mel.npy_bytes")] {
            let (_, found, words) = refused(&message, 4);
            assert_eq!(found, field);
            assert!(words.contains("NaN in frame 6, band 5"), "{words}");
        }
    }
}
