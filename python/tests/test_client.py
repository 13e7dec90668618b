"""``Client``, against the real server."""

import itertools
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import trustme
from conftest import free_port, serving

import vocode_onnx
from vocode_onnx import Client, MelConvention


@pytest.fixture
def client(address):
    with Client(address) as client:
        yield client


def pieces(mel, size=20):
    for start in range(0, mel.shape[1], size):
        yield mel[:, start : start + size]


def test_every_call_gives_the_audio_of_the_module(client, vocoder, mel):
    want = vocoder.decode(mel, steps=2, seed=3)
    whole = client.vocode(mel, steps=2, seed=3)
    assert (whole.audio.dtype, whole.sample_rate, whole.header.seed, whole.header.steps) == (np.float32, vocoder.sample_rate, 3, 2)
    np.testing.assert_allclose(whole.audio, want, atol=1e-4)
    for stream in (client.stream(mel, steps=2, seed=3), client.live(pieces(mel), steps=2, seed=3)):
        chunks = list(stream)
        assert len(chunks) > 1 and all(chunk.ndim == 1 and chunk.size for chunk in chunks)
        np.testing.assert_allclose(np.concatenate(chunks), want, atol=1e-4)
        assert stream.summary.samples == want.size and stream.sample_rate == vocoder.sample_rate


def test_calls_outlive_their_server(program, vocoder, mel):
    address = f"127.0.0.1:{free_port()}"
    want = vocoder.decode(mel, steps=2, seed=3)

    def slowly():
        for piece in pieces(mel, 4):
            yield piece
            time.sleep(0.02)

    small = {"first_chunk_frames": 8, "chunk_frames": 8}
    with Client(address) as client:
        with serving(program, listen=address, kills=True):
            live = client.live(slowly(), steps=2, seed=3, **small)
            heard = [next(live), next(live)]
        # The mel goes on meanwhile, and so does the audio once somebody is there again.
        with serving(program, listen=address):
            heard += list(live)
            assert live.resumed == 1
            assert (live.summary.samples, live.summary.frames) == (want.size, mel.shape[1])
            np.testing.assert_allclose(np.concatenate(heard), want, atol=1e-4)


def test_the_server_says_what_it_has(client, vocoder):
    info = client.info()
    assert (info.version, info.models[0].sha256) == (vocode_onnx.__version__, vocoder.model_sha256)
    assert (info.models[0].mel.n_mels, info.models[0].mel.hop) == (80, 256)


class Tensor:
    """What is used of a torch tensor, so that torch need not be installed."""

    def __init__(self, values, half=True):
        self.values, self.half = values, half

    def detach(self):
        return self

    cpu = detach

    def float(self):
        return Tensor(self.values, half=False)

    def numpy(self):
        if self.half:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values


def test_mels_of_all_kinds_are_taken(client, mel):
    want = client.vocode(mel, steps=1).audio
    for same in (mel[None], mel.astype(">f8"), np.asfortranarray(mel), mel.tolist(), Tensor(mel), Tensor(mel[None], half=False)):
        assert np.array_equal(client.vocode(same, steps=1).audio, want)
    assert np.array_equal(client.vocode(mel.T, steps=1, layout="frames-first").audio, want)


def test_a_tensor_of_torch_is_taken(client, mel):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(mel.copy()).requires_grad_()
    assert np.array_equal(client.vocode(tensor, steps=1).audio, client.vocode(mel, steps=1).audio)


def test_normalised_mels_say_their_mean_and_deviation(client, mel):
    want = client.vocode(mel, steps=2).audio
    normalised = (mel + 5.5) / 2.1
    rows = {"mel_mean": np.full(80, -5.5), "mel_std": [2.1] * 80}
    conventions = [{"mel_convention": MelConvention("hifigan", mean=-5.5, std=2.1)}, {"mel_mean": -5.5, "mel_std": 2.1}, rows]
    for said in conventions:
        np.testing.assert_allclose(client.vocode(normalised, steps=2, **said).audio, want, atol=1e-3)
    np.testing.assert_allclose(np.concatenate(list(client.live(pieces(normalised), steps=2, **conventions[1]))), want, atol=1e-3)
    with pytest.raises(vocode_onnx.OptionError, match="no preset"):
        client.vocode(mel, mel_convention=MelConvention.from_toml('base = "hifigan"\nname = "mine"'))
    with pytest.raises(vocode_onnx.OptionError, match="give them once"):
        client.vocode(mel, mel_mean=1.0, **conventions[0])


