//! Mels in NumPy's `.npy` format, read from untrusted streams.
//!
//! The header goes through `ndarray-npy`'s parser once it has passed the limits here; the elements are decoded here, because that crate
//! reads neither half precision nor, from a stream, the other byte order.

use std::io::{Read, Write};

use half::f16;
use ndarray::Array2;
use ndarray_npy::npy::header;
use ndarray_npy::{WriteNpyError, WriteNpyExt};

use super::layout::{Layout, bands_first, matrix_shape};
use super::{Mel, MelError, npz};
use crate::setters::setters;

/// How much is accepted from outside.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NpyLimits {
    /// Bytes of array data.
    pub max_bytes: u64,
    /// Frames of the mel.
    pub max_frames: usize,
}

setters!(NpyLimits {
    max_bytes: u64,
    max_frames: usize,
});

impl Default for NpyLimits {
    /// 2 GiB and 4 million frames: half a day of speech at 86 frames a second.
    fn default() -> NpyLimits {
        NpyLimits {
            max_bytes: 2 << 30,
            max_frames: 4_000_000,
        }
    }
}

/// Reads one mel from a stream, to its end.
///
/// Takes float16, float32 and float64 in either byte order, alone or as the only array of an uncompressed `.npz`, C or Fortran order, and the shapes `[n_mels, F]` and `[F, n_mels]`, either with
/// further axes of length 1 anywhere. Headers of Python 2 are read too. `n_mels` is the number of bands expected, `None` where any will do. Memory grows with the bytes that
/// arrive, never with what the header claims.
///
/// # Errors
/// Every malformed input is a typed [`MelError`].
pub fn read_npy<R: Read>(
    reader: R,
    n_mels: Option<usize>,
    layout: Layout,
    limits: &NpyLimits,
) -> Result<Mel, MelError> {
    read_npy_by_shape(reader, |_| n_mels, layout, limits)
}

/// [`read_npy`] where the number of bands that is expected depends on the shape of the array: `n_mels` is asked once that is known, before
/// the values are read.
///
/// # Errors
/// As above.
pub fn read_npy_by_shape<R: Read>(
    mut reader: R,
    n_mels: impl FnOnce(&[usize]) -> Option<usize>,
    layout: Layout,
    limits: &NpyLimits,
) -> Result<Mel, MelError> {
    let mut start = Vec::with_capacity(9);
    reader.by_ref().take(9).read_to_end(&mut start)?;
    if start.starts_with(b"PK\x03\x04") {
        let array = npz::only_array(start, reader, limits.max_bytes)?;
        // An array is no archive again.
        return match array.starts_with(MAGIC) {
            true => read_array(array.as_slice(), n_mels, layout, limits),
            false => Err(foreign(&array[..array.len().min(9)])),
        };
    }
    if !start.starts_with(MAGIC) {
        return Err(foreign(&start));
    }
    read_array(start.as_slice().chain(reader), n_mels, layout, limits)
}

/// [`read_npy_by_shape`] of what begins as an array does.
fn read_array<R: Read>(
    mut reader: R,
    n_mels: impl FnOnce(&[usize]) -> Option<usize>,
    layout: Layout,
    limits: &NpyLimits,
) -> Result<Mel, MelError> {
    let header = read_header(&mut reader)?;
    let element = Element::parse(&header.type_descriptor.to_string())?;
    let (rows, columns) = matrix_shape(&header.shape)?;
    let n_mels = n_mels(&header.shape);
    let bands_first = bands_first(rows, columns, n_mels, layout, &header.shape)?;
    let frames = if bands_first { columns } else { rows };
    if frames > limits.max_frames {
        return Err(MelError::TooManyFrames {
            found: frames,
            limit: limits.max_frames,
        });
    }
    let count = (rows as u64).saturating_mul(columns as u64);
    let bytes = count.saturating_mul(element.size() as u64);
    if bytes > limits.max_bytes {
        return Err(MelError::TooManyBytes {
            shape: header.shape,
            found: bytes,
            limit: limits.max_bytes,
        });
    }
    let values = element.decode(&read_data(reader, bytes)?);
    let stored = if header.layout.is_fortran() {
        (columns, rows)
    } else {
        (rows, columns)
    };
    let mut matrix = Array2::from_shape_vec(stored, values).map_err(|e| MelError::Header {
        reason: e.to_string(),
    })?;
    if header.layout.is_fortran() == bands_first {
        matrix = matrix.reversed_axes();
    }
    Mel::new(matrix)
}

