//! From the inputs and `-o` of a command line to what is read and where each result goes.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::CliError;
use super::output::{Target, say, shown};

/// Where one input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stdin,
    File(PathBuf),
}

impl Source {
    pub(super) fn parse(path: &Path) -> Self {
        if path.as_os_str() == "-" {
            Self::Stdin
        } else {
            Self::File(path.to_owned())
        }
    }

    pub(super) fn label(&self) -> String {
        match self {
            Self::Stdin => "standard input".into(),
            Self::File(path) => shown(path),
        }
    }

    /// Opens it for reading. A folder is refused here, where the message can name it.
    pub(super) fn open(&self) -> Result<Box<dyn Read>, CliError> {
        let Self::File(path) = self else {
            return Ok(Box::new(io::stdin().lock()));
        };
        let file = fs::File::open(path).map_err(|e| CliError::read(self.label(), e))?;
        if file.metadata().is_ok_and(|meta| meta.is_dir()) {
            return Err(CliError::read(
                self.label(),
                io::ErrorKind::IsADirectory.into(),
            ));
        }
        Ok(Box::new(io::BufReader::new(file)))
    }

    /// Reads all of it, up to `limit` bytes.
    pub(super) fn read_all(&self, limit: u64) -> Result<Vec<u8>, CliError> {
        let mut bytes = Vec::new();
        self.open()?
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| CliError::read(self.label(), e))?;
        if bytes.len() as u64 > limit {
            let reason = format!("it is larger than the limit of {} MiB", limit >> 20);
            return Err(CliError::read(self.label(), io::Error::other(reason)));
        }
        Ok(bytes)
    }

    fn stem(&self) -> String {
        match self {
            Self::Stdin => "stdin".into(),
            Self::File(path) => path
                .file_stem()
                .map(|s| s.to_string_lossy().into_owned())
                .unwrap_or_default(),
        }
    }
}

/// One input and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) source: Source,
    pub(super) target: Target,
}

/// What a command reads and writes, by extension (without dots).
pub(super) struct Kinds {
    /// Extensions looked for in a folder that is given as input.
    pub(super) inputs: &'static [&'static str],
    /// Extension of the results.
    pub(super) output: &'static str,
}

/// Pairs every input with its output. Several inputs, or a folder, need a folder as `output`, which is made.
///
/// # Errors
/// [`CliError::Usage`] when the pairs would collide or `output` has the wrong kind, [`CliError::Read`] and
/// [`CliError::Write`] for folders that cannot be read or made.
pub(super) fn plan(inputs: &[PathBuf], output: &Path, kinds: &Kinds) -> Result<Vec<Job>, CliError> {
    let (sources, several) = expand(inputs, kinds.inputs)?;
    let into_folder = several || output.is_dir() || ends_with_separator(output);
    let jobs = if into_folder {
        into_folder_jobs(sources, output, kinds)?
    } else {
        refuse_other_extensions(output, kinds)?;
        let target = Target::parse(output);
        sources
            .into_iter()
            .map(|source| Job {
                source,
                target: target.clone(),
            })
            .collect()
    };
    jobs.iter().try_for_each(refuse_own_input)?;
    Ok(jobs)
}

/// The inputs with folders replaced by their files of certain extensions, and whether a folder is needed for the results.
pub(super) fn expand(
    inputs: &[PathBuf],
    extensions: &[&str],
) -> Result<(Vec<Source>, bool), CliError> {
    let mut sources = Vec::new();
    let mut several = inputs.len() > 1;
    for input in inputs {
        if input.is_dir() {
            several = true;
            sources.extend(list(input, extensions)?.into_iter().map(Source::File));
        } else {
            sources.push(Source::parse(input));
        }
    }
    if sources.iter().filter(|s| **s == Source::Stdin).count() > 1 {
        return Err(CliError::usage("standard input (-) can be read only once"));
    }
    Ok((sources, several))
}

fn list(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, CliError> {
    let failed = |e| CliError::read(folder.display().to_string(), e);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let wanted = path.extension().is_some_and(|found| {
            let found = found.to_string_lossy().to_lowercase();
            extensions.contains(&found.as_str())
        });
        if wanted && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        let reason = format!("the folder holds no .{} file", extensions.join(" or ."));
        return Err(failed(io::Error::other(reason)));
    }
    files.sort();
    Ok(files)
}

fn into_folder_jobs(
    sources: Vec<Source>,
    folder: &Path,
    kinds: &Kinds,
) -> Result<Vec<Job>, CliError> {
    if folder.as_os_str() == "-" {
        return Err(CliError::usage(
            "several results cannot go to standard output: give a folder with -o",
        ));
    }
    let mut seen: HashMap<String, String> = HashMap::new();
    for source in &sources {
        if let Some(first) = seen.insert(source.stem(), source.label()) {
            return Err(CliError::usage(format!(
                "{first} and {} would both become {}.{}: give them other names, or run them one by one",
                source.label(),
                source.stem(),
                kinds.output
            )));
        }
    }
    if folder.exists() && !folder.is_dir() {
        return Err(CliError::usage(format!(
            "-o {} is a file, but several inputs need a folder",
            folder.display()
        )));
    }
    fs::create_dir_all(folder).map_err(|e| CliError::write(folder.display().to_string(), e))?;
    let target =
        |source: &Source| Target::File(folder.join(format!("{}.{}", source.stem(), kinds.output)));
    Ok(sources
        .into_iter()
        .map(|source| Job {
            target: target(&source),
            source,
        })
        .collect())
}

