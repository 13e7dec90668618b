//! The one array of an `.npz` archive, and what else a zip archive may be.

use std::io::Read;

use super::MelError;

/// Bytes that an archive may have beyond those of its array: names and headers.
const OVERHEAD: u64 = 1 << 20;
/// Starts of the records of a zip archive.
const ENTRY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const LOCAL: &[u8] = b"PK\x03\x04";
/// Bytes of the end record, without its comment, and of the longest comment.
const END_BYTES: usize = 22;
const MAX_COMMENT: usize = 65_535;
/// What stands for a size that the extra field holds in 64 bits.
const WIDE: u64 = 0xffff_ffff;

/// A file in the archive.
struct Entry {
    name: String,
    method: u16,
    size: u64,
    at: u64,
}

/// The bytes of the only array in an archive that begins with `start` and goes on in `rest`.
///
/// # Errors
/// [`MelError::NotNpy`] for a PyTorch checkpoint, [`MelError::Archive`] for anything but one uncompressed array.
pub(super) fn only_array<R: Read>(
    start: Vec<u8>,
    rest: R,
    max_bytes: u64,
) -> Result<Vec<u8>, MelError> {
    let mut bytes = start;
    let limit = max_bytes.saturating_add(OVERHEAD);
    rest.take(limit).read_to_end(&mut bytes)?;
    let archive = |reason: String| MelError::Archive { reason };
    let entries = entries(&bytes).ok_or_else(|| archive("it is damaged".to_owned()))?;
    if entries.iter().any(|e| e.name.ends_with("data.pkl")) {
        return Err(MelError::NotNpy {
            found: "a PyTorch checkpoint",
            advice: TORCH,
        });
    }
    let arrays: Vec<&Entry> = entries
        .iter()
        .filter(|e| e.name.ends_with(".npy"))
        .collect();
    let named = |e: &&Entry| e.name.trim_end_matches(".npy").escape_default().to_string();
    let [only] = arrays.as_slice() else {
        let names: Vec<String> = arrays.iter().take(8).map(named).collect();
        return Err(archive(match names.is_empty() {
            true => "it holds no array".to_owned(),
            false => format!("it holds {} arrays ({})", arrays.len(), names.join(", ")),
        }));
    };
    if only.method != 0 {
        return Err(archive(format!("its array {} is compressed", named(only))));
    }
    let bytes = data(&bytes, only).ok_or_else(|| archive("it is damaged".to_owned()))?;
    Ok(bytes.to_vec())
}

/// How to get out of a file that PyTorch wrote.
pub(super) const TORCH: &str = "in Python, mel = torch.load(path, map_location=\"cpu\"), then np.save(\"mel.npy\", mel.float().numpy()), \
     with the mel's own entry where it is a dict";

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let part = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(part.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u64> {
    let part = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(part.try_into().ok()?).into())
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let part = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(part.try_into().ok()?))
}

/// The archive's directory. `None` where it contradicts itself.
fn entries(bytes: &[u8]) -> Option<Vec<Entry>> {
    let latest = bytes.len().checked_sub(END_BYTES)?;
    let earliest = latest.saturating_sub(MAX_COMMENT);
    let end = (earliest..=latest)
        .rev()
        .find(|at| bytes[*at..].starts_with(END))?;
    let count = u16_at(bytes, end + 10)?;
    let mut at = usize::try_from(u32_at(bytes, end + 16)?).ok()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        if !bytes.get(at..)?.starts_with(ENTRY) {
            return None;
        }
        let [name, extra, comment] = [28, 30, 32].map(|field| u16_at(bytes, at + field));
        let (name, extra, comment) = (
            usize::from(name?),
            usize::from(extra?),
            usize::from(comment?),
        );
        let named = at + 46;
        let mut entry = Entry {
            name: String::from_utf8_lossy(bytes.get(named..named + name)?).into_owned(),
            method: u16_at(bytes, at + 10)?,
            size: u32_at(bytes, at + 20)?,
            at: u32_at(bytes, at + 42)?,
        };
        let unpacked = u32_at(bytes, at + 24)?;
        let fields = bytes.get(named + name..named + name + extra)?;
        widen(&mut entry, unpacked, fields);
        entries.push(entry);
        at = named + name + extra + comment;
    }
    Some(entries)
}