/// Writes a mel as float32 `[n_mels, frames]`, little-endian on every common machine.
///
/// # Errors
/// [`MelError::Io`] where the writer fails.
pub fn write_npy<W: Write>(writer: W, mel: &Mel) -> Result<(), MelError> {
    mel.view().write_npy(writer).map_err(|e| match e {
        WriteNpyError::Io(e) => MelError::Io(e),
        other => MelError::Header {
            reason: other.to_string(),
        },
    })
}

/// NumPy's own limit for headers from untrusted sources.
const MAX_HEADER: u64 = 10_000;
/// A dictionary with a shape and a structured type nests four deep; the parser's time and stack grow with depth.
const MAX_NESTING: usize = 8;
const MAGIC: &[u8; 6] = b"\x93NUMPY";

fn read_header<R: Read>(reader: &mut R) -> Result<header::Header, MelError> {
    let mut prefix = Vec::with_capacity(12);
    reader.by_ref().take(8).read_to_end(&mut prefix)?;
    if !prefix.starts_with(MAGIC) {
        return Err(foreign(&prefix));
    }
    let length_bytes: u64 = match prefix.get(6) {
        Some(1) => 2,
        _ => 4,
    };
    let short = |found: usize| MelError::Header {
        reason: format!("it ends after {found} bytes"),
    };
    reader
        .by_ref()
        .take(length_bytes)
        .read_to_end(&mut prefix)?;
    let length = match prefix.get(8..) {
        Some(&[a, b]) if length_bytes == 2 => u64::from(u16::from_le_bytes([a, b])),
        Some(&[a, b, c, d]) => u64::from(u32::from_le_bytes([a, b, c, d])),
        _ => return Err(short(prefix.len())),
    };
    if length > MAX_HEADER {
        return Err(MelError::HeaderTooLong {
            found: length,
            limit: MAX_HEADER,
        });
    }
    let start = prefix.len();
    reader.by_ref().take(length).read_to_end(&mut prefix)?;
    if ((prefix.len() - start) as u64) < length {
        return Err(short(prefix.len()));
    }
    check_text(&prefix[start..])?;
    blank_long_suffixes(&mut prefix[start..]);
    header::Header::from_reader(&mut prefix.as_slice()).map_err(|e| MelError::Header {
        reason: match e {
            header::ReadHeaderError::Parse(e) => first_line(&e.to_string()),
            header::ReadHeaderError::Io(e) => e.to_string(),
        },
    })
}

/// Keeps from the dictionary parser what no float array has in its header and what parsers stumble over.
fn check_text(text: &[u8]) -> Result<(), MelError> {
    let malformed = |reason: &str| {
        Err(MelError::Header {
            reason: reason.to_owned(),
        })
    };
    let mut depth = 0usize;
    for byte in text {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'\\' => return malformed("escape sequences are not expected"),
            b'\n' | b'\t' | b' '..=b'~' => {}
            _ => return malformed("it holds bytes that are not text"),
        }
        if depth > MAX_NESTING {
            return malformed("its brackets nest too deep");
        }
    }
    Ok(())
}

/// NumPy under Python 2 wrote the sizes of some platforms as long integers, `(80L, 364L)`; the suffix becomes a space.
fn blank_long_suffixes(text: &mut [u8]) {
    for at in 1..text.len() {
        if text[at] == b'L' && text[at - 1].is_ascii_digit() {
            text[at] = b' ';
        }
    }
}

fn first_line(text: &str) -> String {
    let shown: String = text
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(120)
        .collect();
    shown.trim_end_matches([':', ' ']).to_owned()
}

