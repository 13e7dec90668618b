//! Where results go: a file that appears whole or not at all, or a stream.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use super::error::CliError;
use super::flags::with_flags;
use super::interrupt;
use crate::text::{on_terminal, visible};

/// The destination of one result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Stdout,
    File(PathBuf),
}

impl Target {
    /// `-` is standard output.
    pub(super) fn parse(path: &Path) -> Self {
        if path.as_os_str() == "-" {
            Self::Stdout
        } else {
            Self::File(path.to_owned())
        }
    }

    pub(super) fn label(&self) -> String {
        match self {
            Self::Stdout => "standard output".into(),
            Self::File(path) => shown(path),
        }
    }

    /// Finds out before any work whether [`Target::write`] can succeed: nothing is overwritten unasked, the folder is there
    /// and takes files, binary data does not go to a terminal.
    pub(super) fn check(&self, force: bool) -> Result<(), CliError> {
        let path = match self {
            Self::Stdout if io::stdout().is_terminal() => {
                return Err(CliError::usage(
                    "-o - would print binary data on the terminal: send it on with a pipe, or give a file name",
                ));
            }
            Self::Stdout => return Ok(()),
            Self::File(path) => path,
        };
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => Err(CliError::usage(format!(
                "-o {} is a folder: give a file name",
                path.display()
            ))),
            Ok(_) if is_special(path) => Ok(()),
            Ok(_) if !force => Err(CliError::Exists(path.clone())),
            Ok(_) => temporary(path).map(drop),
            Err(e) if e.kind() == io::ErrorKind::NotFound => match folder_of(path) {
                folder if folder.exists() => temporary(path).map(drop),
                folder => Err(CliError::NoFolder {
                    path: shown(path),
                    folder: shown(&folder),
                }),
            },
            Err(e) => Err(CliError::write(self.label(), e)),
        }
    }

    /// Writes the whole result. A file gets its name only once it is complete; a reader that closes standard output early is
    /// no error.
    pub(super) fn write(&self, bytes: &[u8], force: bool) -> Result<(), CliError> {
        let path = match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                return quiet_pipe(out.write_all(bytes).and_then(|()| out.flush()))
                    .map_err(|e| CliError::write(self.label(), e));
            }
            Self::File(path) => path,
        };
        if is_special(path) {
            let written = File::options()
                .write(true)
                .open(path)
                .and_then(|mut file| file.write_all(bytes));
            return quiet_pipe(written).map_err(|e| CliError::write(self.label(), e));
        }
        let mut temp = temporary(path)?;
        let _cleared = interrupt::removes(temp.path());
        temp.write_all(bytes)
            .and_then(|()| temp.as_file().sync_all())
            .map_err(|e| CliError::write(self.label(), e))?;
        publish(temp.into_temp_path(), path, force)
    }

    /// Like [`Target::write`], for writers that insist on a path of their own: `make` fills the temporary file.
    pub(super) fn write_with(
        path: &Path,
        force: bool,
        make: impl FnOnce(&Path) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let temp = temporary(path)?.into_temp_path();
        let _cleared = interrupt::removes(&temp);
        make(&temp)?;
        publish(temp, path, force)
    }
}

/// A device or a pipe: written to as it is, since replacing it would be wrong.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

