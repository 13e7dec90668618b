//! A look at the boxes of an MP4 file before the demuxer reads them.
//!
//! The demuxer allocates what a table's count asks for and divides by the time scale, both unchecked. A count that no
//! file could hold would end the process, which no `Result` can catch. Layouts: ISO/IEC 14496-12.

use super::AudioError;

/// How deep boxes may lie in boxes; real files need six levels.
const MAX_DEPTH: usize = 12;
/// Bytes of a box's header: its size and its type.
const HEADER: usize = 8;

/// Checks the description of the media (`moov` and `moof`) of an MP4 file; anything else passes.
///
/// # Errors
/// [`AudioError::Damaged`] for a box that is larger than what it lies in, a table with more entries than its box has
/// room for, or a time scale of 0.
pub(super) fn check(bytes: &[u8]) -> Result<(), AudioError> {
    if bytes.get(4..8) != Some(b"ftyp") {
        return Ok(());
    }
    let mut rest = bytes;
    while let Some((kind, size)) = header(rest) {
        let end = size.min(rest.len());
        let Some(body) = rest.get(HEADER..end) else {
            break;
        };
        // The sound itself may be cut short; what describes it may not.
        if matches!(&kind, b"moov" | b"moof") {
            if size > rest.len() {
                return Err(damaged("its description is cut short"));
            }
            children(body, 0)?;
        }
        rest = &rest[end..];
    }
    Ok(())
}

/// What of the first sound track is to be heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Edit {
    /// Seconds to leave out at its start: the delay of the encoder.
    pub begin: f64,
    /// Seconds to hear after that, where they are told.
    pub seconds: Option<f64>,
}

/// The edit list of the first sound track, where it is one plain cut; `bytes` have passed [`check`].
pub(super) fn edit(bytes: &[u8]) -> Option<Edit> {
    if bytes.get(4..8) != Some(b"ftyp") {
        return None;
    }
    let movie = find(bytes, b"moov")?;
    let (track, media) =
        boxes(movie)
            .filter(|(kind, _)| kind == b"trak")
            .find_map(|(_, track)| {
                let media = find(track, b"mdia")?;
                (find(media, b"hdlr")?.get(8..12)? == b"soun").then_some((track, media))
            })?;
    let scale = |body: &[u8]| {
        let place = if body.first() == Some(&1) { 20 } else { 12 };
        number(body, place)
            .filter(|scale| *scale > 0)
            .map(f64::from)
    };
    let list = find(find(track, b"edts")?, b"elst")?;
    // One entry of the first form: its length in the movie's time, its start in the track's.
    let plain = list.first() == Some(&0) && number(list, 4) == Some(1);
    let begin = number(list, 12).filter(|time| *time <= i32::MAX as u32)?;
    let length = number(list, 8).filter(|length| *length > 0);
    let movie_scale = scale(find(movie, b"mvhd")?)?;
    plain.then_some(Edit {
        begin: f64::from(begin) / scale(find(media, b"mdhd")?)?,
        seconds: length.map(|length| f64::from(length) / movie_scale),
    })
}

/// The boxes side by side in `bytes`, as far as they are whole.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (kind, size) = header(bytes)?;
        let body = bytes.get(HEADER..size)?;
        bytes = &bytes[size..];
        Some((kind, body))
    })
}

fn find<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes)
        .find(|(found, _)| found == kind)
        .map(|(_, body)| body)
}

/// The type and the size, header included, of the box at the start of `bytes`. Sizes of 64 bits are given as the largest
/// number: no box of a description has one.
fn header(bytes: &[u8]) -> Option<([u8; 4], usize)> {
    let kind = bytes.get(4..8)?.try_into().ok()?;
    let size = match number(bytes, 0)? {
        0 => bytes.len(),
        1 => {
            let wide = bytes.get(8..16)?.try_into().ok()?;
            usize::try_from(u64::from_be_bytes(wide)).unwrap_or(usize::MAX)
        }
        size => size as usize,
    };
    Some((kind, size))
}

