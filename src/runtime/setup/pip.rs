//! Fetching a wheel with the machine's own Python and pip, and telling apart the ways in which that fails.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use thiserror::Error;

/// The names under which Python 3 is looked for on the `PATH`.
pub(super) const PYTHONS: [&str; 2] = ["python3", "python"];

/// The Python whose wheels are fetched, whichever runs pip: the library inside does not need it, and one wheel for each
/// platform is one library, whose hash is known.
pub(super) const WHEEL_PYTHON: &str = "3.12";

/// Keeps Python from running files that lie in the current folder or that `PYTHONPATH` names (`./pip.py` among them).
const ISOLATED: &str = "-I";

/// How often whoever waits is asked whether to go on.
const LOOK: Duration = Duration::from_millis(50);

/// How much of what pip says is kept for a message.
const MESSAGE_LIMIT: usize = 64 * 1024;

/// Is given a line that pip writes, or `None` several times a second while it writes none, and says whether it goes on.
pub(super) type OnLine<'a> = dyn FnMut(Option<&str>) -> ControlFlow<()> + 'a;

/// Why pip did not get the wheel.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PipError {
    /// There is no Python 3.
    #[error(
        "ONNX Runtime is fetched with Python's pip, and there is no Python 3 on the PATH (tried {tried}); \
         install it (on Debian and Ubuntu: apt install python3-pip), or point `ort_lib` at a libonnxruntime.so"
    )]
    NoPython {
        /// The names tried.
        tried: String,
    },
    /// Python has neither pip nor a way to make an environment with pip.
    #[error(
        "`{python}` has no pip and cannot make an environment that has one ({reason}); \
         install pip (on Debian and Ubuntu: apt install python3-pip), or point `ort_lib` at a libonnxruntime.so"
    )]
    NoPip {
        /// The Python.
        python: String,
        /// What it said.
        reason: String,
    },
    /// The package index cannot be reached.
    #[error(
        "pip cannot reach the package index ({reason}); check the network (pip's own settings for mirrors and proxies apply), \
         or point `ort_lib` at a libonnxruntime.so that you have"
    )]
    Network {
        /// What pip said.
        reason: String,
    },
    /// There is no wheel for this machine.
    #[error(
        "pip finds no {requirement} for this machine ({reason}); install ONNX Runtime by other means \
         and point `ort_lib` at its libonnxruntime.so"
    )]
    NoWheel {
        /// What was asked for.
        requirement: String,
        /// What pip said.
        reason: String,
    },
    /// The disk is full.
    #[error(
        "no space left on the device while fetching {requirement}; make room, or set VOCODE_DATA_DIR to a folder on another disk"
    )]
    NoSpace {
        /// What was asked for.
        requirement: String,
    },
    /// Whoever is told of the lines said that it does not go on.
    #[error("cancelled")]
    Cancelled,
    /// Anything else.
    #[error("`{command}` failed ({status}): {reason}")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: String,
        /// The last thing it said.
        reason: String,
    },
}

/// Unpacks the wheels `requirements` (without what they depend on) below `work` and returns the folder they lie in.
/// Python runs isolated from the caller's folder and variables, in `work`.
pub(super) fn fetch(
    pythons: &[&str],
    requirements: &[&str],
    work: &Path,
    on_line: &mut OnLine<'_>,
) -> Result<PathBuf, PipError> {
    let work = &std::path::absolute(work).unwrap_or_else(|_| work.to_path_buf());
    let python = with_pip(&find_python(pythons, work)?, work, on_line)?;
    install(&python, requirements, work, on_line)
}

/// A command of `python` that runs nothing of the folder in which vocode was started.
fn isolated(python: impl AsRef<OsStr>, work: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(ISOLATED).current_dir(work);
    command
}

fn find_python(names: &[&str], work: &Path) -> Result<String, PipError> {
    let is_python_3 = |name: &&&str| {
        let version = isolated(name, work)
            .args(["-c", "import sys; print(sys.version_info[0])"])
            .output();
        version.is_ok_and(|output| output.status.success() && output.stdout.starts_with(b"3"))
    };
    match names.iter().find(is_python_3) {
        Some(name) => Ok((*name).to_owned()),
        None => Err(PipError::NoPython {
            tried: names.join(", "),
        }),
    }
}

