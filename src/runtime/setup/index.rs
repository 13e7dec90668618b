//! Fetching a wheel from the package index without Python: the index in its JSON form (PEP 691), the wheel with its SHA-256.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

use super::error::SetupError;
use crate::hash::sha256;

/// The index where `PIP_INDEX_URL` names no other.
const PYPI: &str = "https://pypi.org/simple";
const JSON: &str = "application/vnd.pypi.simple.v1+json";
/// Most bytes of a list of files, and of a wheel, which has 20 MB.
const MAX_LIST: u64 = 64 << 20;
const MAX_WHEEL: u64 = 1 << 30;
/// Bytes that are read before it is asked whether to go on.
const BLOCK: usize = 1 << 18;

/// The end of the names of the wheels for this machine: the library inside is the same for every Python.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const PLATFORM: (&str, &str) = ("manylinux", "_x86_64.whl");
#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
const PLATFORM: (&str, &str) = ("manylinux", "_aarch64.whl");
#[cfg(all(target_os = "macos", target_arch = "aarch64"))]
const PLATFORM: (&str, &str) = ("macosx", "_arm64.whl");
#[cfg(all(windows, target_arch = "x86_64"))]
const PLATFORM: (&str, &str) = ("win", "_amd64.whl");
#[cfg(all(windows, target_arch = "aarch64"))]
const PLATFORM: (&str, &str) = ("win", "_arm64.whl");
#[cfg(not(any(
    all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ),
    all(target_os = "macos", target_arch = "aarch64"),
    all(windows, any(target_arch = "x86_64", target_arch = "aarch64"))
)))]
const PLATFORM: (&str, &str) = ("", "no wheel is published for this platform");

/// Files of a project on an index (PEP 691).
#[derive(Deserialize)]
struct Files {
    files: Vec<Wheel>,
}

#[derive(Deserialize)]
struct Wheel {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: Hashes,
}

#[derive(Default, Deserialize)]
struct Hashes {
    sha256: Option<String>,
}

/// Saves the wheel of a project in the folder `work` and returns its path. `index` stands for that of the environment.
///
/// # Errors
/// [`SetupError::Index`] for what could not be had, [`SetupError::Io`], and what `go_on` answers.
pub(super) fn fetch(
    index: Option<&str>,
    project: &str,
    version: &str,
    work: &Path,
    go_on: &mut dyn FnMut(Option<&str>) -> Result<(), SetupError>,
) -> Result<PathBuf, SetupError> {
    let named = std::env::var("PIP_INDEX_URL")
        .ok()
        .filter(|url| !url.is_empty());
    let index = index.or(named.as_deref()).unwrap_or(PYPI);
    let list = format!("{}/{project}/", index.trim_end_matches('/'));
    let failed = |reason: String| SetupError::Index {
        index: list.clone(),
        reason,
    };
    let agent = agent();
    go_on(Some("asking the package index"))?;
    let body = get(&agent, &list, MAX_LIST, &mut || go_on(None))?.map_err(failed)?;
    let files: Files = serde_json::from_slice(&body)
        .map_err(|error| failed(format!("its answer is no list of files: {error}")))?;
    let wheel = choose(&files.files, project, version).ok_or_else(|| {
        failed(format!(
            "it has no wheel of {project} {version} for this machine"
        ))
    })?;
    let url = resolve(&list, &wheel.url);
    go_on(Some(&format!("fetching {}", wheel.filename)))?;
    let body = get(&agent, &url, MAX_WHEEL, &mut || go_on(None))?.map_err(failed)?;
    if let Some(expected) = &wheel.hashes.sha256
        && *expected != sha256(&body)
    {
        let found = sha256(&body);
        let name = &wheel.filename;
        return Err(failed(format!(
            "the SHA-256 of {name} is {found}, expected {expected}"
        )));
    }
    let path = work.join("fetched.whl");
    std::fs::write(&path, body).map_err(SetupError::io("write", &path))?;
    Ok(path)
}

fn agent() -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .user_agent(concat!("vocode/", env!("CARGO_PKG_VERSION")));
    config.build().into()
}

