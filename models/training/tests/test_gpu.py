"""The check in `benches/gpu`: its file in parts, its limits, what it makes obligatory, how it ends, and its tables. No GPU, and none of vocode's programs."""

import json
import struct
import sys
import time
from array import array
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[3] / "benches/gpu"))

import check
import parts
import table

GPU = {"driver": "580.1", "devices": ["NVIDIA Test, 80 GiB, compute capability 9.0"], "no_driver": None}
NO_GPU = {"driver": None, "devices": [], "no_driver": "no NVIDIA driver was found"}
ROW = {"steps": 4, "windows": 8, "core_frames": 64, "milliseconds": 1.5}
GOOD = {"doctor": {"gpu": GPU}, "providers": {"cuda": {"runs": True}}, "conformance": {"ok": True}, "demo": {"ok": True}}


@pytest.fixture
def wheel(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(parts, "SIZE", 10)
    path = tmp_path / "a.whl"
    path.write_bytes(bytes(range(25)))
    return path


def test_parts_make_the_file_again(wheel, tmp_path):
    made = parts.split(wheel, tmp_path / "parts")
    assert [part.stat().st_size for part in made] == [10, 10, 5]
    assert parts.join(tmp_path / "parts", tmp_path / "out").read_bytes() == wheel.read_bytes()


@pytest.mark.parametrize("harm", [lambda part: part.write_bytes(b"0123456789"), Path.unlink], ids=["damaged", "missing"])
def test_parts_that_are_not_whole_are_refused(wheel, tmp_path, harm):
    harm(parts.split(wheel, tmp_path / "parts")[1])
    with pytest.raises(SystemExit, match="do not make the file"):
        parts.join(tmp_path / "parts", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_parts_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="found 0"):
        parts.join(tmp_path, tmp_path)


@pytest.mark.parametrize(("own", "left", "limit"), [(120, 570, 120), (300, 40.5, 40.5), (60, 0.9, 0), (60, -3, 0)])
def test_a_limit_is_the_smaller_of_its_own_and_what_is_left(own, left, limit):
    assert check.allowed(own, left) == limit


def test_a_program_that_is_stopped_keeps_its_rows():
    programs = check.Programs({}, time.monotonic() + 1.5)
    words = [sys.executable, "-c", "import time; print('{\"steps\": 1}', flush=True); print('{\"st', end='', flush=True); time.sleep(60)"]
    rows = check.calls(words, 60, programs)
    assert rows[0] == {"steps": 1}
    assert "took longer than" in rows[1]["not_measured"]
    assert len(rows) == 2
    assert check.calls(words, 60, check.Programs({}, time.monotonic())) == [{"not_measured": "out of time"}]


def test_a_program_that_is_not_there_is_told():
    end = check.Programs({}, time.monotonic() + 60).run(["/no/such/program"])
    assert end["status"] == -1
    assert "/no/such/program" in end["said"]


@pytest.mark.parametrize(
    ("gpus", "running", "wanted"),
    [
        ([], ["cpu"], []),
        (["a GPU"], ["cpu"], ["cuda"]),
        (["a GPU"], ["cpu", "tensorrt"], ["cuda", "tensorrt"]),
        ([], ["cpu", "cuda"], ["cuda"]),
    ],
)
def test_cuda_is_obligatory_wherever_there_is_a_gpu(gpus, running, wanted):
    assert check.obligatory(gpus, running) == wanted


def test_a_doctor_that_tells_nothing_saw_no_gpu():
    assert check.devices({"gpu": GPU}) == GPU["devices"]
    assert check.devices({"gpu": NO_GPU}) == check.devices({"gpu": None}) == check.devices({"not_measured": "why"}) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"doctor": {"gpu": NO_GPU}, "providers": {"cuda": {"runs": False}}}, None),
        ({"conformance": {"ok": False}}, "the conformance suite"),
        ({"demo": {"ok": False}}, "the demo"),
        ({"providers": {"cuda": {"runs": False}}}, "CUDA did not run"),
        ({"providers": {}}, "CUDA did not run"),
    ],
)
def test_what_makes_the_check_fail(change, reason):
    failed = check.failures({**GOOD, **change})
    assert len(failed) == (reason is not None)
    assert all(reason in text for text in failed)


