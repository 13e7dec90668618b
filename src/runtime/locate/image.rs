//! A look at a library file before the loader maps it.
//!
//! The dynamic loader trusts the headers of the file that it maps: one cut short by a broken copy ends the process with
//! a bus error, which no `Result` can catch. The checks here keep such a file from ever reaching it.

use std::fs::File;
use std::path::Path;

use object::LittleEndian;
use object::elf::{EM_AARCH64, EM_X86_64, ET_DYN, FileHeader64, Machine, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use object::read::{ReadCache, ReadRef};

use super::rejection::Rejection;

/// A header of an ELF file on the systems whose files are checked.
type Header = FileHeader64<LittleEndian>;

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
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    check_elf(&ReadCache::new(file), meta.len())
}

/// Looks at a file of `length` bytes.
fn check_elf<'data>(file: impl ReadRef<'data>, length: u64) -> Result<(), Rejection> {
    let header = file.read_at::<Header>(0);
    let Some(header) = header
        .ok()
        .filter(|header| header.e_ident.magic == *b"\x7fELF")
    else {
        return Err(not_a_library("it has no ELF header"));
    };
    if !header.is_supported() || !header.is_little_endian() {
        return Err(not_a_library("it is not a 64-bit little-endian library"));
    }
    if header.e_type(LittleEndian) != ET_DYN {
        return Err(not_a_library("it is an ELF file but no shared library"));
    }
    let machine = header.e_machine(LittleEndian);
    if let Some(own) = own_machine()
        && machine != own
    {
        return Err(not_a_library(&format!(
            "it was built for another processor (ELF machine {}, this one is {})",
            machine.0, own.0
        )));
    }
    check_segments(file, header, length)
}

/// Every part of the file that the program headers ask the loader to map must be there.
fn check_segments<'data>(
    file: impl ReadRef<'data>,
    header: &Header,
    length: u64,
) -> Result<(), Rejection> {
    let (count, size) = (
        header.e_phnum(LittleEndian),
        header.e_phentsize(LittleEndian),
    );
    if !(1..=MAX_SEGMENTS).contains(&usize::from(count))
        || usize::from(size) != size_of::<<Header as FileHeader>::ProgramHeader>()
    {
        return Err(not_a_library("its program headers are malformed"));
    }
    let segments = header
        .program_headers(LittleEndian, file)
        .map_err(|_| not_a_library("it is cut short (its program headers are missing)"))?;
    for segment in segments {
        let (start, size) = segment.file_range(LittleEndian);
        let end = start.saturating_add(size);
        if segment.p_type(LittleEndian) == PT_LOAD && end > length {
            return Err(not_a_library(&format!(
                "it is cut short: {length} bytes, and its headers promise at least {end}"
            )));
        }
    }
    Ok(())
}

fn own_machine() -> Option<Machine> {
    match std::env::consts::ARCH {
        "x86_64" => Some(EM_X86_64),
        "aarch64" => Some(EM_AARCH64),
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
    use super::*;

    const HEADER: usize = size_of::<Header>();
    const PROGRAM_HEADER: usize = size_of::<<Header as FileHeader>::ProgramHeader>();

    /// A shared object of this machine with one segment to map, `promised` bytes long from the start of the file.
    fn library(promised: u64) -> Vec<u8> {
        let mut bytes = vec![0u8; HEADER + PROGRAM_HEADER];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        bytes[16] = 3;
        bytes[18..20].copy_from_slice(&own_machine().map_or(0, |own| own.0).to_le_bytes());
        bytes[32] = HEADER as u8;
        bytes[54] = PROGRAM_HEADER as u8;
        bytes[56] = 1;
        bytes[HEADER] = 1;
        bytes[HEADER + 32..HEADER + 40].copy_from_slice(&promised.to_le_bytes());
        bytes
    }

    fn verdict(bytes: &[u8]) -> Result<(), String> {
        check_elf(bytes, bytes.len() as u64).map_err(|rejection| rejection.to_string())
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
