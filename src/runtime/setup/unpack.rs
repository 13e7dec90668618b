//! Wheels that are there already, unpacked without Python.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use zip::ZipArchive;

use super::error::SetupError;

/// Most bytes that wheels may unpack to; all of those for a GPU take 4 GB.
const MAX_BYTES: u64 = 16 << 30;

/// What is unpacked of a wheel: the folders that an installation keeps something of.
const FOLDERS: [&str; 2] = ["onnxruntime", "nvidia"];

/// Unpacks the wheels `files` below `work`, as pip would, and returns the folder they lie in.
///
/// # Errors
/// [`SetupError::Wheel`] for what is no wheel, [`SetupError::Io`].
pub(super) fn unpack(
    files: &[PathBuf],
    work: &Path,
    go_on: &mut dyn FnMut() -> Result<(), SetupError>,
) -> Result<PathBuf, SetupError> {
    let target = work.join("package");
    fs::create_dir(&target).map_err(SetupError::io("create", &target))?;
    let mut room = MAX_BYTES;
    for file in files {
        unpack_one(file, &target, &mut room, go_on)?;
    }
    Ok(target)
}

fn unpack_one(
    file: &Path,
    target: &Path,
    room: &mut u64,
    go_on: &mut dyn FnMut() -> Result<(), SetupError>,
) -> Result<(), SetupError> {
    let no_wheel = |reason: String| SetupError::Wheel {
        path: file.to_owned(),
        reason,
    };
    let opened = File::open(file).map_err(|error| no_wheel(error.to_string()))?;
    let mut archive =
        ZipArchive::new(BufReader::new(opened)).map_err(|error| no_wheel(error.to_string()))?;
    for index in 0..archive.len() {
        go_on()?;
        let entry = archive.by_index(index);
        let mut entry = entry.map_err(|error| no_wheel(error.to_string()))?;
        // `None` for a path that leads out of the folder.
        let Some(place) = entry.enclosed_name().filter(|place| is_wanted(place)) else {
            continue;
        };
        if entry.is_dir() {
            continue;
        }
        let path = target.join(place);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(SetupError::io("create", folder))?;
        }
        let written = write(&mut entry, &path, *room).map_err(|error| match error {
            Broken::Wheel(reason) => no_wheel(reason),
            Broken::Disk(source) => SetupError::io("write", &path)(source),
        })?;
        *room -= written;
    }
    Ok(())
}

fn is_wanted(place: &Path) -> bool {
    match place.components().next() {
        Some(Component::Normal(first)) => FOLDERS.iter().any(|folder| first == *folder),
        _ => false,
    }
}

enum Broken {
    Wheel(String),
    Disk(io::Error),
}

/// Writes an entry of at most `room` bytes. What cannot be read is the wheel's fault, what cannot be written the disk's.
fn write(entry: &mut impl Read, path: &Path, room: u64) -> Result<u64, Broken> {
    let mut file = File::create(path).map_err(Broken::Disk)?;
    let (mut block, mut written) = (vec![0; 1 << 20], 0);
    loop {
        let count = entry
            .read(&mut block)
            .map_err(|error| Broken::Wheel(error.to_string()))?;
        if count == 0 {
            return Ok(written);
        }
        written += count as u64;
        if written > room {
            return Err(Broken::Wheel(format!(
                "it unpacks to more than {MAX_BYTES} bytes"
            )));
        }
        io::Write::write_all(&mut file, &block[..count]).map_err(Broken::Disk)?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use zip::write::{SimpleFileOptions, ZipWriter};

    fn wheel(path: &Path, entries: &[(&str, &str)]) {
        let mut writer = ZipWriter::new(File::create(path).unwrap());
        for (name, text) in entries {
            let options = SimpleFileOptions::default();
            writer.start_file(*name, options).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
    }

    fn unpacked(path: &Path, work: &Path) -> Result<PathBuf, SetupError> {
        unpack(&[path.to_owned()], work, &mut || Ok(()))
    }

    #[test]
    fn the_packages_are_unpacked_and_nothing_outside_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (path, work) = (folder.path().join("a.whl"), folder.path().join("work"));
        fs::create_dir(&work).unwrap();
        let entries = [
            ("onnxruntime/capi/libonnxruntime.so.1", "library"),
            ("onnxruntime/../../outside", "bad"),
            ("../outside", "bad"),
            ("/outside", "bad"),
            ("numpy/a.py", "not wanted"),
            ("nvidia/cublas/lib/libcublas.so", "cuda"),
        ];
        wheel(&path, &entries);
        let package = unpacked(&path, &work).unwrap();
        let read = |name: &str| fs::read_to_string(package.join(name)).ok();
        assert_eq!(
            read("onnxruntime/capi/libonnxruntime.so.1").as_deref(),
            Some("library")
        );
        assert_eq!(
            read("nvidia/cublas/lib/libcublas.so").as_deref(),
            Some("cuda")
        );
        assert!(!package.join("numpy").exists());
        let outside: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(outside.len(), 2, "{outside:?}");
        assert_eq!(fs::read_dir(&work).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_wheel_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.whl");
        for (content, words) in [(None, "No such file"), (Some("text"), "a.whl")] {
            if let Some(content) = content {
                fs::write(&path, content).unwrap();
            }
            let work = tempfile::tempdir().unwrap();
            let error = unpacked(&path, work.path()).unwrap_err();
            assert!(matches!(error, SetupError::Wheel { .. }), "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