/// An empty file in the folder of `path`, with the extension of `path`, that disappears unless it is published.
fn temporary(path: &Path) -> Result<NamedTempFile, CliError> {
    let suffix = path
        .extension()
        .map(|e| format!(".{}", e.to_string_lossy()))
        .unwrap_or_default();
    let mut builder = tempfile::Builder::new();
    builder.prefix(".vocode-").suffix(&suffix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The umask applies, as it does to any other new file.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder
        .tempfile_in(folder_of(path))
        .map_err(|e| CliError::write(path.display().to_string(), plain(&e)))
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// tempfile puts its own random path into the message, which says nothing to the user.
fn plain(error: &io::Error) -> io::Error {
    match error
        .get_ref()
        .and_then(|e| e.source())
        .and_then(|e| e.downcast_ref::<io::Error>())
        .and_then(io::Error::raw_os_error)
    {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::from(error.kind()),
    }
}

fn publish(temp: TempPath, path: &Path, force: bool) -> Result<(), CliError> {
    let result = if force {
        // The file that a link points to is replaced, not the link, and keeps who may read and write it.
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Ok(meta) = fs::metadata(&place) {
            fs::set_permissions(&temp, meta.permissions())
                .map_err(|e| CliError::write(path.display().to_string(), e))?;
        }
        temp.persist(place)
    } else {
        temp.persist_noclobber(path)
    };
    result.map_err(|e| match e.error.kind() {
        io::ErrorKind::AlreadyExists => CliError::Exists(path.to_owned()),
        _ => CliError::write(path.display().to_string(), e.error),
    })
}

/// A closed pipe means that the reader has all it wants.
fn quiet_pipe(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// A path for people: what a terminal would act on is escaped, so that a name cannot pass for a line of ours.
pub(super) fn shown(path: &Path) -> String {
    visible(&path.to_string_lossy()).into_owned()
}

/// Prints text on standard output.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    let text = on_terminal(text);
    quiet_pipe(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
        .map_err(|e| CliError::write("standard output", e))
}

/// Lines of `name  value`, the names in one column.
pub(super) fn table(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| {
        let value = value.replace('\n', &format!("\n{:width$}  ", ""));
        format!("{name:width$}  {value}\n")
    };
    rows.iter().map(line).collect()
}

/// A table whose columns are as wide as their widest cell; the last one is left as it is.
pub(super) fn columns<const N: usize>(
    head: [&str; N],
    lines: impl Iterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned))
        .chain(lines)
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let line = |row: &[String; N]| {
        let cell = |(i, text): (usize, &String)| format!("{text:w$}", w = width(i));
        let cells: Vec<_> = row.iter().enumerate().map(cell).collect();
        format!("{}\n", cells.join("   ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Prints one line on standard error; there is nowhere left to report a failure to.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", on_terminal(&with_flags(line)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_never_replaced_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::File(folder.path().join("a.wav"));
        target.check(false).unwrap();
        target.write(b"one", false).unwrap();
        assert!(matches!(target.check(false), Err(CliError::Exists(_))));
        assert!(matches!(
            target.write(b"two", false),
            Err(CliError::Exists(_))
        ));
        assert_eq!(fs::read(folder.path().join("a.wav")).unwrap(), b"one");
        target.check(true).unwrap();
        target.write(b"two", true).unwrap();
        assert_eq!(fs::read(folder.path().join("a.wav")).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["a.wav"]);
    }

    #[test]
    fn checking_and_failing_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        Target::File(path.clone()).check(false).unwrap();
        let result = Target::write_with(&path, false, |temp| {
            assert_eq!(temp.extension().unwrap(), "png");
            Err(CliError::Interrupted)
        });
        assert!(matches!(result, Err(CliError::Interrupted)));
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_missing_folder_is_found_out_before_the_work() {
        let error = Target::File("/no/such/folder/a.wav".into())
            .check(false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("/no/such/folder/a.wav"), "{error}");
        assert!(error.contains("make the folder"), "{error}");
        assert!(!error.contains(".vocode-"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_keeps_pointing_to_the_file_that_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        Target::File(link.clone()).write(b"new", true).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_replaced_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for mode in [0o600, 0o664] {
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Target::File(path.clone()).write(b"new", true).unwrap();
            let found = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode);
            assert_eq!(fs::read(&path).unwrap(), b"new");
        }
    }

    #[test]
    fn a_name_cannot_pass_for_a_line() {
        let target = Target::File("a\nerror: \u{1b}[2J.wav".into());
        assert_eq!(target.label(), r"a\nerror: \u{1b}[2J.wav");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_with_a_way_out() {
        let target = Target::File("/dev/full".into());
        target.check(false).unwrap();
        let error = target.write(&[0; 4096], false).unwrap_err().to_string();
        assert!(
            error.contains("No space left") && error.contains("make room"),
            "{error}"
        );
    }
}