/// The body of an answer, of at most `most` bytes; what goes wrong on the way, in words.
fn get(
    agent: &Agent,
    url: &str,
    most: u64,
    go_on: &mut dyn FnMut() -> Result<(), SetupError>,
) -> Result<Result<Vec<u8>, String>, SetupError> {
    let answer = match agent.get(url).header("Accept", JSON).call() {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut reader = answer.into_body().into_reader().take(most + 1);
    let (mut body, mut block) = (Vec::new(), vec![0; BLOCK]);
    loop {
        go_on()?;
        match reader.read(&mut block) {
            Ok(0) => return Ok(Ok(body)),
            Ok(count) => body.extend_from_slice(&block[..count]),
            Err(error) => return Ok(Err(error.to_string())),
        }
        if body.len() as u64 > most {
            return Ok(Err(format!("it sends more than {most} bytes")));
        }
    }
}

/// The wheel for this machine, of the Pythons that it is published for the one that is asked for everywhere.
fn choose<'a>(files: &'a [Wheel], project: &str, version: &str) -> Option<&'a Wheel> {
    let python = super::pip::WHEEL_PYTHON.replace('.', "");
    let begin = format!("{project}-{version}-cp{python}-cp{python}-");
    files.iter().find(|wheel| {
        let platform = wheel.filename.strip_prefix(&begin);
        platform.is_some_and(|name| name.starts_with(PLATFORM.0) && name.ends_with(PLATFORM.1))
    })
}

/// The address that a link on the page at `page`, which ends in a slash, leads to (RFC 3986, 5.2, without queries).
fn resolve(page: &str, link: &str) -> String {
    if link.contains("://") {
        return link.to_owned();
    }
    let after_scheme = page.find("://").map_or(0, |at| at + 3);
    let root = page[after_scheme..]
        .find('/')
        .map_or(page.len(), |at| after_scheme + at);
    let mut segments: Vec<&str> = match link.starts_with('/') {
        true => Vec::new(),
        false => page[root..].split('/').filter(|s| !s.is_empty()).collect(),
    };
    for segment in link.split('/').filter(|s| !matches!(*s, "" | ".")) {
        match segment {
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    format!("{}/{}", &page[..root], segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_where_rfc_3986_says() {
        let page = "https://host:8/simple/onnxruntime/";
        for (link, expected) in [
            ("https://files/x.whl", "https://files/x.whl"),
            (
                "/packages/x.whl#sha256=0",
                "https://host:8/packages/x.whl#sha256=0",
            ),
            ("../../packages/x.whl", "https://host:8/packages/x.whl"),
            ("./x.whl", "https://host:8/simple/onnxruntime/x.whl"),
            ("../../../../x.whl", "https://host:8/x.whl"),
        ] {
            assert_eq!(resolve(page, link), expected);
        }
    }

    #[test]
    fn the_wheel_of_this_machine_is_chosen() {
        let names = [
            "onnxruntime-1.31.1-cp311-cp311-manylinux_2_28_x86_64.whl",
            "onnxruntime-1.31.1.tar.gz",
            "onnxruntime-1.31.1-cp312-cp312-macosx_14_0_arm64.whl",
            "onnxruntime-1.31.1-cp312-cp312-manylinux_2_28_aarch64.whl",
            "onnxruntime-1.31.1-cp312-cp312-manylinux_2_28_x86_64.whl",
            "onnxruntime-1.31.1-cp312-cp312-win_amd64.whl",
            "onnxruntime-1.31.1-cp312-cp312-win_arm64.whl",
            "onnxruntime-1.31.10-cp312-cp312-manylinux_2_28_x86_64.whl",
        ];
        let files = names.map(|name| Wheel {
            filename: name.to_owned(),
            url: String::new(),
            hashes: Hashes::default(),
        });
        let chosen = choose(&files, "onnxruntime", "1.31.1").unwrap();
        assert!(chosen.filename.starts_with("onnxruntime-1.31.1-cp312"));
        assert!(chosen.filename.ends_with(PLATFORM.1));
        assert!(choose(&files, "onnxruntime", "1.31.2").is_none());
    }
}
