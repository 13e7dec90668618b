"""What the wheel holds."""

import inspect
import subprocess
import sys
from importlib import metadata, resources

import vocode_onnx


def test_torch_and_onnxruntime_are_not_imported():
    code = "import sys, vocode_onnx; vocode_onnx.Vocoder(provider='cpu'); print('torch' in sys.modules, 'onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_types_and_licences_are_there():
    files = {str(file) for file in metadata.files("vocode-onnx")}
    assert {"vocode_onnx/py.typed", "vocode_onnx/_native.pyi"} <= files
    assert any(file.endswith("LICENSE-MIT") for file in files)
    assert resources.files(vocode_onnx).joinpath("py.typed").is_file()


def test_the_stubs_name_what_there_is():
    stubs = resources.files(vocode_onnx).joinpath("_native.pyi").read_text()
    for kind in (vocode_onnx.Vocoder, vocode_onnx.MelConvention, vocode_onnx.AudioStream):
        public = [name for name in vars(kind) if not name.startswith("_")]
        assert all(f"def {name}(" in stubs for name in public)
    for method in (vocode_onnx.Vocoder.decode, vocode_onnx.Vocoder.stream, vocode_onnx.Vocoder.mel):
        assert all(f"{name}" in stubs for name in inspect.signature(method).parameters)


def test_everything_public_is_explained():
    for name in vocode_onnx.__all__:
        if name != "__version__":
            assert getattr(vocode_onnx, name).__doc__, name
    for kind in (vocode_onnx.Vocoder, vocode_onnx.MelConvention):
        for name, member in vars(kind).items():
            assert name.startswith("_") or member.__doc__, name
