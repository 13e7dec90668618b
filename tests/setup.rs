//! What may run, and what may be written, while ONNX Runtime is fetched and loaded.
#![cfg(unix)]

mod common;
mod stand_in;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use predicates::prelude::*;
use sha2::{Digest, Sha256};
use vocode::runtime::{Flavour, WHEEL_VERSION};

fn vocode() -> Command {
    Command::cargo_bin("vocode").unwrap()
}

/// Every file below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// Python files of the names that Python and pip import early, each of which leaves a trace when it runs.
fn trap(folder: &Path) -> PathBuf {
    let trace = folder.join("it-ran");
    let code = format!("open({:?}, 'w').close()\n", trace.to_str().unwrap());
    for name in ["pip", "sitecustomize", "usercustomize", "encodings", "venv"] {
        fs::write(folder.join(format!("{name}.py")), &code).unwrap();
    }
    trace
}

#[test]
fn setup_runs_nothing_of_the_current_folder_or_of_pythonpath() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let trace = trap(folder.path());
    // The trap works on a Python that is not isolated.
    let unguarded = std::process::Command::new("python3")
        .args(["-m", "pip", "--version"])
        .current_dir(folder.path())
        .output();
    if unguarded.is_err() {
        eprintln!("skipped: there is no Python");
        return;
    }
    assert!(trace.exists(), "the trap does not work");
    fs::remove_file(&trace).unwrap();
    vocode()
        .arg("setup")
        .current_dir(folder.path())
        .env("VOCODE_DATA_DIR", data.path())
        .env_remove("VOCODE_OFFLINE")
        .env("PYTHONPATH", folder.path())
        // pip finds nothing, at once and without a network: how it is started is what counts here.
        .env("PIP_NO_INDEX", "1")
        .env_remove("PIP_FIND_LINKS")
        .assert()
        .code(1)
        .stderr(predicate::str::contains("pip finds no onnxruntime"));
    assert!(!trace.exists(), "a file of the current folder was run");
}

/// A wheel of the library that the tests have, or of another file under its name.
fn wheel(path: &Path, library: &Path, content: &[u8]) {
    let name = library.file_name().unwrap().to_str().unwrap();
    let mut writer = zip::ZipWriter::new(fs::File::create(path).unwrap());
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in [
        (name, content),
        ("onnxruntime_pybind11_state.so", b"Python's"),
    ] {
        writer
            .start_file(format!("onnxruntime/capi/{name}"), stored)
            .unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn a_wheel_that_is_there_is_installed_without_python_and_without_a_network() {
    let runtime = common::ensure_runtime();
    let library = runtime.library();
    let name = library.file_name().unwrap().to_str().unwrap();
    if !name.contains(WHEEL_VERSION) {
        eprintln!("skipped: {name} is another version than that of the wheel");
        return;
    }
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = fs::read(library).unwrap();
    let (good, altered) = (
        folder.path().join("good.whl"),
        folder.path().join("altered.whl"),
    );
    wheel(&good, library, &content);
    wheel(&altered, library, &[&content[..], b"more"].concat());
    let setup = |file: &Path| {
        let mut command = vocode();
        command
            .args(["setup", "--from"])
            .arg(file)
            .env_clear()
            .env("VOCODE_DATA_DIR", data.path())
            .env("VOCODE_OFFLINE", "1")
            .assert()
    };
    setup(&altered).code(1).stderr(
        predicate::str::contains("altered.whl is no wheel of ONNX Runtime")
            .and(predicate::str::contains("BLAKE3")),
    );
    setup(&folder.path().join("none.whl"))
        .code(1)
        .stderr(predicate::str::contains("none.whl"));
    let left = files(data.path());
    assert!(left.iter().all(|file| file.ends_with(".lock")), "{left:?}");
    setup(&good)
        .success()
        .stderr(predicate::str::contains("is ready"));
    let installed = data.path().join("onnxruntime").join(WHEEL_VERSION);
    assert_eq!(files(&installed), [installed.join(name)]);
    setup(&good)
        .success()
        .stderr(predicate::str::contains("is there already"));
}

/// A package index (PEP 691) on loopback that has one wheel with a hash; returns its address.
fn package_index(name: String, wheel: Vec<u8>, hash: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = String::new();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            lines.read_line(&mut asked).unwrap();
            let mut line = String::from("more");
            while !line.trim().is_empty() {
                line.clear();
                lines.read_line(&mut line).unwrap();
            }
            let list = format!(
                r#"{{"meta": {{"api-version": "1.1"}}, "name": "onnxruntime", "files": [{{"filename": "{name}", "url": "../../files/{name}", "hashes": {{"sha256": "{hash}"}}}}]}}"#
            );
            let (status, body) = match asked.split_whitespace().nth(1) {
                Some("/simple/onnxruntime/") => ("200 OK", list.as_bytes()),
                Some(path) if path == format!("/files/{name}") => ("200 OK", &wheel[..]),
                _ => ("404 Not Found", &b""[..]),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // Whoever has seen enough is gone.
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(body);
        }
    });
    format!("http://{address}/simple")
}