/// A file that says `.mp3` and holds WAV misleads whoever opens it next.
fn refuse_other_extensions(output: &Path, kinds: &Kinds) -> Result<(), CliError> {
    const KNOWN: [&str; 11] = [
        "wav", "npy", "mp3", "flac", "ogg", "opus", "m4a", "aac", "aiff", "npz", "png",
    ];
    let Some(found) = output
        .extension()
        .map(|e| e.to_string_lossy().to_lowercase())
    else {
        return Ok(());
    };
    if found != kinds.output && KNOWN.contains(&found.as_str()) {
        return Err(CliError::usage(format!(
            "-o {} ends in .{found}, but the result is .{}: give a name that says so",
            output.display(),
            kinds.output
        )));
    }
    Ok(())
}

fn refuse_own_input(job: &Job) -> Result<(), CliError> {
    if let (Source::File(from), Target::File(to)) = (&job.source, &job.target)
        && let (Ok(from), Ok(to)) = (from.canonicalize(), to.canonicalize())
        && from == to
    {
        return Err(CliError::usage(format!(
            "-o {} is the input itself: give another name",
            job.target.label()
        )));
    }
    Ok(())
}

fn ends_with_separator(path: &Path) -> bool {
    path.to_string_lossy().ends_with(std::path::is_separator)
}

/// Runs `work` on each job. With several, one that fails is reported and does not stop the others.
pub(super) fn each(
    jobs: &[Job],
    mut work: impl FnMut(&Job) -> Result<(), CliError>,
) -> Result<(), CliError> {
    if let [job] = jobs {
        return work(job);
    }
    let mut failed = Vec::new();
    for job in jobs {
        match work(job) {
            Ok(()) => {}
            Err(CliError::Interrupted) => return Err(CliError::Interrupted),
            Err(error) => {
                say(&format!("error: {error}"));
                failed.push(job.source.label());
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let total = jobs.len();
    Err(CliError::Several { failed, total })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAV: Kinds = Kinds {
        inputs: &["npy"],
        output: "wav",
    };

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    fn message(result: Result<Vec<Job>, CliError>) -> String {
        match result.unwrap_err() {
            CliError::Usage(message) => message,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn one_input_goes_to_the_named_file_or_stream() {
        let jobs = plan(&paths(&["a.npy"]), Path::new("b.wav"), &WAV).unwrap();
        assert_eq!(jobs[0].target, Target::File("b.wav".into()));
        let jobs = plan(&paths(&["-"]), Path::new("-"), &WAV).unwrap();
        assert_eq!(
            (&jobs[0].source, &jobs[0].target),
            (&Source::Stdin, &Target::Stdout)
        );
    }

    #[test]
    fn several_inputs_go_to_a_folder_that_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("new/deep");
        let jobs = plan(&paths(&["x/a.npy", "y/b.c.npy"]), &out, &WAV).unwrap();
        assert!(out.is_dir());
        let targets: Vec<_> = jobs.into_iter().map(|job| job.target).collect();
        assert_eq!(
            targets,
            [
                Target::File(out.join("a.wav")),
                Target::File(out.join("b.c.wav"))
            ]
        );
    }

    #[test]
    fn a_folder_means_its_files_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.npy", "a.NPY", "c.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let out = folder.path().join("out");
        let jobs = plan(&[folder.path().to_owned()], &out, &WAV).unwrap();
        let targets: Vec<_> = jobs.into_iter().map(|job| job.target).collect();
        assert_eq!(
            targets,
            [
                Target::File(out.join("a.wav")),
                Target::File(out.join("b.wav"))
            ]
        );
    }

    #[test]
    fn inputs_that_would_collide_are_named_before_anything_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let text = message(plan(&paths(&["x/a.npy", "y/a.npy"]), &out, &WAV));
        assert!(text.contains("x/a.npy") && text.contains("y/a.npy") && text.contains("a.wav"));
        assert!(!out.exists());
    }

    #[test]
    fn an_output_of_another_kind_is_refused() {
        assert!(message(plan(&paths(&["a.npy"]), Path::new("a.mp3"), &WAV)).contains(".mp3"));
        assert!(
            message(plan(&paths(&["a.npy", "b.npy"]), Path::new("-"), &WAV)).contains("folder")
        );
        assert!(message(plan(&paths(&["-", "-"]), Path::new("out"), &WAV)).contains("once"));
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(message(plan(&paths(&["a.npy", "b.npy"]), file.path(), &WAV)).contains("folder"));
        assert!(message(plan(&[file.path().into()], file.path(), &WAV)).contains("input itself"));
    }
}