def test_a_suite_that_nobody_asked_for_is_not_missed():
    assert check.failures({name: value for name, value in GOOD.items() if name != "conformance"}) == []


def test_every_provider_is_measured_at_every_batch_and_step():
    for provider in check.PROVIDERS:
        words = [words for name, words, _ in check.TABLES if name == provider]
        assert not any("--steps" in line for line in words)  # the example's own are 1, 2, 4 and 6
        batches = {line[line.index("--batches") + 1] for line in words if "--batches" in line}
        assert batches in (set(), {"1", "8", "64"})
    limits = {name: limit for name, _, limit in check.TABLES}
    assert limits["tensorrt, fp16"] == 300


def test_a_gpu_is_measured_on_one_thread():
    assert [check.threads(name, 16) for name in check.PROVIDERS] == ["1,16", "1", "1"]
    assert check.threads("cpu", 1) == "1"


def test_the_greatest_difference_wants_two_whole_sounds():
    sound = array("f", [0.0, 0.5, -0.5])
    assert check.distance(sound, array("f", [0.0, 0.25, -0.5])) == 0.25
    for other in (None, array("f"), sound[:2], array("f", [0.0, float("nan"), 0.0])):
        assert check.distance(other, sound) is None


def test_samples_are_those_of_the_data_chunk(tmp_path):
    floats = array("f", [0.5, -1.0])
    chunks = [(b"fmt ", bytes(16)), (b"LIST", b"INFO data"), (b"data", floats.tobytes())]
    body = b"".join(name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks)
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body)
    assert check.samples(path) == floats
    path.write_bytes(path.read_bytes()[:30])
    assert len(check.samples(path)) == 0


class StandIn(check.Programs):
    """Answers for the programs: CUDA does not run, and time is up at `torch`. Notes what was asked."""

    def __init__(self, gpu: dict) -> None:
        super().__init__({}, time.monotonic() + 60)
        self.gpu, self.asked = gpu, []

    def run(self, words, limit=check.USUAL, **more):
        words = [str(word) for word in words]
        self.asked.append((words, limit, more))
        status, out, said = 0, "", ""
        if "doctor" in words:
            out = json.dumps({"gpu": self.gpu, "processors": 2, "works": True})
        elif "warm" in words:
            status, out, said = (0, json.dumps({"provider_nodes": {"cpu": 9}, "state_on_device": False}), "") if "cpu" in words else (1, "", "not here")
        elif "bench" in words:
            rows = [{"threads": 2, "steps": 4, "real_time_factor": {"median": 0.04}, "first_audio_ms": {"median": 17.0}}]
            out = json.dumps({"rows": rows})
        elif "calls" in words[0]:
            out = json.dumps(ROW)
        elif "-o" in words:
            data = array("f", [0.5]).tobytes()
            Path(words[words.index("-o") + 1]).write_bytes(b"RIFF" + bytes(4) + b"WAVEdata" + struct.pack("<I", len(data)) + data)
        elif words[-1].endswith("torch_calls.py"):
            status, said = -1, check.OUT_OF_TIME
        return {"status": status, "seconds": 0.1, "out": out, "said": said}


def whole(tmp_path, monkeypatch, gpu) -> tuple[int, StandIn, dict]:
    """The status of a whole check with the stand-in, what that was asked, and the results."""
    stand_in, out = StandIn(gpu), tmp_path / "results.json"
    monkeypatch.setattr(check, "Programs", lambda env, end: stand_in)
    status = check.main(["--out", str(out), "--binary", "vocode", "--calls", "calls", "--conformance", "suite"])
    return status, stand_in, json.loads(out.read_text())


