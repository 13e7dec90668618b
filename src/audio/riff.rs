//! WAV files as programs leave them: lengths that were never filled in, RF64, RIFX, and Sun's .au, all as one plain WAV.
//!
//! A program that writes to a pipe cannot go back to the header, and leaves 0, the largest number or what it had hoped for. The sound goes
//! on to the end of the file then, as players read it.

/// Lengths that stand for "not known": of pipes, of ElevenLabs, of ffmpeg.
const PLACEHOLDERS: [u64; 3] = [0, 0x7fff_ffff, 0xffff_ffff];
/// Bytes before the first chunk: `RIFF`, the length, `WAVE`.
const HEADER: usize = 12;
/// Bytes of a chunk's header: its name and its length.
const CHUNK: usize = 8;

/// A file to be decoded, and what was wrong with it.
pub(super) struct Mended {
    /// The bytes, as they were or as a plain WAV.
    pub bytes: Vec<u8>,
    /// What is missing, if anything.
    pub warning: Option<String>,
}

/// Brings what is a WAV in all but its header, and .au, to the plain form. Everything else passes as it is.
pub(super) fn mend(bytes: Vec<u8>) -> Mended {
    let mended = match bytes.get(..4) {
        Some(b".snd") => sun(&bytes),
        Some(kind @ (b"RIFF" | b"RF64" | b"RIFX" | b"BW64"))
            if bytes.get(8..HEADER) == Some(b"WAVE") =>
        {
            Chunks {
                bytes: &bytes,
                big: kind == b"RIFX",
            }
            .mend()
        }
        _ => None,
    };
    mended.unwrap_or(Mended {
        bytes,
        warning: None,
    })
}

/// A RIFF file in either byte order.
struct Chunks<'a> {
    bytes: &'a [u8],
    big: bool,
}

impl Chunks<'_> {
    fn number(&self, at: usize) -> Option<u64> {
        let four: [u8; 4] = self.bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u64::from(match self.big {
            true => u32::from_be_bytes(four),
            false => u32::from_le_bytes(four),
        }))
    }

    /// `None` where nothing is to be mended, or nothing can be.
    fn mend(&self) -> Option<Mended> {
        let (mut format, mut others, mut data, mut wide) = (None, Vec::new(), None, None);
        let mut at = HEADER;
        while let (Some(name), Some(size)) = (self.bytes.get(at..at + 4), self.number(at + 4)) {
            let begin = at + CHUNK;
            let left = (self.bytes.len() - begin) as u64;
            let claimed = match (name, wide) {
                (b"data", Some(wide)) if size == 0xffff_ffff => wide,
                _ => size,
            };
            let end = match name {
                b"data" if self.open_ended(claimed, begin) => self.bytes.len(),
                _ => begin + claimed.min(left) as usize,
            };
            let body = &self.bytes[begin..end];
            match name {
                b"fmt " => format = Some(body),
                b"data" if data.is_none() => data = Some((body, claimed)),
                b"ds64" => {
                    let eight = body.get(8..16).and_then(|b| b.try_into().ok());
                    wide = eight.map(u64::from_le_bytes);
                }
                b"LIST" => others.push((*b"LIST", body)),
                _ => {}
            }
            at = end + (end - begin) % 2;
        }
        let (data, claimed) = data?;
        let riff = self.number(4)?;
        let sound = riff == (self.bytes.len() - CHUNK) as u64 && claimed == data.len() as u64;
        if sound && !self.big && self.bytes.starts_with(b"RIFF") {
            return None;
        }
        let format = match self.big {
            true => swapped_format(format?)?,
            false => format?.to_vec(),
        };
        let block = u64::from(u16::from_le_bytes(format.get(12..14)?.try_into().ok()?)).max(1);
        let bits = u16::from_le_bytes(format.get(14..16)?.try_into().ok()?);
        let data = match self.big {
            true => swapped(data, usize::from(bits / 8)),
            false => data.to_vec(),
        };
        finished(&format, &others, &data, claimed, block)
    }

    /// Whether the sound goes on to the end of the file, whatever its length says.
    fn open_ended(&self, claimed: u64, begin: usize) -> bool {
        let left = (self.bytes.len() - begin) as u64;
        if claimed > left {
            return true;
        }
        // A length of 0 is true where other chunks, and nothing else, follow.
        let mut at = begin;
        while claimed == 0 && at < self.bytes.len() {
            let named = self
                .bytes
                .get(at..at + 4)
                .is_some_and(|name| name.iter().all(|b| (b' '..=b'~').contains(b)));
            match self.number(at + 4) {
                Some(size) if named && size <= (self.bytes.len() - at) as u64 => {
                    at += CHUNK + (size + size % 2) as usize;
                }
                _ => return true,
            }
        }
        false
    }
}

