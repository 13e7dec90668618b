//! Finding, loading and running ONNX Runtime.

mod common;
mod stand_in;

use std::path::Path;

use ndarray::{Array2, Array3, ArrayD, array};
use vocode::bundle::Bundle;
use vocode::diffusion::Noise;
use vocode::internals::Graph;
use vocode::runtime::{
    FindError, LoadOptions, Origin, Provider, Rejection, Runtime, RuntimeError, Search,
    SessionOptions, needed_version,
};

const AFFINE: &[u8] = include_bytes!("fixtures/affine.onnx");

fn affine() -> Graph {
    let options = SessionOptions::default()
        .threads(Some(1))
        .provider(Provider::Cpu);
    Graph::from_bytes(&common::ensure_runtime(), AFFINE, "affine", &options).unwrap()
}

fn named(path: &Path) -> Search {
    Search::default().named(vec![(Origin::Flag, path.to_path_buf())])
}

fn rejection(path: &Path) -> (Rejection, String) {
    let error = named(path).survey().unwrap_err();
    let message = error.to_string();
    match error {
        FindError::Rejected { rejection, .. } => (rejection, message),
        other => panic!("{other}"),
    }
}

#[test]
fn a_graph_runs_with_inputs_in_any_order_and_of_any_length() {
    let mut graph = affine();
    for frames in [1, 5, 3] {
        let x = Array3::from_shape_fn((2, 3, frames), |(b, c, t)| (b * 100 + c * 10 + t) as f32);
        let y = Array3::from_elem((2, 3, frames), 0.5f32);
        let outputs = graph
            .run(&[("y", y.view().into_dyn()), ("x", x.view().into_dyn())])
            .unwrap();
        assert_eq!(outputs[0], (&x * 2.0 + &y).into_dyn());
        assert_eq!(outputs[1].shape(), [2, 3]);
    }
}

/// The denoiser in integers, with our kernels for its operators and with the functions that the graph itself says they are: ONNX Runtime is
/// left with these where the domain has another name.
#[test]
fn the_kernels_do_what_the_functions_of_the_graph_say() {
    let bundle = Bundle::embedded().unwrap();
    let kernels = bundle.denoiser_int8.expect("the built-in model has one");
    let mut functions = kernels.clone().into_owned();
    let (ours, other) = (b"\x06vocode", b"\x06vocodE");
    let all = functions.windows(ours.len()).enumerate();
    let places: Vec<usize> = all
        .filter_map(|(at, bytes)| (bytes == ours).then_some(at))
        .collect();
    // Twelve gates and twelve times taps, three functions, and the import.
    assert_eq!(places.len(), 28);
    for at in places {
        functions[at..][..other.len()].copy_from_slice(other);
    }
    let runtime = common::ensure_runtime();
    let options = SessionOptions::default().threads(Some(1));
    let mut graphs = [&kernels[..], &functions]
        .map(|bytes| Graph::from_bytes(&runtime, bytes, "denoiser", &options).unwrap());

    let (windows, frames, hop) = (2, 40, bundle.manifest.mel.hop);
    let noise = Noise::new(1);
    let mut x = Array2::zeros((windows, frames * hop));
    noise.fill(0, 0, x.as_slice_mut().unwrap());
    let mut cond = Array3::zeros((windows, frames, 1536));
    noise.fill(1, 0, cond.as_slice_mut().unwrap());
    let t = array![0.0f32, 0.5];
    let inputs = [
        ("x", x.view().into_dyn()),
        ("t", t.view().into_dyn()),
        ("cond", cond.view().into_dyn()),
    ];
    let [kernels, functions] = graphs
        .each_mut()
        .map(|graph| graph.run(&inputs).unwrap().remove(0));
    let power = |values: &ArrayD<f32>| values.mapv(|v| v * v).mean().unwrap();
    // They may round to another integer where a value lies between two, and that goes on through the layers.
    let apart = power(&(&kernels - &functions)) / power(&functions);
    assert!(apart < 1e-3, "{apart}");
    assert!(power(&functions) > 1e-2);
}