#[test]
fn a_machine_without_python_gets_the_wheel_from_the_index() {
    let runtime = common::ensure_runtime();
    let library = runtime.library();
    let name = library.file_name().unwrap().to_str().unwrap();
    if !name.contains(WHEEL_VERSION) {
        eprintln!("skipped: {name} is another version than that of the wheel");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("good.whl");
    wheel(&file, library, &fs::read(library).unwrap());
    let content = fs::read(&file).unwrap();
    let hash: String = Sha256::digest(&content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let platform = match (cfg!(target_os = "macos"), cfg!(target_arch = "aarch64")) {
        (true, _) => "macosx_14_0_arm64",
        (_, true) => "manylinux_2_28_aarch64",
        _ => "manylinux_2_28_x86_64",
    };
    let called = |python| format!("onnxruntime-{WHEEL_VERSION}-{python}-{python}-{platform}.whl");
    let setup = |name: String, hash: &str, data: &Path| {
        let index = package_index(name, content.clone(), hash.to_owned());
        let mut command = vocode();
        command
            .arg("setup")
            .env_clear()
            // No Python is there.
            .env("PATH", folder.path())
            .env("PIP_INDEX_URL", index)
            .env("VOCODE_DATA_DIR", data)
            .assert()
    };
    let data = tempfile::tempdir().unwrap();
    for (name, hash, told) in [
        (called("cp311"), &*hash, "for this machine"),
        (called("cp312"), "00ff", "expected 00ff"),
    ] {
        setup(name, hash, data.path())
            .code(1)
            .stderr(predicate::str::contains(told).and(predicate::str::contains("--from WHEEL")));
        let left = files(data.path());
        assert!(left.iter().all(|file| file.ends_with(".lock")), "{left:?}");
    }
    setup(called("cp312"), &hash, data.path())
        .success()
        .stderr(predicate::str::contains("is ready"));
    let installed = data.path().join("onnxruntime").join(WHEEL_VERSION);
    assert_eq!(files(&installed), [installed.join(name)]);
}

/// Whether a process is at work.
#[cfg(target_os = "linux")]
fn is_alive(process: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/stat"));
    status.is_ok_and(|status| !status.contains(") Z "))
}

#[cfg(target_os = "linux")]
#[test]
fn a_setup_that_is_ended_leaves_no_process_and_no_file() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // A Python whose pip starts a process of its own and never ends.
    let python = folder.path().join("python3");
    let processes = folder.path().join("processes");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in -I\\ -c*) echo 3;; *--version*) ;; *)\nsleep 1000 &\necho $! $$ > {0}.new\nmv {0}.new {0}\nwait;;\nesac\n",
        processes.display()
    );
    fs::write(&python, script).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    for signal in ["INT", "TERM"] {
        let _ = fs::remove_file(&processes);
        let mut setup = std::process::Command::new(env!("CARGO_BIN_EXE_vocode"))
            .arg("setup")
            .env("PATH", format!("{}:{path}", folder.path().display()))
            .env("VOCODE_DATA_DIR", data.path())
            .env_remove("VOCODE_OFFLINE")
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while !processes.exists() {
            assert_eq!(setup.try_wait().unwrap(), None, "it ended by itself");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let started = fs::read_to_string(&processes).unwrap();
        assert!(started.split_whitespace().all(is_alive));
        let kill = std::process::Command::new("kill")
            .args(["-s", signal, &setup.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        assert_eq!(setup.wait().unwrap().code(), Some(130));
        for process in started.split_whitespace() {
            // What was killed is there until init has collected it.
            for _ in 0..250 {
                if !is_alive(process) {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            assert!(!is_alive(process), "{process} of {started} goes on");
        }
        let left = files(data.path());
        assert!(left.iter().all(|file| file.ends_with(".lock")), "{left:?}");
    }
}

#[test]
fn an_installed_library_that_was_altered_is_never_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("onnxruntime").join(WHEEL_VERSION);
    fs::create_dir_all(&place).unwrap();
    let trace = folder.path().join("it-ran");
    let source = format!(
        "#include <stdio.h>\n__attribute__((constructor)) static void start(void) {{ fclose(fopen({:?}, \"w\")); }}\n",
        trace.to_str().unwrap()
    );
    let Some(library) = stand_in::compile(&place, &source) else {
        return;
    };
    let named = vocode()
        .args(["doctor"])
        .env("VOCODE_ORT_LIB", &library)
        .output()
        .unwrap();
    assert!(
        !named.status.success() && trace.exists(),
        "the trap does not work"
    );
    fs::remove_file(&trace).unwrap();
    vocode()
        .args(["models/demo/demo.npy", "-o", "never.wav"])
        .env("VOCODE_DATA_DIR", folder.path())
        .env("VOCODE_OFFLINE", "1")
        .env_remove("VOCODE_ORT_LIB")
        .env_remove("ORT_DYLIB_PATH")
        .env_remove("VIRTUAL_ENV")
        .assert()
        .stderr(
            predicate::str::contains("its BLAKE3 hash is")
                .and(predicate::str::contains("vocode setup")),
        );
    assert!(!trace.exists(), "the altered library was loaded");
}

/// The folder is the one that the error of a missing library names.
#[cfg(target_os = "linux")]
#[test]
fn the_data_folder_is_the_one_of_the_environment() {
    let root = tempfile::tempdir().unwrap();
    let below = |name: &str| root.path().join(name);
    let with = |variables: &[(&str, PathBuf)]| {
        let mut command = vocode();
        command.args(["models/demo/demo.npy", "-o", "never.wav"]);
        for variable in [
            "VOCODE_DATA_DIR",
            "XDG_DATA_HOME",
            "VOCODE_ORT_LIB",
            "ORT_DYLIB_PATH",
        ] {
            command.env_remove(variable);
        }
        command.env_remove("VIRTUAL_ENV").env("VOCODE_OFFLINE", "1");
        command
            .env("HOME", below("home"))
            .envs(variables.iter().cloned());
        let output = command.output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let home = below("home/.local/share/vocode/onnxruntime");
    let (own, data) = (below("own"), below("data"));
    let cases = [
        (vec![], home.clone()),
        (vec![("XDG_DATA_HOME", "not/absolute".into())], home.clone()),
        (vec![("XDG_DATA_HOME", PathBuf::new())], home),
        (
            vec![("XDG_DATA_HOME", data.clone())],
            data.join("vocode/onnxruntime"),
        ),
        (
            vec![("XDG_DATA_HOME", data), ("VOCODE_DATA_DIR", own.clone())],
            own.join("onnxruntime"),
        ),
    ];
    for (variables, expected) in cases {
        let said = with(&variables);
        let expected = format!("vocode's data folder ({})", expected.display());
        assert!(
            said.contains(&expected),
            "{variables:?}: {expected} is not in: {said}"
        );
    }
}

#[test]
fn what_setup_installs_passes_its_own_check() {
    let data = common::data_folder();
    let installed = vocode::runtime::install(Flavour::Cpu, Some(&data), &mut |_| {
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    let search = vocode::runtime::Search::default().data_folder(Some(data));
    let attempts = search.survey().unwrap();
    let last = attempts.last().unwrap();
    assert_eq!(last.verdict, Ok(WHEEL_VERSION.to_owned()));
    assert_eq!(last.path, std::path::absolute(installed.library).unwrap());
}

/// ONNX Runtime's telemetry keeps a device id and a database below HOME, whatever the session options say.
#[test]
fn nothing_is_written_below_home() {
    let home = tempfile::tempdir().unwrap();
    let library = common::ensure_runtime().library().to_path_buf();
    let run = |command: &mut Command| {
        command
            .env("HOME", home.path())
            .env("VOCODE_ORT_LIB", &library)
            .env_remove("XDG_CACHE_HOME")
            .env_remove("ORT_DISABLE_TELEMETRY")
            .assert()
            .success();
        assert_eq!(files(home.path()), Vec::<PathBuf>::new());
    };
    let out = tempfile::tempdir().unwrap();
    run(vocode()
        .args(["models/demo/demo.npy", "--steps", "1", "-o"])
        .arg(out.path().join("a.wav")));
    run(vocode().arg("doctor"));
    run(vocode().args(["serve", "--check"]));
}

#[test]
fn nothing_is_looked_up_and_no_connection_is_made() {
    let out = tempfile::tempdir().unwrap();
    let trace = out.path().join("trace");
    let traced = std::process::Command::new("strace")
        .args(["-f", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_vocode"))
        .args(["models/demo/demo.npy", "-o"])
        .arg(out.path().join("a.wav"))
        .env("VOCODE_ORT_LIB", common::ensure_runtime().library())
        .env_remove("ORT_DISABLE_TELEMETRY")
        .output();
    match traced {
        Ok(output) if output.status.success() => {}
        _ => {
            eprintln!("skipped: strace is not there, or may not trace");
            return;
        }
    }
    let calls = fs::read_to_string(&trace).unwrap();
    assert!(!calls.contains("AF_INET"), "{calls}");
}

#[test]
fn a_library_that_may_not_be_read_is_called_so() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("onnxruntime");
    fs::create_dir_all(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(&place).is_ok() {
        eprintln!("skipped: no permission keeps this user from reading a folder");
        return;
    }
    let search = vocode::runtime::Search::default().data_folder(Some(folder.path().to_owned()));
    let message = search.survey().unwrap_err().to_string();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(
        message.contains("not readable (Permission denied"),
        "{message}"
    );
}