def test_schedules_solvers_and_rates_are_the_callers_choice(client, mel):
    times = client.vocode(mel, times=[0.0, 0.5], solver="heun")
    assert times.header.solver.startswith("heun") and times.header.steps == 3
    assert client.vocode(mel, schedule=client.info().models[0].default_schedule).header.steps == 4
    assert client.vocode(mel, steps=1, sample_rate=44_100).audio.size == 2 * 256 * mel.shape[1]
    short = list(client.stream(mel, steps=1, first_chunk_frames=16, chunk_frames=16))
    assert len(short) > len(list(client.stream(mel, steps=1)))
    padded = np.pad(mel, [(0, 0), (9, 9)], constant_values=0.0)
    assert client.vocode(padded, steps=1, trim_padding=True).audio.size == 256 * mel.shape[1]


def test_a_mel_is_sharpened_where_that_is_asked_for(client, vocoder, mel):
    for call in (lambda **more: client.vocode(mel, steps=1, **more).audio, lambda **more: vocoder.decode(mel, steps=1, **more)):
        as_it_is, more = call(sharpen=0.0), call(sharpen=2.0)
        assert np.abs(as_it_is - more).max() > 0.01
        with pytest.raises(vocode_onnx.VocodeError, match="expected 0 to 4"):
            call(sharpen=5.0)
    pieces = np.concatenate(list(vocoder.stream([mel], steps=1, sharpen=2.0)))
    np.testing.assert_allclose(pieces, more, atol=1e-3)


def test_a_blurred_mel_is_restored_where_that_is_asked_for(client, vocoder, mel):
    reach = np.arange(-4, 5)
    weights = np.exp(-0.5 * reach**2) / np.exp(-0.5 * reach**2).sum()
    padded = np.pad(mel, [(4, 4), (0, 0)], mode="edge")
    blurred = np.stack([weights @ padded[band : band + 9] for band in range(len(mel))]).astype(np.float32)
    for call in (lambda mel, **more: client.vocode(mel, steps=1, **more).audio, lambda mel, **more: vocoder.decode(mel, steps=1, **more)):
        with pytest.warns(UserWarning, match="restore"):
            dull = call(blurred)
        assert np.abs(call(blurred, restore=True) - dull).max() > 0.01
        np.testing.assert_array_equal(call(mel, restore=True), call(mel))


def test_a_mel_of_another_kind_is_taken_approximately_where_that_is_asked_for(client, vocoder, mel):
    recording = vocoder.decode(mel, steps=1)
    mel = vocoder.mel(recording, 22_050, mel_convention="vocos24k")
    for call in (client.vocode, vocoder.decode):
        with pytest.raises(vocode_onnx.VocodeError, match="approximate_mel"):
            call(mel, steps=1, mel_convention="vocos24k")
    arguments = {"steps": 1, "mel_convention": "vocos24k", "approximate_mel": True}
    with pytest.warns(UserWarning, match="of PESQ-wb"):
        expected = vocoder.decode(mel, **arguments)
    with pytest.warns(UserWarning, match="of PESQ-wb"):
        streamed = np.concatenate(list(client.stream(mel, **arguments)))
    assert abs(expected.size - recording.size) < 1024
    np.testing.assert_allclose(streamed, expected, atol=1e-4)


def test_remarks_are_warnings_of_the_callers_line(client, mel):
    for call in (client.vocode, lambda *a, **k: list(client.stream(*a, **k))):
        with pytest.warns(UserWarning, match="half a hop") as warned:
            call(mel, steps=1, mel_convention="tacotron2")
        assert warned[0].filename == __file__


@pytest.mark.parametrize(
    ("change", "options", "kind", "words"),
    [
        (lambda m: m[:70], {}, vocode_onnx.RequestError, r"70 bands.*mel\.n_mels"),
        (lambda m: m, {"model": "none"}, vocode_onnx.RequestError, "no model `none`; there is default"),
        (lambda m: m, {"mel_convention": "lmnt"}, vocode_onnx.RequestError, "cannot be converted exactly"),
        (lambda m: m, {"sample_rate": 3}, vocode_onnx.RequestError, r"1000 to 384000 Hz \(config\.sample_rate_hz"),
        (lambda m: np.tile(m, 60), {}, vocode_onnx.RequestError, "VocodeStream"),
        (lambda m: np.tile(m, 20), {"timeout": 1e-4}, vocode_onnx.DeadlineError, "timeout"),
        (lambda m: m[0], {}, vocode_onnx.MelError, "found shape"),
        (lambda m: m[:, :0], {}, vocode_onnx.MelError, "at least one frame"),
        (lambda m: np.stack([m, m]), {}, vocode_onnx.MelError, "one mel"),
        (lambda m: m.astype(np.int64), {}, vocode_onnx.MelError, "give mel.astype"),
        (lambda m: m, {"steps": 2, "schedule": "x"}, vocode_onnx.OptionError, "give one of them"),
        (lambda m: m, {"steps": 0}, vocode_onnx.OptionError, "at least one"),
        (lambda m: m, {"seed": -1}, vocode_onnx.OptionError, "seed"),
        (lambda m: m, {"layout": "sideways"}, vocode_onnx.OptionError, "bands-first"),
        (lambda m: m, {"speed": 2}, TypeError, "speed"),
    ],
)
def test_what_cannot_be_had_is_refused(client, mel, change, options, kind, words):
    with pytest.raises(kind, match=words):
        client.vocode(change(mel), **options)
    if "timeout" not in options and kind is not TypeError and "VocodeStream" not in words:
        with pytest.raises(kind, match=words):
            list(client.stream(change(mel), **options))
        with pytest.raises(kind, match=words):
            list(client.live([change(mel)], **options))


