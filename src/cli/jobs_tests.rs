//! Inputs and outputs, paired.

use super::*;

const WAV: Kinds = Kinds {
    inputs: &["npy"],
    output: "wav",
    others: &["flac"],
};

fn plan(inputs: &[PathBuf], output: &Path, kinds: &Kinds) -> Result<Vec<Job>, CliError> {
    super::plan(inputs, Some(output), kinds, false)
}

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
fn without_a_name_a_result_lies_beside_its_input() {
    let jobs = super::plan(&paths(&["x/a.npy", "b.npy"]), None, &WAV, false).unwrap();
    let targets: Vec<_> = jobs.into_iter().map(|job| job.target).collect();
    assert_eq!(
        targets,
        [Target::File("x/a.wav".into()), Target::File("b.wav".into())]
    );
    assert!(message(super::plan(&paths(&["-"]), None, &WAV, false)).contains("-o -"));
}

#[test]
fn folders_within_folders_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (mels, out) = (folder.path().join("mels"), folder.path().join("out"));
    for name in ["a.npy", "deep/er/a.npy"] {
        let file = mels.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    }
    let jobs = super::plan(&[mels], Some(&out), &WAV, true).unwrap();
    let targets: Vec<_> = jobs.into_iter().map(|job| job.target).collect();
    assert_eq!(
        targets,
        [
            Target::File(out.join("a.wav")),
            Target::File(out.join("deep/er/a.wav"))
        ]
    );
    assert!(out.join("deep/er").is_dir());
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
    assert!(plan(&paths(&["a.npy"]), Path::new("a.flac"), &WAV).is_ok());
    let two = paths(&["a.npy", "b.npy"]);
    assert!(message(plan(&two, Path::new("x.wav"), &WAV)).contains("-o out/"));
    assert!(!Path::new("x.wav").exists());
    assert!(message(plan(&paths(&["a.npy", "b.npy"]), Path::new("-"), &WAV)).contains("folder"));
    assert!(message(plan(&paths(&["-", "-"]), Path::new("out"), &WAV)).contains("once"));
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(message(plan(&paths(&["a.npy", "b.npy"]), file.path(), &WAV)).contains("folder"));
    assert!(message(plan(&[file.path().into()], file.path(), &WAV)).contains("input itself"));
}
