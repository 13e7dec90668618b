"""What is compared. Nothing heavy is imported here: the memory of a process must be that of its system."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_RATE, HOP, MELS = 22_050, 256, 80

TORCH, RUNTIME, LIBROSA, VOCODE = "PyTorch", "ONNX Runtime", "librosa", "vocode"


@dataclass(frozen=True)
class System:
    """One vocoder on one engine. `model` names its network, or the folder of its bundle; `steps` its denoiser calls, 0 for none."""

    key: str
    name: str
    engine: str
    model: str
    steps: int = 0

    @property
    def streams(self) -> bool:
        """Whether audio comes before the clip is done; where not, the first audio is the whole clip."""
        return self.engine == VOCODE

    @property
    def mel(self) -> str:
        """Name of the file with its mel: DiffWave was trained on decibels from 0 to 1, and with other numbers its gates are shut."""
        return "mel01.npy" if self.model == "diffwave" else "mel.npy"


SYSTEMS = [
    System("griffin-lim", "Griffin-Lim, 32 iterations", LIBROSA, "griffin-lim"),
    System("diffwave-torch", "DiffWave base, 6 steps", TORCH, "diffwave", 6),
    System("diffwave-ort", "DiffWave base, 6 steps", RUNTIME, "diffwave", 6),
    System("diffwave-vocode", "DiffWave base, 6 steps", VOCODE, "diffwave", 6),
    System("hifigan-v1-torch", "HiFi-GAN V1", TORCH, "hifigan-v1"),
    System("hifigan-v1-ort", "HiFi-GAN V1", RUNTIME, "hifigan-v1"),
    System("hifigan-v2-torch", "HiFi-GAN V2", TORCH, "hifigan-v2"),
    System("hifigan-v2-ort", "HiFi-GAN V2", RUNTIME, "hifigan-v2"),
    System("vocos-torch", "Vocos", TORCH, "vocos"),
    System("vocos-ort", "Vocos", RUNTIME, "vocos"),
    *(System(f"vocode-{n}", f"vocode's default, {n} step{'s' if n > 1 else ''}", VOCODE, "", n) for n in (1, 2, 4, 6)),
]