def test_errors_name_code_fields_and_reason(client, mel):
    with pytest.raises(ValueError) as refused:
        client.vocode(mel[:70])
    assert refused.value.code == "INVALID_ARGUMENT" and refused.value.fields.keys() == {"mel.n_mels"}
    with pytest.raises(vocode_onnx.VocodeError) as refused:
        client.vocode(mel, mel_convention="lmnt")
    assert refused.value.reason == "MEL_CONVENTION_MISMATCH"


def test_an_exception_of_the_mels_comes_out_of_the_answer(client, mel):
    def broken():
        yield mel[:, :10]
        raise KeyError("the acoustic model")

    audio = client.live(broken())
    with pytest.raises(KeyError, match="acoustic"):
        list(audio)
    assert list(audio) == []


def test_audio_comes_before_the_mel_ends(client, mel):
    first = threading.Event()

    def waiting():
        yield from pieces(np.tile(mel, 2))
        assert first.wait(60)
        yield mel[:, :10]

    with client.live(waiting(), steps=2) as audio:
        assert next(audio).size
        first.set()
        assert sum(chunk.size for chunk in audio)


def test_a_call_can_be_left(client, mel):
    with client.live(itertools.repeat(mel[:, :10])) as audio:
        assert next(audio).size
    assert list(audio) == []
    assert client.vocode(mel, steps=1).audio.size


def test_a_busy_server_says_when_to_try_again(program, mel):
    with serving(program, "--max-streams", 1) as address, Client(address) as client:
        with client.live(itertools.repeat(mel[:, :10])) as audio:
            assert next(audio).size
            with pytest.raises(vocode_onnx.BusyError, match="try again in") as refused:
                client.vocode(mel)
        assert 0 < refused.value.retry_after < 10


def test_keys_and_certificates_let_in(program, mel, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    (tmp_path / "keys").write_text("correct-horse-battery-staple-42\n")
    (tmp_path / "keys").chmod(0o600)
    flags = ("--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem", "--api-keys", tmp_path / "keys")
    with serving(program, *flags) as address:
        url = f"https://localhost:{address.rpartition(':')[2]}"
        key = "correct-horse-battery-staple-42"
        for ca in (tmp_path / "ca.pem", str(tmp_path / "ca.pem"), authority.cert_pem.bytes()):
            with Client(url, api_key=key, tls_ca=ca) as client:
                assert client.vocode(mel, steps=1).audio.size
        with Client(url, tls_ca=tmp_path / "ca.pem") as client, pytest.raises(vocode_onnx.RequestError) as refused:
            client.vocode(mel)
        assert refused.value.code == "UNAUTHENTICATED"


def test_a_server_that_is_not_there_is_named():
    with Client("127.0.0.1:1") as client, pytest.raises(ConnectionError, match="cannot reach 127.0.0.1:1.*vocode serve"):
        client.info()


def test_a_wrong_address_key_or_certificate_is_refused(tmp_path):
    with pytest.raises(vocode_onnx.OptionError, match="host:port"):
        Client("ftp://127.0.0.1:1")
    with pytest.raises(vocode_onnx.OptionError, match="printable"):
        Client(api_key="k\n")
    with pytest.raises(vocode_onnx.OptionError, match="https"):
        Client(tls_ca=tmp_path / "ca.pem")
    with pytest.raises(FileNotFoundError):
        Client("https://localhost:1", tls_ca=tmp_path / "ca.pem")


def test_without_grpc_the_rest_works_and_the_client_says_what_is_missing():
    code = """
import sys
sys.modules["grpc"] = None
import vocode_onnx
vocode_onnx.MelConvention()
try:
    vocode_onnx.Client
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "grpc is missing: pip install 'vocode_onnx[client]'" in done.stdout


def test_importing_the_module_leaves_grpc_alone():
    code = "import sys, vocode_onnx; print('grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