/// `python` itself if it has pip, otherwise the Python of a fresh environment below `work` that has.
fn with_pip(python: &str, work: &Path, on_line: &mut OnLine<'_>) -> Result<PathBuf, PipError> {
    let own = PathBuf::from(python);
    if has_pip(&own, work, on_line)? {
        return Ok(own);
    }
    let folder = work.join("environment");
    let mut command = isolated(python, work);
    let made = quiet(command.args(["-m", "venv"]).arg(&folder), on_line)?;
    let inside = if cfg!(windows) {
        folder.join("Scripts/python.exe")
    } else {
        folder.join("bin/python")
    };
    match made {
        Ok(()) if has_pip(&inside, work, on_line)? => Ok(inside),
        Ok(()) => Err(PipError::NoPip {
            python: python.to_owned(),
            reason: "its venv has none either".to_owned(),
        }),
        Err(reason) => Err(PipError::NoPip {
            python: python.to_owned(),
            reason,
        }),
    }
}

fn has_pip(python: &Path, work: &Path, on_line: &mut OnLine<'_>) -> Result<bool, PipError> {
    let mut command = isolated(python, work);
    Ok(quiet(command.args(["-m", "pip", "--version"]), on_line)?.is_ok())
}

/// Runs a command to its end; on failure, the last line that it wrote.
fn quiet(command: &mut Command, on_line: &mut OnLine<'_>) -> Result<Result<(), String>, PipError> {
    let mut last = String::new();
    let ended = run(command, &mut |line| {
        if let Some(line) = line {
            line.clone_into(&mut last);
        }
        on_line(None)
    });
    Ok(match ended {
        Ok((status, _)) if status.success() => Ok(()),
        Ok((_, said)) if said.is_empty() => Err(last_line(&last).to_owned()),
        Ok((_, said)) => Err(last_line(&said).to_owned()),
        Err(Broken::Cancelled) => return Err(PipError::Cancelled),
        Err(Broken::Io(error)) => Err(error.to_string()),
    })
}

fn install(
    python: &Path,
    requirements: &[&str],
    work: &Path,
    on_line: &mut OnLine<'_>,
) -> Result<PathBuf, PipError> {
    let target = work.join("package");
    let mut command = isolated(python, work);
    command
        .args([
            "-m",
            "pip",
            "install",
            "--no-deps",
            "--only-binary=:all:",
            "--no-compile",
            "--no-input",
        ])
        .args([
            "--disable-pip-version-check",
            "--progress-bar",
            "off",
            "--retries",
            "2",
            "--timeout",
            "20",
        ])
        .args(["--python-version", WHEEL_PYTHON, "--implementation", "cp"])
        .arg("--target")
        .arg(&target)
        .args(requirements)
        // A user's settings that make sense for environments, and not for a folder of our own.
        .envs([
            ("PIP_USER", "0"),
            ("PIP_REQUIRE_VIRTUALENV", "0"),
            ("PIP_ROOT_USER_ACTION", "ignore"),
        ])
        .env("LC_ALL", "C");
    let requirement = &requirements.join(" ");
    let name = format!("{} -I -m pip install {requirement}", python.display());
    let failed = |status: String, reason: String| PipError::Failed {
        command: name.clone(),
        status,
        reason,
    };
    let (status, said) = run(&mut command, on_line).map_err(|error| match error {
        Broken::Cancelled => PipError::Cancelled,
        Broken::Io(error) => failed("cannot start".to_owned(), error.to_string()),
    })?;
    if status.success() {
        Ok(target)
    } else {
        Err(classify(requirement, &said, |reason| {
            failed(status.to_string(), reason)
        }))
    }
}