/// Says what a stream is that does not start like a `.npy` file.
fn foreign(start: &[u8]) -> MelError {
    const NPY: &str = "save the mel with numpy.save";
    const AUDIO: &str = "make a mel from audio with `vocode mel IN -o mel.npy`";
    let known: [(&[u8], &str, &str); 11] = [
        (b"RIFF", "a WAV audio file", AUDIO),
        (b"RF64", "a WAV audio file", AUDIO),
        (b"fLaC", "a FLAC audio file", AUDIO),
        (b"OggS", "an Ogg audio file", AUDIO),
        (b"ID3", "an MP3 audio file", AUDIO),
        (b"\xff\xfb", "an MP3 audio file", AUDIO),
        (b"FORM", "an AIFF audio file", AUDIO),
        (
            b"\x80",
            "a Python pickle (an old PyTorch checkpoint is one)",
            npz::TORCH,
        ),
        (b"\x89PNG", "a PNG image", NPY),
        (b"\x89HDF", "an HDF5 file", NPY),
        (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    ];
    if start.is_empty() {
        return MelError::NoBytes;
    }
    if MAGIC.starts_with(start) {
        return MelError::Header {
            reason: format!("it ends after {} bytes", start.len()),
        };
    }
    // The length of its JSON header in eight bytes, the high ones 0, and the header.
    if matches!(start, [_, _, _, _, 0, 0, 0, 0, b'{']) {
        return MelError::NotNpy {
            found: "a .safetensors file",
            advice: "in Python, mel = safetensors.numpy.load_file(path)[\"mel\"], by the name that it has there, then \
                     np.save(\"mel.npy\", mel)",
        };
    }
    let text = start
        .iter()
        .all(|b| matches!(b, b'\n' | b'\r' | b'\t' | b' '..=b'~'));
    let fallback = if text {
        "a text file"
    } else {
        "data of an unknown kind"
    };
    let (_, found, advice) = known
        .into_iter()
        .find(|(magic, ..)| start.starts_with(magic))
        .unwrap_or((b"", fallback, NPY));
    MelError::NotNpy { found, advice }
}

/// A floating-point element: its width and byte order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Element {
    width: Width,
    big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Width {
    F16,
    F32,
    F64,
}

impl Element {
    /// From the header's type descriptor as a Python literal, quotes included.
    fn parse(descriptor: &str) -> Result<Element, MelError> {
        let found: String = descriptor.trim_matches('\'').chars().take(80).collect();
        let (order, kind) = match found.chars().next() {
            Some(order @ ('<' | '>' | '=' | '|')) => (order, &found[1..]),
            _ => ('=', found.as_str()),
        };
        let width = match kind {
            "f2" => Width::F16,
            "f4" => Width::F32,
            "f8" => Width::F64,
            kind if kind.starts_with('O') || found.contains("|O") => {
                return Err(MelError::PythonObjects { found });
            }
            _ => return Err(MelError::ElementType { found }),
        };
        let big_endian = order == '>' || (order != '<' && cfg!(target_endian = "big"));
        Ok(Element { width, big_endian })
    }

    fn size(self) -> usize {
        match self.width {
            Width::F16 => 2,
            Width::F32 => 4,
            Width::F64 => 8,
        }
    }

    fn decode(self, bytes: &[u8]) -> Vec<f32> {
        fn each<const N: usize>(
            bytes: &[u8],
            big: bool,
            value: impl Fn([u8; N]) -> f32,
        ) -> Vec<f32> {
            let (chunks, _) = bytes.as_chunks::<N>();
            let ordered = |mut chunk: [u8; N]| {
                if big {
                    chunk.reverse();
                }
                value(chunk)
            };
            chunks.iter().copied().map(ordered).collect()
        }
        match self.width {
            Width::F16 => each(bytes, self.big_endian, |b| f16::from_le_bytes(b).to_f32()),
            Width::F32 => each(bytes, self.big_endian, f32::from_le_bytes),
            Width::F64 => each(bytes, self.big_endian, |b| f64::from_le_bytes(b) as f32),
        }
    }
}

/// Exactly `expected` bytes and then the end of the stream.
fn read_data<R: Read>(mut reader: R, expected: u64) -> Result<Vec<u8>, MelError> {
    let mut data = Vec::new();
    reader.by_ref().take(expected).read_to_end(&mut data)?;
    let found = data.len() as u64;
    if found < expected {
        return Err(MelError::Truncated { expected, found });
    }
    let mut extra = Vec::new();
    reader.take(1).read_to_end(&mut extra)?;
    if extra.is_empty() {
        Ok(data)
    } else {
        Err(MelError::TrailingData { expected })
    }
}

#[cfg(test)]
#[path = "npy_tests.rs"]
mod tests;
