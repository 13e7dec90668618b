//! A look at a library file before the loader maps it.
//!
//! The dynamic loader trusts the headers of the file that it maps: one cut short by a broken copy ends the process with
//! a bus error, which no `Result` can catch. The checks here keep such a file from ever reaching it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::rejection::Rejection;

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const TYPE_SHARED_OBJECT: u64 = 3;
const SEGMENT_LOAD: u64 = 1;
/// Far above any real library (ONNX Runtime has about ten): bounds what a file can make us read.
const MAX_SEGMENTS: usize = 128;

/// Refuses a file that the loader could not map as a library of this machine: not a file, empty, not a 64-bit ELF
/// shared object of this architecture, or shorter than its own program headers say.
///
/// On systems whose libraries are not ELF files only the first two are checked.
///
/// # Errors
/// [`Rejection::Missing`] when there is nothing at `path`, [`Rejection::Unreadable`] when it may not be read,
/// [`Rejection::NotALibrary`] otherwise.
pub(super) fn check(path: &Path) -> Result<(), Rejection> {
    let meta = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Rejection::Missing,
        _ => unreadable(&error),
    })?;
    if !meta.is_file() {
        return Err(not_a_library("not a regular file"));
    }
    if meta.len() == 0 {
        return Err(not_a_library("the file is empty"));
    }
    if !cfg!(all(
        target_os = "linux",
        target_pointer_width = "64",
        target_endian = "little"
    )) {
        return Ok(());
    }
    check_elf(
        &mut File::open(path).map_err(|error| unreadable(&error))?,
        meta.len(),
    )
}

fn check_elf(file: &mut (impl Read + std::io::Seek), length: u64) -> Result<(), Rejection> {
    let mut header = [0u8; HEADER];
    if file.read_exact(&mut header).is_err() || header[..4] != *b"\x7fELF" {
        return Err(not_a_library("it has no ELF header"));
    }
    if header[4] != 2 || header[5] != 1 {
        return Err(not_a_library("it is not a 64-bit little-endian library"));
    }
    if number(&header[16..18]) != TYPE_SHARED_OBJECT {
        return Err(not_a_library("it is an ELF file but no shared library"));
    }
    let machine = number(&header[18..20]);
    if let Some(own) = own_machine()
        && machine != own
    {
        return Err(not_a_library(&format!(
            "it was built for another processor (ELF machine {machine}, this one is {own})"
        )));
    }
    check_segments(file, &header, length)
}

/// Every part of the file that the program headers ask the loader to map must be there.
fn check_segments(
    file: &mut (impl Read + std::io::Seek),
    header: &[u8; HEADER],
    length: u64,
) -> Result<(), Rejection> {
    let count = number(&header[56..58]) as usize;
    if count == 0 || count > MAX_SEGMENTS || number(&header[54..56]) as usize != PROGRAM_HEADER {
        return Err(not_a_library("its program headers are malformed"));
    }
    let mut table = vec![0u8; count * PROGRAM_HEADER];
    let read = file
        .seek(std::io::SeekFrom::Start(number(&header[32..40])))
        .and_then(|_| file.read_exact(&mut table));
    if read.is_err() {
        return Err(not_a_library(
            "it is cut short (its program headers are missing)",
        ));
    }
    for segment in table.chunks_exact(PROGRAM_HEADER) {
        let end = number(&segment[8..16]).saturating_add(number(&segment[32..40]));
        if number(&segment[..4]) == SEGMENT_LOAD && end > length {
            return Err(not_a_library(&format!(
                "it is cut short: {length} bytes, and its headers promise at least {end}"
            )));
        }
    }
    Ok(())
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn own_machine() -> Option<u64> {
    match std::env::consts::ARCH {
        "x86_64" => Some(62),
        "aarch64" => Some(183),
        _ => None,
    }
}

fn not_a_library(reason: &str) -> Rejection {
    Rejection::NotALibrary {
        reason: reason.to_owned(),
    }
}

fn unreadable(error: &std::io::Error) -> Rejection {
    Rejection::Unreadable {
        reason: error.to_string(),
    }
}

#[cfg(all(
    test,
    target_os = "linux",
    target_pointer_width = "64",
    target_endian = "little"
))]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A shared object of this machine with one segment to map, `promised` bytes long from the start of the file.
    fn library(promised: u64) -> Vec<u8> {
        let mut bytes = vec![0u8; HEADER + PROGRAM_HEADER];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[16] = 3;
        bytes[18..20].copy_from_slice(&(own_machine().unwrap_or(0) as u16).to_le_bytes());
        bytes[32] = HEADER as u8;
        bytes[54] = PROGRAM_HEADER as u8;
        bytes[56] = 1;
        bytes[HEADER] = 1;
        bytes[HEADER + 32..HEADER + 40].copy_from_slice(&promised.to_le_bytes());
        bytes
    }

    fn verdict(bytes: &[u8]) -> Result<(), String> {
        check_elf(&mut Cursor::new(bytes), bytes.len() as u64)
            .map_err(|rejection| rejection.to_string())
    }

    #[test]
    fn a_whole_library_passes() {
        assert_eq!(verdict(&library(120)), Ok(()));
    }

    #[test]
    fn a_library_cut_anywhere_is_refused() {
        let bytes = library(120);
        for length in 0..bytes.len() {
            assert!(verdict(&bytes[..length]).is_err(), "cut at {length}");
        }
        assert!(verdict(&library(121)).unwrap_err().contains("cut short"));
        assert!(
            verdict(&library(u64::MAX))
                .unwrap_err()
                .contains("cut short")
        );
    }

    #[test]
    fn another_processor_and_an_executable_are_told_apart() {
        let mut other = library(120);
        other[18] = 8;
        assert!(verdict(&other).unwrap_err().contains("another processor"));
        let mut executable = library(120);
        executable[16] = 2;
        assert!(
            verdict(&executable)
                .unwrap_err()
                .contains("no shared library")
        );
    }
}
