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
}

/// One input and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) source: Source,
    pub(super) target: Target,
    pub(super) own: Own,
}

/// What one job asks for instead of the flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) seed: Option<u64>,
    pub(super) steps: Option<usize>,
}

/// What a command reads and writes, by extension (without dots).
#[derive(Clone, Copy)]
pub(super) struct Kinds {
    /// Extensions looked for in a folder that is given as input.
    pub(super) inputs: &'static [&'static str],
    /// Extension of the results.
    pub(super) output: &'static str,
    /// Extensions that a result may have where its name is given.
    pub(super) others: &'static [&'static str],
}

/// An input, and its place below the folder that it was found in.
struct Found {
    source: Source,
    place: PathBuf,
}

impl Found {
    fn named(path: &Path) -> Found {
        let place = match path.file_name() {
            Some(name) if path.as_os_str() != "-" => name.into(),
            _ => "stdin".into(),
        };
        Found {
            source: Source::parse(path),
            place,
        }
    }
}

/// Pairs every input with its output. Several inputs, or a folder, need a folder as `output`, which is made; without `output` each result
/// lies beside its input.
///
/// # Errors
/// [`CliError::Usage`] when the pairs would collide or `output` has the wrong kind, [`CliError::Read`] and
/// [`CliError::Write`] for folders that cannot be read or made.
pub(super) fn plan(
    inputs: &[PathBuf],
    output: Option<&Path>,
    kinds: &Kinds,
    recursive: bool,
) -> Result<Vec<Job>, CliError> {
    let (found, several) = find(inputs, kinds.inputs, recursive)?;
    let jobs = match output {
        None => beside(found, kinds)?,
        Some(output) if several || output.is_dir() || ends_with_separator(output) => {
            into_folder(found, output, kinds)?
        }
        Some(output) => {
            refuse_other_extensions(output, kinds)?;
            let target = Target::parse(output);
            found
                .into_iter()
                .map(|one| job(one.source, target.clone()))
                .collect()
        }
    };
    jobs.iter().try_for_each(refuse_own_input)?;
    Ok(jobs)
}

fn job(source: Source, target: Target) -> Job {
    Job {
        source,
        target,
        own: Own::default(),
    }
}

/// The inputs with folders replaced by their files of certain extensions.
pub(super) fn expand(inputs: &[PathBuf], extensions: &[&str]) -> Result<Vec<Source>, CliError> {
    let (found, _) = find(inputs, extensions, false)?;
    Ok(found.into_iter().map(|one| one.source).collect())
}

/// The files that the inputs stand for, and whether a folder is needed for the results.
fn find(
    inputs: &[PathBuf],
    extensions: &[&str],
    recursive: bool,
) -> Result<(Vec<Found>, bool), CliError> {
    let mut found = Vec::new();
    let mut several = inputs.len() > 1;
    for input in inputs {
        if !input.is_dir() {
            found.push(Found::named(input));
            continue;
        }
        several = true;
        let before = found.len();
        list(input, input, extensions, recursive, &mut found)?;
        if found.len() == before {
            let hint = match recursive {
                true => "",
                false => "; --recursive looks in the folders within it too",
            };
            let reason = format!(
                "the folder holds no .{} file{hint}",
                extensions.join(" or .")
            );
            return Err(CliError::read(shown(input), io::Error::other(reason)));
        }
    }
    let streams = found.iter().filter(|one| one.source == Source::Stdin);
    if streams.count() > 1 {
        return Err(CliError::usage("standard input (-) can be read only once"));
    }
    Ok((found, several))
}

/// Adds the files of `folder` in order of their names, those of deeper folders behind it. Links to folders are not followed: they can go in circles.
fn list(
    root: &Path,
    folder: &Path,
    extensions: &[&str],
    recursive: bool,
    found: &mut Vec<Found>,
) -> Result<(), CliError> {
    let failed = |e| CliError::read(folder.display().to_string(), e);
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let wanted = path.extension().is_some_and(|found| {
            let found = found.to_string_lossy().to_lowercase();
            extensions.contains(&found.as_str())
        });
        if wanted && path.is_file() {
            files.push(path);
        } else if recursive && entry.file_type().map_err(failed)?.is_dir() {
            folders.push(path);
        }
    }
    files.sort();
    folders.sort();
    found.extend(files.into_iter().map(|path| Found {
        place: path.strip_prefix(root).unwrap_or(&path).to_owned(),
        source: Source::File(path),
    }));
    folders
        .iter()
        .try_for_each(|deeper| list(root, deeper, extensions, recursive, found))
}