fn children(mut bytes: &[u8], depth: usize) -> Result<(), AudioError> {
    if depth > MAX_DEPTH {
        return Err(damaged("its boxes lie too deep in each other"));
    }
    while !bytes.is_empty() {
        let (kind, size) = header(bytes).ok_or_else(|| damaged("a box is cut short"))?;
        let body = bytes
            .get(HEADER..size)
            .ok_or_else(|| damaged("a box is larger than what it lies in"))?;
        match &kind {
            b"trak" | b"mdia" | b"minf" | b"stbl" | b"mvex" | b"traf" => {
                children(body, depth + 1)?;
            }
            _ => leaf(kind, body)?,
        }
        bytes = &bytes[size..];
    }
    Ok(())
}

fn leaf(kind: [u8; 4], body: &[u8]) -> Result<(), AudioError> {
    // The place of the count, and the bytes of an entry behind it.
    let (count_at, entry) = match &kind {
        b"mvhd" | b"mdhd" => return time_scale(body),
        b"hdlr" if body.len() < 24 => return Err(damaged("its handler is cut short")),
        b"stts" | b"ctts" => (4, 8),
        b"stsc" => (4, 12),
        b"stco" => (4, 4),
        b"co64" => (4, 8),
        // Samples of one size have no table.
        b"stsz" if number(body, 4) != Some(0) => return Ok(()),
        b"stsz" => (8, 4),
        _ => return Ok(()),
    };
    let room = body.len().saturating_sub(count_at + 4) / entry;
    match number(body, count_at) {
        Some(count) if count as usize <= room => Ok(()),
        _ => Err(damaged("a table has more entries than it has room for")),
    }
}

fn time_scale(body: &[u8]) -> Result<(), AudioError> {
    // Version 1 has times of 64 bits in front.
    let place = if body.first() == Some(&1) { 20 } else { 12 };
    match number(body, place) {
        Some(1..) => Ok(()),
        _ => Err(damaged("its time scale is 0")),
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

fn damaged(reason: &str) -> AudioError {
    AudioError::Damaged {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(HEADER + body.len()).unwrap();
        [&size.to_be_bytes()[..], kind, body].concat()
    }

    fn file(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let track = boxed(b"trak", &boxed(b"mdia", &boxed(kind, body)));
        [boxed(b"ftyp", b"M4A "), boxed(b"moov", &track)].concat()
    }

    fn words(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
    }

    #[test]
    fn a_table_may_not_promise_more_than_it_holds() {
        check(&file(b"stts", &words(&[0, 1, 5, 6]))).unwrap();
        for count in [2, u32::MAX] {
            assert!(check(&file(b"stts", &words(&[0, count, 5, 6]))).is_err());
            assert!(check(&file(b"stsz", &words(&[0, 0, count, 6]))).is_err());
        }
        check(&file(b"stsz", &words(&[0, 100, u32::MAX]))).unwrap();
    }

    #[test]
    fn a_time_scale_of_zero_is_refused() {
        check(&file(b"mdhd", &words(&[0, 0, 0, 44_100, 0]))).unwrap();
        assert!(check(&file(b"mdhd", &words(&[0, 0, 0, 0, 0]))).is_err());
        assert!(check(&file(b"mdhd", &words(&[1 << 24, 0, 0, 0, 9, 0, 0]))).is_err());
    }

    #[test]
    fn a_box_must_fit_what_it_lies_in() {
        let whole = file(b"stco", &words(&[0, 1, 5]));
        for at in [12, 20, 28, 36] {
            for size in [0x0fff_ffff, 1, 7] {
                let mut bytes = whole.clone();
                bytes[at..at + 4].copy_from_slice(&u32::to_be_bytes(size));
                // The first is that of `moov`, which is only looked into where it is one.
                assert!(
                    check(&bytes).is_err() || at == 12 && size == 7,
                    "{at} {size}"
                );
            }
        }
        for length in 0..whole.len() {
            let _ = check(&whole[..length]);
        }
    }
}
