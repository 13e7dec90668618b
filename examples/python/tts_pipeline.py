"""A text-to-speech pipeline on vocode's live call: mel frames go out as they are made, sound comes back while later frames are being made.

    vocode serve &
    python tts_pipeline.py ../../models/demo/demo.flac -o speech.wav
    python tts_pipeline.py ../../models/demo/demo.flac --play

`acoustic_model` stands where yours goes: it hands over the mel of a recording a few frames at a time, at the speed of a model that is
`--speed` times faster than real time. Everything else is what a pipeline needs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import soundfile

PROTO = Path(__file__).resolve().parents[2] / "proto"
sys.path.insert(0, str(PROTO))
# Compiles the contract when it is imported; a pipeline of yours may as well keep the output of `python -m grpc_tools.protoc`.
messages, services = grpc.protos_and_services("vocode/v1/vocoder.proto")

# A server that is still loading its models answers UNAVAILABLE.
RETRY = {"maxAttempts": 5, "initialBackoff": "0.5s", "maxBackoff": "2s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}
PATIENCE = {"methodConfig": [{"name": [{"service": "vocode.v1.VocoderService"}], "retryPolicy": RETRY}]}


def acoustic_model(recording: Path, convention, frames: int, speed: float) -> Iterator[np.ndarray]:
    """Mels `[frames, n_mels]` of a recording, in the convention that the server asks for."""
    audio, rate = soundfile.read(recording, dtype="float64")
    if rate != convention.sample_rate_hz or audio.ndim != 1:
        raise SystemExit(f"{recording}: {rate} Hz, {audio.ndim} channels; expected mono at {convention.sample_rate_hz} Hz")
    n_fft, hop = convention.n_fft, convention.hop
    bank, window = mel_filters(convention), np.hanning(n_fft + 1)[:-1]
    padded = np.pad(audio, (n_fft - hop) // 2, mode="reflect")
    total = len(audio) // hop
    for start in range(0, total, frames):
        began = time.monotonic()
        places = range(start, min(start + frames, total))
        spectra = [np.abs(np.fft.rfft(padded[place * hop :][:n_fft] * window)) for place in places]
        mel = np.log(np.maximum(np.sqrt(np.square(spectra) + 1e-9) @ bank.T, 1e-5))
        spent = time.monotonic() - began
        time.sleep(max(0.0, len(mel) * hop / rate / speed - spent))
        yield mel.astype("<f4")


def mel_filters(convention) -> np.ndarray:
    """Slaney's triangular filters of unit area, `[n_mels, n_fft / 2 + 1]`."""

    def to_mel(hz: float) -> float:
        return hz * 3 / 200 if hz < 1000 else 15 + np.log(hz / 1000) * 27 / np.log(6.4)

    mels = np.linspace(to_mel(convention.f_min), to_mel(convention.f_max), convention.n_mels + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(np.log(6.4) / 27 * (mels - 15)))[:, None]
    bins = np.arange(convention.n_fft // 2 + 1) * convention.sample_rate_hz / convention.n_fft
    rising, falling = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2]), (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])


def requests(mels: Iterator[np.ndarray], config) -> Iterator:
    """The client's side of a live call: the config, then frames. gRPC takes the next one when the server has room for it."""
    yield messages.VocodeLiveRequest(config=config, request_id="tts-pipeline")
    for mel in mels:
        n_frames, n_mels = mel.shape
        yield messages.VocodeLiveRequest(mel=messages.Mel(n_mels=n_mels, n_frames=n_frames, data_f32le=mel.tobytes()))


class WavFile:
    """Collects 16-bit samples, and writes them to a file at the end."""

    def __init__(self, path: Path, rate: int) -> None:
        self.path, self.rate, self.samples = path, rate, bytearray()

    def write(self, samples: bytes) -> None:
        self.samples += samples

    def close(self) -> None:
        with wave.open(str(self.path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate)
            file.writeframes(self.samples)


class Player:
    """Plays 16-bit samples through `aplay`."""

    def __init__(self, rate: int) -> None:
        self.process = subprocess.Popen(["aplay", "-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", str(rate)], stdin=subprocess.PIPE)

    def write(self, samples: bytes) -> None:
        self.process.stdin.write(samples)
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def speak(args: argparse.Namespace) -> None:
    """One utterance from its first frame to its last sample."""
    metadata = [("authorization", f"Bearer {args.api_key}")] if args.api_key else []
    with grpc.insecure_channel(args.addr, options=[("grpc.service_config", json.dumps(PATIENCE))]) as channel:
        vocoder = services.VocoderServiceStub(channel)
        model = vocoder.GetInfo(messages.GetInfoRequest(), metadata=metadata).models[0]
        config = messages.SynthesisConfig(encoding=messages.AUDIO_ENCODING_PCM_S16LE, seed=args.seed)
        mels = acoustic_model(args.recording, model.mel, args.frames, args.speed)
        began, first, sink = time.monotonic(), None, None
        for answer in vocoder.VocodeLive(requests(mels, config), metadata=metadata, timeout=args.timeout):
            kind = answer.WhichOneof("event")
            if kind == "header":
                rate = answer.header.sample_rate_hz
                sink = Player(rate) if args.play else WavFile(args.output, rate)
            elif kind == "chunk":
                first = first or time.monotonic() - began
                sink.write(answer.chunk.audio)
            else:
                seconds = answer.summary.samples / rate
                print(f"{seconds:.2f} s of audio in {time.monotonic() - began:.2f} s, the first after {1000 * first:.0f} ms")
        sink.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path, help="mono recording whose mel is sent")
    parser.add_argument("-o", "--output", type=Path, default=Path("speech.wav"))
    parser.add_argument("--play", action="store_true", help="play with aplay instead of writing a file")
    parser.add_argument("--addr", default="127.0.0.1:50051")
    parser.add_argument("--api-key")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=16, help="mel frames a message")
    parser.add_argument("--speed", type=float, default=4.0, help="how much faster than real time mels are made")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds that the whole call may take")
    try:
        speak(parser.parse_args())
    except grpc.RpcError as error:
        raise SystemExit(f"the server says {error.code().name}: {error.details()}") from None


if __name__ == "__main__":
    main()