def test_a_whole_check_without_a_gpu(tmp_path, monkeypatch):
    status, stand_in, found = whole(tmp_path, monkeypatch, NO_GPU)
    assert status == 0
    assert list(found) == ["doctor", "providers", "conformance", "demo", "bench", "denoiser_calls", "torch"]
    words, _, _ = stand_in.asked[0]
    assert words == ["vocode", "doctor", "--provider", "cpu", "--json"]
    assert found["bench"]["cuda"] == {"not_measured": "does not run"}
    assert found["denoiser_calls"]["cpu"] == 3 * [ROW]
    assert found["torch"] == [{"not_measured": "out of time"}]


def test_a_whole_check_fails_where_cuda_misses_its_gpu(tmp_path, monkeypatch):
    status, stand_in, _ = whole(tmp_path, monkeypatch, GPU)
    assert status == 1
    assert [more for words, _, more in stand_in.asked if words == ["suite"]] == [{"VOCODE_TEST_PROVIDERS": "cuda"}]


def test_without_time_everything_is_written_down_as_not_measured(tmp_path, capsys):
    out = tmp_path / "results.json"
    assert check.main(["--out", str(out), "--conformance", "suite", "--minutes", "0"]) == 1
    found = json.loads(out.read_text())
    nothing = {"not_measured": "out of time"}
    assert found["doctor"] == nothing
    for name in check.PROVIDERS:
        assert found["bench"][name] == nothing
        assert found["denoiser_calls"][name][-1] == nothing
    printed = capsys.readouterr().out
    for part in ("providers, cuda", "conformance", "demo", "torch"):
        assert f"{part}: not measured: out of time\n" in printed
    page = table.page(found)
    assert "GPU: not measured: out of time\n- cpu: not measured: out of time" in page
    assert "- conformance suite: not measured: out of time\n- demo against the CPU: not measured: out of time" in page


def test_the_results_are_written_even_where_the_wheel_is_not_whole(tmp_path):
    out = tmp_path / "results.json"
    with pytest.raises(SystemExit, match="found 0"):
        check.main(["--out", str(out), "--wheel", str(tmp_path)])
    assert json.loads(out.read_text()) == {}


def test_the_tables():
    bench = [{"threads": 2, "steps": 4, "real_time_factor": {"median": 0.0271}, "first_audio_ms": {"median": 17.26}}]
    told = {"provider_nodes": {"cpu": 9}, "state_on_device": False}
    results = {
        "doctor": {"gpu": GPU},
        "providers": {"cpu": {"runs": True, "told": told}, "cuda": {"runs": False, "told": "no cuDNN"}},
        "demo": {"ok": False, "greatest_difference_from_cpu": {"cpu": 0.0, "cuda": 0.0123, "tensorrt": None}},
        "bench": {"cpu": {"rows": bench}, "cuda": {"not_measured": "does not run"}},
        "denoiser_calls": {"cuda": [{**ROW, "milliseconds": 0.254}, {"not_measured": "took longer than 120 s"}], "cpu": [ROW, {**ROW, "steps": 1}]},
        "torch": [{"kind": "eager", "windows": 8, "core_frames": 64, "milliseconds": 2.0}, {"kind": "compiled", "not_measured": "no compiler"}],
    }
    assert table.page(results).splitlines() == [
        "GPU: NVIDIA Test, 80 GiB, compute capability 9.0",
        "- cpu: runs, {'cpu': 9}; the state is copied in and out at each step",
        "- cuda: does not run: no cuDNN",
        "- conformance suite: not run",
        "- demo against the CPU: FAILED (cuda 1.2e-02, tensorrt not measured)",
        "",
        "| provider | threads | steps | real-time factor | first audio, ms |",
        "|---|---:|---:|---:|---:|",
        "| cpu | 2 | 4 | 0.0271 | 17.3 |",
        "| cuda | | | not measured | not measured |",
        "| tensorrt | | | not measured | not measured |",
        "",
        "| steps | windows | frames | cpu | cuda | tensorrt | PyTorch, eager | PyTorch, compiled |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
        "| 1 | 8 | 64 | 1.50 | not measured | not measured | 2.00 | not measured |",
        "| 4 | 8 | 64 | 1.50 | 0.25 | not measured | 8.00 | not measured |",
    ]