#[test]
fn views_that_are_not_contiguous_give_the_same_result() {
    let mut graph = affine();
    let wide = Array3::from_shape_fn((1, 3, 8), |(_, c, t)| (c * 8 + t) as f32);
    let every_other = wide.slice(ndarray::s![.., .., ..;2]);
    let reversed = wide.slice(ndarray::s![.., ..;-1, 4..]);
    let outputs = graph
        .run(&[("x", every_other.into_dyn()), ("y", reversed.into_dyn())])
        .unwrap();
    let expected = &every_other * 2.0 + reversed;
    assert_eq!(outputs[0], expected.into_dyn());
}

#[test]
fn ports_tell_names_and_shapes() {
    let graph = affine();
    let inputs: Vec<_> = graph
        .inputs()
        .iter()
        .map(|port| (port.name.as_str(), port.shape()))
        .collect();
    assert_eq!(
        inputs,
        [("x", "[?, 3, ?]".to_owned()), ("y", "[?, 3, ?]".to_owned())]
    );
    assert_eq!(graph.outputs()[1].dims, [None, Some(3)]);
    assert_eq!(graph.outputs()[0].ty, "float32");
    assert_eq!(graph.provider(), Provider::Cpu);
    let nodes = graph.placement().nodes();
    assert_eq!(nodes.keys().collect::<Vec<_>>(), ["CPUExecutionProvider"]);
    assert!(
        nodes.values().sum::<usize>() > 0,
        "the session tells of no node"
    );
    let operators = &graph.placement().operators["CPUExecutionProvider"];
    assert!(operators.contains_key("Add"), "{operators:?}");
}

#[test]
fn wrong_inputs_are_refused_before_the_graph_runs() {
    let mut graph = affine();
    let good = Array3::<f32>::zeros((1, 3, 4));
    let bad = Array3::<f32>::zeros((1, 2, 4));
    let flat = array![1.0f32];
    let missing = graph.run(&[("x", good.view().into_dyn())]).unwrap_err();
    assert!(matches!(missing, RuntimeError::Inputs { .. }), "{missing}");
    let twice = graph
        .run(&[("x", good.view().into_dyn()), ("x", good.view().into_dyn())])
        .unwrap_err();
    assert!(matches!(twice, RuntimeError::Inputs { .. }), "{twice}");
    for wrong in [bad.view().into_dyn(), flat.view().into_dyn()] {
        let error = graph
            .run(&[("x", good.view().into_dyn()), ("y", wrong)])
            .unwrap_err();
        assert!(
            matches!(&error, RuntimeError::Shape { input, .. } if input == "y"),
            "{error}"
        );
    }
    assert!(
        graph
            .run(&[("x", good.view().into_dyn()), ("y", good.view().into_dyn())])
            .is_ok()
    );
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    let runtime = common::ensure_runtime();
    for bytes in [&b""[..], b"garbage", &AFFINE[..AFFINE.len() / 2]] {
        let error =
            Graph::from_bytes(&runtime, bytes, "broken", &SessionOptions::default()).unwrap_err();
        assert!(
            matches!(&error, RuntimeError::Graph { label, .. } if label == "broken"),
            "{error}"
        );
        let cause = std::error::Error::source(&error).unwrap();
        assert!(error.to_string().ends_with(&cause.to_string()), "{error}");
    }
}

#[test]
fn thread_counts_out_of_range_are_refused() {
    let runtime = common::ensure_runtime();
    for threads in [0, 100_000] {
        let options = SessionOptions::default()
            .threads(Some(threads))
            .provider(Provider::Cpu);
        let error = Graph::from_bytes(&runtime, AFFINE, "affine", &options).unwrap_err();
        assert!(error.to_string().contains("`threads`"), "{error}");
    }
}