/// Each result beside its input.
fn beside(found: Vec<Found>, kinds: &Kinds) -> Result<Vec<Job>, CliError> {
    let target = |source: &Source| match source {
        Source::File(path) => Ok(path.with_extension(kinds.output)),
        Source::Stdin => Err(CliError::usage(
            "what comes from standard input has no name: say with -o where the result goes (-o - is standard output)",
        )),
    };
    let targets = found.iter().map(|one| target(&one.source));
    let targets = targets.collect::<Result<Vec<PathBuf>, CliError>>()?;
    refuse_collisions(&found, &targets)?;
    let pairs = found.into_iter().zip(targets);
    Ok(pairs
        .map(|(one, target)| job(one.source, Target::File(target)))
        .collect())
}

/// Each result in `folder`, which is made, under the name of its input.
fn into_folder(found: Vec<Found>, folder: &Path, kinds: &Kinds) -> Result<Vec<Job>, CliError> {
    if folder.as_os_str() == "-" {
        return Err(CliError::usage(
            "several results cannot go to standard output: give a folder with -o",
        ));
    }
    let targets = found
        .iter()
        .map(|one| folder.join(one.place.with_extension(kinds.output)));
    let targets: Vec<PathBuf> = targets.collect();
    refuse_collisions(&found, &targets)?;
    let file_name = kinds.may_be(folder) && !ends_with_separator(folder);
    if !folder.is_dir() && (folder.exists() || file_name) {
        return Err(CliError::usage(format!(
            "-o {} is a file{}, but several inputs need a folder: give one, as in -o out/",
            folder.display(),
            if folder.exists() { "" } else { "'s name" }
        )));
    }
    let mut made: Option<PathBuf> = None;
    for target in &targets {
        let parent = target.parent().unwrap_or(folder);
        if made.as_deref() != Some(parent) {
            fs::create_dir_all(parent)
                .map_err(|e| CliError::write(parent.display().to_string(), e))?;
            made = Some(parent.to_owned());
        }
    }
    let pairs = found.into_iter().zip(targets);
    Ok(pairs
        .map(|(one, target)| job(one.source, Target::File(target)))
        .collect())
}

fn refuse_collisions(found: &[Found], targets: &[PathBuf]) -> Result<(), CliError> {
    let mut seen: HashMap<&Path, String> = HashMap::new();
    for (one, target) in found.iter().zip(targets) {
        if let Some(first) = seen.insert(target, one.source.label()) {
            return Err(CliError::usage(format!(
                "{first} and {} would both become {}: give them other names, or run them one by one",
                one.source.label(),
                shown(target)
            )));
        }
    }
    Ok(())
}

impl Kinds {
    /// Whether this is the name of a result.
    fn may_be(&self, path: &Path) -> bool {
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        ending.is_some_and(|found| found == self.output || self.others.contains(&found.as_str()))
    }
}

/// A file that says `.mp3` and holds WAV misleads whoever opens it next.
pub(super) fn refuse_other_extensions(output: &Path, kinds: &Kinds) -> Result<(), CliError> {
    const KNOWN: [&str; 11] = [
        "wav", "npy", "mp3", "flac", "ogg", "opus", "m4a", "aac", "aiff", "npz", "png",
    ];
    let Some(found) = output
        .extension()
        .map(|e| e.to_string_lossy().to_lowercase())
    else {
        return Ok(());
    };
    if !kinds.may_be(output) && KNOWN.contains(&found.as_str()) {
        let mut endings = vec![kinds.output];
        endings.extend(kinds.others.iter().filter(|other| **other != kinds.output));
        return Err(CliError::usage(format!(
            "-o {} ends in .{found}, but the result is .{}: give a name that says so",
            output.display(),
            endings.join(", .")
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
#[path = "jobs_tests.rs"]
mod tests;
