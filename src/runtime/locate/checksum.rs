//! The SHA-256 of each library that `vocode setup` installs, checked before the library is loaded.
//!
//! The sums are those of the files in the official wheels of [`WHEEL_VERSION`] for Python 3.12. A new version needs new
//! sums: `pip download --no-deps --python-version 3.12 --platform ...`, unpack, `sha256sum`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::places::is_library;
use super::rejection::Rejection;
use super::wheel::{Flavour, WHEEL_VERSION};

/// A library of one wheel.
struct Known {
    os: &'static str,
    arch: &'static str,
    flavour: Flavour,
    file: &'static str,
    sha256: &'static str,
}

const fn known(
    (os, arch): (&'static str, &'static str),
    flavour: Flavour,
    file: &'static str,
    sha256: &'static str,
) -> Known {
    Known {
        os,
        arch,
        flavour,
        file,
        sha256,
    }
}

const LINUX_X86: (&str, &str) = ("linux", "x86_64");
const LINUX_ARM: (&str, &str) = ("linux", "aarch64");
const MACOS_ARM: (&str, &str) = ("macos", "aarch64");
const WINDOWS_X86: (&str, &str) = ("windows", "x86_64");
const WINDOWS_ARM: (&str, &str) = ("windows", "aarch64");

#[rustfmt::skip]
const LIBRARIES: [Known; 17] = [
    known(LINUX_X86, Flavour::Cpu, "libonnxruntime.so.1.31.1", "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3"),
    known(LINUX_X86, Flavour::Cpu, "libonnxruntime_providers_shared.so", "086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d"),
    known(LINUX_ARM, Flavour::Cpu, "libonnxruntime.so.1.31.1", "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467"),
    known(LINUX_ARM, Flavour::Cpu, "libonnxruntime_providers_shared.so", "3b6be288fbfb7dff8770d08a23defdde18e8f7e0f5a2b344a0e5e238c999ea88"),
    known(MACOS_ARM, Flavour::Cpu, "libonnxruntime.1.31.1.dylib", "d586cbe89effc085a09d3341b3cfbd5c322517f9d397aeb20814af21433f2b36"),
    known(WINDOWS_X86, Flavour::Cpu, "onnxruntime.dll", "e45f61e50d8650885452be538a00bb14a715e46a1bc3691000ce947e89ed0306"),
    known(WINDOWS_X86, Flavour::Cpu, "onnxruntime_providers_shared.dll", "02b3edadc03a2bddd90bcbd090733a2c458f4aff8be2cebb6070428e81c6d41e"),
    known(WINDOWS_ARM, Flavour::Cpu, "onnxruntime.dll", "dc9e2fe646a72829386a24ac9185a7a4e26d7dbe5dc433d41df063603c00bbc7"),
    known(WINDOWS_ARM, Flavour::Cpu, "onnxruntime_providers_shared.dll", "f4cd6a38ff46ffcb4534fe27f3e49001a6459f1c2756f3445f9113b3bdc735c4"),
    known(LINUX_X86, Flavour::Gpu, "libonnxruntime.so.1.31.1", "5104254339ecadae808da771bd0b63b240f0dbd466514234905e54372435c303"),
    known(LINUX_X86, Flavour::Gpu, "libonnxruntime_providers_shared.so", "086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d"),
    known(LINUX_X86, Flavour::Gpu, "libonnxruntime_providers_cuda.so", "8387867e857499e045caff5d13ac6a5de29571c801562fa2dde0e45f1f31de52"),
    known(LINUX_X86, Flavour::Gpu, "libonnxruntime_providers_tensorrt.so", "1882ee49fdb0e6fc2d272b00cfaf9a3310bf8580a34385c0eec4d82014ea172e"),
    known(WINDOWS_X86, Flavour::Gpu, "onnxruntime.dll", "7ce20366f6d5981081bb8bbc0aff757e055e6d0d09c2237cbb2143740cc8658f"),
    known(WINDOWS_X86, Flavour::Gpu, "onnxruntime_providers_shared.dll", "cb48721ca5b33cc827956f07f9900aa886052a839b2b18a1c11f036a2ebc5c5c"),
    known(WINDOWS_X86, Flavour::Gpu, "onnxruntime_providers_cuda.dll", "ebb99d5c0b451ff0b67032df80b4e9f442488d9bab1b5eeab68fc1613c1fab96"),
    known(WINDOWS_X86, Flavour::Gpu, "onnxruntime_providers_tensorrt.dll", "83b7fd4e60a6db4d6cd41ae296cfc9ed4b8846cd2ac9c45bfda2ef24c1eb0d5b"),
];

/// Checks one library of an installation: the file in the wheel of this platform, byte for byte.
///
/// # Errors
/// [`Rejection::Altered`], also for a file that the wheel does not have; [`Rejection::Unreadable`].
pub(super) fn check(path: &Path, flavour: Flavour) -> Result<(), Rejection> {
    let name = path.file_name().and_then(|name| name.to_str());
    let known = LIBRARIES.iter().find(|known| {
        (known.os, known.arch, known.flavour)
            == (std::env::consts::OS, std::env::consts::ARCH, flavour)
            && Some(known.file) == name
    });
    let expected = known.map(|known| known.sha256);
    let found = sum(path).map_err(|error| Rejection::Unreadable {
        reason: error.to_string(),
    })?;
    if Some(found.as_str()) == expected {
        return Ok(());
    }
    Err(Rejection::Altered {
        version: WHEEL_VERSION,
        found,
        expected: expected.unwrap_or("unknown").to_owned(),
    })
}

/// Checks every library in `folder`, those of the providers too.
///
/// # Errors
/// As [`check`], for the first that fails.
pub(in crate::runtime) fn check_all(folder: &Path, flavour: Flavour) -> Result<(), Rejection> {
    let unreadable = |error: io::Error| Rejection::Unreadable {
        reason: error.to_string(),
    };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if is_library(&entry.file_name().to_string_lossy()) {
            check(&entry.path(), flavour)?;
        }
    }
    Ok(())
}

fn sum(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hasher, mut block) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut block)? {
            0 => break,
            count => hasher.update(&block[..count]),
        }
    }
    let digest = hasher.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sum_is_one_of_the_version_that_is_installed() {
        for known in &LIBRARIES {
            assert_eq!(known.sha256.len(), 64, "{}", known.file);
            assert!(known.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let main = known.os != "windows" && !known.file.contains("providers");
            assert!(
                !main || known.file.contains(WHEEL_VERSION),
                "{}",
                known.file
            );
        }
    }

    #[test]
    fn a_file_of_another_content_or_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["libonnxruntime.so.1.31.1", "libonnxruntime_extra.so"] {
            let path = folder.path().join(name);
            std::fs::write(&path, "another").unwrap();
            let Err(Rejection::Altered { found, .. }) = check(&path, Flavour::Cpu) else {
                panic!("{name} passed")
            };
            assert_eq!(
                found,
                "ae448ac86c4e8e4dec645729708ef41873ae79c6dff84eff73360989487f08e5"
            );
        }
    }
}