#[test]
fn auto_runs_on_what_works_and_a_named_provider_is_never_replaced() {
    let runtime = common::ensure_runtime();
    let with = |provider| {
        Graph::from_bytes(
            &runtime,
            AFFINE,
            "affine",
            &SessionOptions::default()
                .threads(Some(1))
                .provider(provider),
        )
    };
    assert_ne!(with(Provider::Auto).unwrap().provider(), Provider::Auto);
    for provider in [Provider::Cuda, Provider::TensorRt] {
        match with(provider) {
            Ok(graph) => assert_eq!(graph.provider(), provider),
            Err(error) => {
                assert!(
                    matches!(error, RuntimeError::ProviderUnavailable { .. }),
                    "{error}"
                );
                assert!(
                    error
                        .to_string()
                        .contains(&format!("`provider` {provider}")),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn loading_again_gives_the_same_runtime_and_another_library_is_an_error() {
    let first = common::ensure_runtime();
    let again = Runtime::load(&LoadOptions::default().library(Some(first.library().to_path_buf())))
        .unwrap();
    assert_eq!(first.library(), again.library());
    assert!(first.version().starts_with("1."), "{}", first.version());
    assert!(first.providers().contains(&Provider::Cpu));
    let other = LoadOptions::default().library(Some("/no/such/libonnxruntime.so".into()));
    assert!(matches!(
        Runtime::load(&other),
        Err(RuntimeError::AlreadyLoaded { .. })
    ));
}

#[test]
fn a_good_library_is_accepted_by_file_and_by_folder() {
    let library = common::ensure_runtime().library().to_path_buf();
    for path in [library.as_path(), library.parent().unwrap()] {
        let attempts = named(path).survey().unwrap();
        let last = attempts.last().unwrap();
        assert!(last.verdict.is_ok(), "{last}");
    }
}

#[test]
fn a_missing_library_is_named() {
    let (rejection, message) = rejection(Path::new("/no/such/libonnxruntime.so"));
    assert_eq!(rejection, Rejection::Missing);
    assert!(
        message.contains("`ort_lib`") && message.contains("vocode setup"),
        "{message}"
    );
}

#[test]
fn garbage_in_place_of_a_library_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    for bytes in [&b""[..], b"garbage", b"\x7fELF", &[0x7f; 4096]] {
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(rejection(&path).0, Rejection::NotALibrary { .. }));
    }
}

#[test]
fn a_library_cut_short_is_refused_and_does_not_end_the_process() {
    let whole = std::fs::read(common::ensure_runtime().library()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    for length in [100, 5000, whole.len() / 2, whole.len() * 9 / 10] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(
            matches!(rejection(&path).0, Rejection::NotALibrary { .. }),
            "cut at {length}"
        );
    }
}

#[test]
fn a_library_that_is_too_old_is_refused_with_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = stand_in::of_version(folder.path(), "1.16.3") else {
        return;
    };
    let (rejection, message) = rejection(&library);
    assert_eq!(
        rejection,
        Rejection::TooOld {
            found: "1.16.3".to_owned(),
            needed: needed_version()
        }
    );
    assert!(
        message.contains("1.16.3") && message.contains(&needed_version()),
        "{message}"
    );
}

#[test]
fn another_library_is_not_taken_for_onnx_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = stand_in::compile(folder.path(), "int answer(void) { return 42; }") else {
        return;
    };
    assert_eq!(rejection(&library).0, Rejection::NotOnnxRuntime);
    let nothing = "const void *OrtGetApiBase(void) { return 0; }";
    let Some(library) = stand_in::compile(folder.path(), nothing) else {
        return;
    };
    assert_eq!(rejection(&library).0, Rejection::NotOnnxRuntime);
}

#[test]
fn an_old_library_beside_the_executable_is_recorded_and_the_search_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_) = stand_in::of_version(folder.path(), "1.16.3") else {
        return;
    };
    let library = common::ensure_runtime().library().to_path_buf();
    let site = folder
        .path()
        .join("env/lib/python3.11/site-packages/onnxruntime/capi");
    std::fs::create_dir_all(&site).unwrap();
    std::fs::copy(&library, site.join("libonnxruntime.so.1.31.1")).unwrap();
    let search = Search::default()
        .executable_folder(Some(folder.path().to_path_buf()))
        .python_prefixes(vec![folder.path().join("env")]);
    let attempts = search.survey().unwrap();
    assert!(
        matches!(attempts[0].verdict, Err(Rejection::TooOld { .. })),
        "{}",
        attempts[0]
    );
    assert_eq!(attempts[1].origin, Origin::PythonEnvironment);
    assert!(attempts[1].verdict.is_ok(), "{}", attempts[1]);
}
