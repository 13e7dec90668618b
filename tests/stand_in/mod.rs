//! Libraries that stand in for ONNX Runtime and cannot serve.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `source` to a `libonnxruntime.so` in `folder`, or `None` where there is no C compiler.
pub fn compile(folder: &Path, source: &str) -> Option<PathBuf> {
    let (code, library) = (folder.join("stub.c"), folder.join("libonnxruntime.so"));
    std::fs::write(&code, source).unwrap();
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&code)
        .status();
    match status {
        Ok(status) => {
            assert!(status.success(), "the stub does not compile");
            Some(library)
        }
        Err(_) => {
            eprintln!("skipped: there is no C compiler");
            None
        }
    }
}

#[allow(dead_code, reason = "not every test file needs it")]
/// A library with ONNX Runtime's entry point that says it is `version`.
pub fn of_version(folder: &Path, version: &str) -> Option<PathBuf> {
    let source = format!(
        "struct Base {{ const void *(*api)(unsigned); const char *(*version)(void); }};\n\
         static const void *api(unsigned number) {{ (void)number; return 0; }}\n\
         static const char *version(void) {{ return \"{version}\"; }}\n\
         static const struct Base base = {{ api, version }};\n\
         const struct Base *OrtGetApiBase(void) {{ return &base; }}\n"
    );
    compile(folder, &source)
}
