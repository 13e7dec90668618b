//! The hash of each library that `vocode setup` installs, checked before the library is loaded.
//!
//! It is BLAKE3, as every start waits for it: 29 MB take less than half of the time of SHA-256. The hashes are those of the files in the official
//! wheels of [`WHEEL_VERSION`] for Python 3.12. A new version needs new ones: `pip download --no-deps --python-version 3.12 --platform ...`, unpack,
//! `b3sum`.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use blake3::Hasher;

use super::places::is_library;
use super::rejection::Rejection;
use super::wheel::{Flavour, WHEEL_VERSION};

/// A library of one wheel.
struct Known {
    os: &'static str,
    arch: &'static str,
    flavour: Flavour,
    file: &'static str,
    blake3: &'static str,
}

const fn known(
    (os, arch): (&'static str, &'static str),
    flavour: Flavour,
    file: &'static str,
    blake3: &'static str,
) -> Known {
    Known {
        os,
        arch,
        flavour,
        file,
        blake3,
    }
}

const LINUX_X86: (&str, &str) = ("linux", "x86_64");
const LINUX_ARM: (&str, &str) = ("linux", "aarch64");
const MACOS_ARM: (&str, &str) = ("macos", "aarch64");
const WINDOWS_X86: (&str, &str) = ("windows", "x86_64");
const WINDOWS_ARM: (&str, &str) = ("windows", "aarch64");

#[rustfmt::skip]
const LIBRARIES: [Known; 17] = [
    known(LINUX_X86, Flavour::Cpu, "libonnxruntime.so.1.31.1", "671a11bb335415ab14d6ef53d62f58fd4037615cca4964bfcc1dd2f8e49965c4"),
    known(LINUX_X86, Flavour::Cpu, "libonnxruntime_providers_shared.so", "e575eac21c52ff35f67d0179df4f76f0a953638a3448b982cf106112501df6b3"),
    known(LINUX_ARM, Flavour::Cpu, "libonnxruntime.so.1.31.1", "49a7fe5475641380cffba53e8058c9670c4b5a82c25fe66ec427433bb822caf1"),
    known(LINUX_ARM, Flavour::Cpu, "libonnxruntime_providers_shared.so", "cb0e963677b9cc40f03d02fa20274e336711024ac47cf4371f7ede033ff7c258"),
    known(MACOS_ARM, Flavour::Cpu, "libonnxruntime.1.31.1.dylib", "a361924426eafc4ce6042a17f50724555341a47b61a369efb595a23bf8adafa4"),
    known(WINDOWS_X86, Flavour::Cpu, "onnxruntime.dll", "96fbbb6468f8b9368d5e6eadc7cfdf45d36a3f051e6f553402915802898a86cd"),
    known(WINDOWS_X86, Flavour::Cpu, "onnxruntime_providers_shared.dll", "2ce448816861d31b2629c74a61c8b1e837dcac07aad1c4d6bc8112a81e4e22e6"),
    known(WINDOWS_ARM, Flavour::Cpu, "onnxruntime.dll", "0f4714e9328d25cd215a467c053bd9fb73dbfeca78682349f2b9c1423ffa0260"),
    known(WINDOWS_ARM, Flavour::Cpu, "onnxruntime_providers_shared.dll", "4bfbba6b0c4893535686519b2f086ea00b7efc8484484f914800e8c985dac9b9"),
    known(LINUX_X86, Flavour::Gpu, "libonnxruntime.so.1.31.1", "b6b4433a5b49a4bc56ac8889b9dc887df947faacf40db82a0ed419e9a5bf94bf"),
    known(LINUX_X86, Flavour::Gpu, "libonnxruntime_providers_shared.so", "e575eac21c52ff35f67d0179df4f76f0a953638a3448b982cf106112501df6b3"),
    known(LINUX_X86, Flavour::Gpu, "libonnxruntime_providers_cuda.so", "8d7912e48631c586bd999ff5e647868df8579fd6b5a7ee13bfc3f142010e6f18"),
    known(LINUX_X86, Flavour::Gpu, "libonnxruntime_providers_tensorrt.so", "9059f341e33a1e419b23dea3fa64cb5807655ed695091ae6377ae398a4537cdb"),
    known(WINDOWS_X86, Flavour::Gpu, "onnxruntime.dll", "32a9e6142df33ff7b032e5eb574a705db0da4e156deebb2def46113a4f2da1bb"),
    known(WINDOWS_X86, Flavour::Gpu, "onnxruntime_providers_shared.dll", "a807ae9498e38ed288b54adf220e28f5762d937e9fec75fa9d14d996b26b6bc8"),
    known(WINDOWS_X86, Flavour::Gpu, "onnxruntime_providers_cuda.dll", "8b8c6bcc24f8a90536cb2a5ec9d4e8c859ec222110df9507be72d4e75797ec76"),
    known(WINDOWS_X86, Flavour::Gpu, "onnxruntime_providers_tensorrt.dll", "fb1c0f6152748a0a8fe624aee4687ddc73dd82784192517cbbe43a9eebf67e65"),
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
    let expected = known.map(|known| known.blake3);
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
    let (mut hasher, mut block) = (Hasher::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            count => hasher.update(&block[..count]),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sum_is_one_of_the_version_that_is_installed() {
        for known in &LIBRARIES {
            assert_eq!(known.blake3.len(), 64, "{}", known.file);
            assert!(known.blake3.bytes().all(|byte| byte.is_ascii_hexdigit()));
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
                "cee450a2406289497e67bcd0cc5503c073a6f15504e5c6993ab085f4d4e09462"
            );
        }
    }
}