/// The whole samples, of `block` bytes each, of a file that claims so many bytes, with a warning where they are not all there.
fn finished(
    format: &[u8],
    others: &[([u8; 4], &[u8])],
    data: &[u8],
    claimed: u64,
    block: u64,
) -> Option<Mended> {
    let found = data.len() as u64;
    let missing = claimed > found && !PLACEHOLDERS.contains(&claimed);
    let warning = missing.then(|| {
        format!(
            "the file ends early: {} of {} samples are there",
            found / block,
            claimed / block
        )
    });
    let whole = (found - found % block) as usize;
    let bytes = wav(format, others, &data[..whole])?;
    Some(Mended { bytes, warning })
}

/// A plain WAV; `None` beyond the 4 GiB that it may have.
fn wav(format: &[u8], others: &[([u8; 4], &[u8])], data: &[u8]) -> Option<Vec<u8>> {
    let mut body = b"WAVE".to_vec();
    let chunks = [(*b"fmt ", format)].into_iter();
    for (name, bytes) in chunks
        .chain(others.iter().copied())
        .chain([(*b"data", data)])
    {
        body.extend(name);
        body.extend(u32::try_from(bytes.len()).ok()?.to_le_bytes());
        body.extend(bytes);
        body.extend(&[0][..bytes.len() % 2]);
    }
    let mut out = b"RIFF".to_vec();
    out.extend(u32::try_from(body.len()).ok()?.to_le_bytes());
    out.append(&mut body);
    Some(out)
}

/// Numbers of so many bytes in the other byte order.
fn swapped(bytes: &[u8], width: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for number in bytes.chunks_exact_mut(width.max(1)) {
        number.reverse();
    }
    bytes
}

/// The fields of a format chunk in the other byte order.
fn swapped_format(format: &[u8]) -> Option<Vec<u8>> {
    const WIDTHS: [usize; 12] = [2, 2, 4, 4, 2, 2, 2, 2, 4, 4, 2, 2];
    let (mut out, mut at) = (Vec::with_capacity(format.len()), 0);
    for width in WIDTHS {
        let Some(field) = format.get(at..at + width) else {
            break;
        };
        out.extend(field.iter().rev());
        at += width;
    }
    out.extend(&format[at..]);
    (out.len() >= 16).then_some(out)
}