/// Runs `command`, passing on each line of its output, and returns what it wrote to stderr.
fn run(command: &mut Command, on_line: &mut OnLine<'_>) -> Result<(ExitStatus, String), Broken> {
    let mut child = Running::start(command)?;
    // Read apart from each other, so that neither pipe fills up while the other is waited for.
    let (errors, lines) = (child.0.stderr.take(), child.0.stdout.take());
    let errors = errors
        .map(|pipe| thread::Builder::new().spawn(move || drain(pipe)))
        .transpose()?;
    let (sender, received) = mpsc::channel();
    let read = move |pipe| {
        let lines = BufReader::new(pipe).split(b'\n').map_while(Result::ok);
        // Nobody listens any more where it was cancelled.
        lines.map(|line| sender.send(line)).all(|sent| sent.is_ok())
    };
    lines
        .map(|pipe| thread::Builder::new().spawn(move || read(pipe)))
        .transpose()?;
    loop {
        let control = match received.recv_timeout(LOOK) {
            Ok(line) => on_line(Some(String::from_utf8_lossy(&line).trim())),
            Err(RecvTimeoutError::Timeout) => on_line(None),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if control.is_break() {
            return Err(Broken::Cancelled);
        }
    }
    let said = errors
        .and_then(|reader| reader.join().ok())
        .unwrap_or_default();
    Ok((child.0.wait()?, said))
}

/// Why a command did not come to its end.
enum Broken {
    Cancelled,
    Io(std::io::Error),
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Broken {
        Broken::Io(error)
    }
}

/// A command under way; one that is dropped before its end is ended, with all that it started.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> std::io::Result<Running> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let command = command.stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        child.spawn().map(Running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        // What is gone already cannot be ended, which is as well.
        #[cfg(unix)]
        if let Ok(group) = i32::try_from(self.0.id()) {
            use nix::sys::signal::{Signal, killpg};
            let _ = killpg(nix::unistd::Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn drain(mut pipe: impl Read) -> String {
    let mut kept = Vec::new();
    let mut block = [0u8; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut block) {
        let room = MESSAGE_LIMIT.saturating_sub(kept.len());
        kept.extend_from_slice(&block[..count.min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn classify(requirement: &str, said: &str, otherwise: impl FnOnce(String) -> PipError) -> PipError {
    const NETWORK: [&str; 8] = [
        "name resolution",
        "Name or service not known",
        "NewConnectionError",
        "ConnectTimeout",
        "Connection refused",
        "Network is unreachable",
        "ReadTimeout",
        "ProxyError",
    ];
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let reason = last_line(said).to_owned();
    let requirement = requirement.to_owned();
    if has(&["No space left on device"]) {
        PipError::NoSpace { requirement }
    } else if has(&NETWORK) {
        PipError::Network {
            reason: network_line(said, &NETWORK).to_owned(),
        }
    } else if has(&[
        "No matching distribution",
        "is not a supported wheel",
        "Could not find a version",
    ]) {
        PipError::NoWheel {
            requirement,
            reason,
        }
    } else {
        otherwise(reason)
    }
}

fn network_line<'a>(said: &'a str, words: &[&'static str]) -> &'a str {
    let about = |line: &&str| words.iter().any(|word| line.contains(word));
    said.lines()
        .find(about)
        .map_or_else(|| last_line(said), str::trim)
}

fn last_line(said: &str) -> &str {
    said.lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("it said nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(said: &str) -> PipError {
        classify("onnxruntime==1.0", said, |reason| PipError::Failed {
            command: "pip".to_owned(),
            status: "1".to_owned(),
            reason,
        })
    }

    #[test]
    fn the_cause_wins_over_its_consequence() {
        let said = "WARNING: Retrying after connection broken by 'NewConnectionError(...)'\n\
                    ERROR: Could not find a version that satisfies the requirement\n\
                    ERROR: No matching distribution found for onnxruntime==1.0\n";
        let PipError::Network { reason } = verdict(said) else {
            panic!("{}", verdict(said))
        };
        assert!(reason.contains("NewConnectionError"), "{reason}");
        assert!(matches!(
            verdict("OSError: [Errno 28] No space left on device"),
            PipError::NoSpace { .. }
        ));
    }

    #[test]
    fn an_unknown_failure_keeps_what_pip_said_last() {
        let PipError::Failed { reason, .. } = verdict("one\ntwo\n\n") else {
            panic!("wrong kind")
        };
        assert_eq!(reason, "two");
        assert!(matches!(verdict(""), PipError::Failed { .. }));
    }
}