/// Takes the sizes that do not fit into 32 bits from the extra fields.
fn widen(entry: &mut Entry, unpacked: u64, mut fields: &[u8]) {
    while let (Some(tag), Some(length)) = (u16_at(fields, 0), u16_at(fields, 2)) {
        let end = 4 + usize::from(length);
        if tag == 1 {
            let mut at = 4;
            let mut next = |value: &mut u64| {
                if *value == WIDE
                    && let Some(wide) = u64_at(fields, at)
                {
                    *value = wide;
                    at += 8;
                }
            };
            let mut unpacked = unpacked;
            next(&mut unpacked);
            next(&mut entry.size);
            next(&mut entry.at);
        }
        fields = fields.get(end..).unwrap_or_default();
    }
}

/// The bytes of an entry.
fn data<'a>(bytes: &'a [u8], entry: &Entry) -> Option<&'a [u8]> {
    let at = usize::try_from(entry.at).ok()?;
    let local = bytes.get(at..)?;
    if !local.starts_with(LOCAL) {
        return None;
    }
    let begin = 30 + usize::from(u16_at(local, 26)?) + usize::from(u16_at(local, 28)?);
    let end = begin.checked_add(usize::try_from(entry.size).ok()?)?;
    local.get(begin..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive as zip programs write it, everything stored.
    fn archive(files: &[(&str, &[u8])], method: u16) -> Vec<u8> {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for (name, data) in files {
            let at = out.len() as u32;
            let size = (data.len() as u32).to_le_bytes();
            let mut common = vec![20, 0, 0, 0];
            common.extend(method.to_le_bytes());
            common.extend([0; 8]);
            common.extend(size);
            common.extend(size);
            common.extend((name.len() as u16).to_le_bytes());
            common.extend([0; 2]);
            out.extend(LOCAL);
            out.extend(&common);
            out.extend(name.as_bytes());
            out.extend(*data);
            directory.extend(ENTRY);
            directory.extend([20, 0]);
            directory.extend(&common);
            directory.extend([0; 10]);
            directory.extend(at.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let begin = out.len() as u32;
        out.extend(&directory);
        out.extend(END);
        out.extend([0; 4]);
        out.extend((files.len() as u16).to_le_bytes());
        out.extend((files.len() as u16).to_le_bytes());
        out.extend((directory.len() as u32).to_le_bytes());
        out.extend(begin.to_le_bytes());
        out.extend([0; 2]);
        out
    }

    fn read(bytes: &[u8]) -> Result<Vec<u8>, MelError> {
        only_array(bytes[..8].to_vec(), &bytes[8..], 1 << 20)
    }

    #[test]
    fn one_stored_array_is_taken_and_all_else_is_told() {
        let one = archive(&[("mel.npy", b"array"), ("readme", b"text")], 0);
        assert_eq!(read(&one).unwrap(), b"array");
        let cases = [
            (
                archive(&[("a.npy", b""), ("b.npy", b"")], 0),
                "2 arrays (a, b)",
            ),
            (archive(&[("readme", b"text")], 0), "no array"),
            (archive(&[("mel.npy", b"array")], 8), "compressed"),
            (archive(&[("x/data.pkl", b"")], 0), "a PyTorch checkpoint"),
        ];
        for (bytes, words) in cases {
            let message = read(&bytes).unwrap_err().to_string();
            assert!(message.contains(words), "{words}: {message}");
        }
    }

    #[test]
    fn damage_is_an_error_and_no_crash() {
        let one = archive(&[("mel.npy", b"array")], 0);
        for length in 8..one.len() {
            assert!(read(&one[..length]).is_err(), "{length}");
        }
        for at in 8..one.len() {
            let mut bytes = one.clone();
            bytes[at] ^= 0xff;
            let _ = read(&bytes);
        }
    }
}