/// Sun's and NeXT's .au: a header of big-endian words, and the sound.
fn sun(bytes: &[u8]) -> Option<Mended> {
    let word = |at: usize| {
        let four = bytes.get(at..at + 4)?;
        Some(u32::from_be_bytes(four.try_into().ok()?))
    };
    let (begin, length, encoding) = (word(4)? as usize, word(8)?, word(12)?);
    let (rate, channels) = (word(16)?, u16::try_from(word(20)?).ok()?);
    // The tag of a WAV, and bytes a sample.
    let (tag, width): (u16, u16) = match encoding {
        1 => (7, 1),
        2..=5 => (1, (encoding - 1) as u16),
        6 => (3, 4),
        7 => (3, 8),
        27 => (6, 1),
        _ => return None,
    };
    let left = bytes.get(begin..)?;
    let claimed = u64::from(length);
    let known = !PLACEHOLDERS.contains(&claimed);
    let data = match usize::try_from(claimed) {
        Ok(length) if known && length < left.len() => &left[..length],
        _ => left,
    };
    let mut data = swapped(data, usize::from(width));
    if encoding == 2 {
        // WAV has samples of one byte without a sign.
        data.iter_mut().for_each(|b| *b ^= 0x80);
    }
    let block = width.checked_mul(channels.max(1))?;
    let mut format = tag.to_le_bytes().to_vec();
    format.extend(channels.to_le_bytes());
    format.extend(rate.to_le_bytes());
    format.extend(rate.checked_mul(block.into())?.to_le_bytes());
    format.extend(block.to_le_bytes());
    format.extend((8 * width).to_le_bytes());
    finished(&format, &[], &data, claimed, block.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{DecodeLimits, DecodedAudio, decode};

    fn tone() -> Vec<i16> {
        (0..1000)
            .map(|n| (9_000.0 * (f64::from(n) * 0.07).sin()) as i16)
            .collect()
    }

    fn expected() -> Vec<f32> {
        tone().iter().map(|v| f32::from(*v) / 32_768.0).collect()
    }

    fn format(big: bool) -> Vec<u8> {
        let two = |v: u16| {
            if big {
                v.to_be_bytes()
            } else {
                v.to_le_bytes()
            }
        };
        let four = |v: u32| {
            if big {
                v.to_be_bytes()
            } else {
                v.to_le_bytes()
            }
        };
        [
            &two(1)[..],
            &two(1),
            &four(22_050),
            &four(44_100),
            &two(2),
            &two(16),
        ]
        .concat()
    }

    /// A file with these lengths of the whole and of the sound, and what is to follow the sound.
    fn file(kind: &[u8; 4], riff: u32, sound: u32, extra: &[u8], after: &[u8]) -> Vec<u8> {
        let big = kind == b"RIFX";
        let four = |v: u32| {
            if big {
                v.to_be_bytes()
            } else {
                v.to_le_bytes()
            }
        };
        let samples = |v: &i16| {
            if big {
                v.to_be_bytes()
            } else {
                v.to_le_bytes()
            }
        };
        let data: Vec<u8> = tone().iter().flat_map(samples).collect();
        [
            &kind[..],
            &four(riff),
            b"WAVE",
            extra,
            b"fmt ",
            &four(16),
            &format(big),
            b"data",
            &four(sound),
            &data,
            after,
        ]
        .concat()
    }

    fn read(bytes: Vec<u8>) -> DecodedAudio {
        decode(bytes, Some("wav"), &DecodeLimits::default()).unwrap()
    }

    #[test]
    fn lengths_that_were_never_filled_in_are_read_to_the_end() {
        let (all, data) = (2036, 2000);
        for (riff, sound) in [
            (all, data),
            (0, 0),
            (0, data),
            (0x7fff_ffff, 0x7fff_ffff),
            (0xffff_ffff, 0xffff_ffff),
            (all, 0xffff_ffff),
            (100, data),
        ] {
            let clip = read(file(b"RIFF", riff, sound, b"", b""));
            assert_eq!(clip.samples, expected(), "{riff} {sound}");
            assert!(
                clip.warnings.is_empty(),
                "{riff} {sound}: {:?}",
                clip.warnings
            );
        }
    }

    #[test]
    fn sound_that_is_not_there_is_told() {
        let clip = read(file(b"RIFF", 3036, 3000, b"", b""));
        assert_eq!(clip.samples, expected());
        assert_eq!(
            clip.warnings,
            ["the file ends early: 1000 of 1500 samples are there"]
        );
    }

    #[test]
    fn what_follows_the_sound_is_no_sound() {
        let list = [&b"LIST"[..], &4u32.to_le_bytes(), b"INFO"].concat();
        let clip = read(file(b"RIFF", 0, 2000, b"", &list));
        assert_eq!(clip.samples, expected());
    }

    #[test]
    fn rf64_rifx_and_au_are_read() {
        let sizes: Vec<u8> = [2064u64, 2000, 1000]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .chain([0; 4])
            .collect();
        let wide = [&b"ds64"[..], &28u32.to_le_bytes(), &sizes].concat();
        let rf64 = file(b"RF64", u32::MAX, u32::MAX, &wide, b"LIST\x04\0\0\0INFO");
        let rifx = file(b"RIFX", 2036, 2000, b"", b"");
        for bytes in [rf64, rifx] {
            let clip = read(bytes);
            assert_eq!((clip.samples, clip.sample_rate), (expected(), 22_050));
        }
        for length in [2000, u32::MAX] {
            let mut au = b".snd".to_vec();
            au.extend(
                [24, length, 3, 22_050, 1]
                    .iter()
                    .flat_map(|v: &u32| v.to_be_bytes()),
            );
            au.extend(tone().iter().flat_map(|v| v.to_be_bytes()));
            let clip = read(au);
            assert_eq!((clip.samples, clip.sample_rate), (expected(), 22_050));
            assert!(clip.warnings.is_empty());
        }
    }

    #[test]
    fn damage_never_panics() {
        for whole in [
            file(b"RIFX", 2036, 2000, b"", b""),
            file(b"RF64", u32::MAX, u32::MAX, b"", b""),
        ] {
            for length in 0..120 {
                let _ = mend(whole[..length].to_vec());
            }
            for at in 0..44 {
                for value in [0, 0x7f, 0xff] {
                    let mut bytes = whole.clone();
                    bytes[at] = value;
                    let _ = mend(bytes);
                }
            }
        }
    }
}
