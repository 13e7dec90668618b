"""Speech for several listeners at once with asyncio: each hears the beginning while its mel is still being made.

    vocode serve &
    python streaming.py 127.0.0.1:50051 [folder]
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import soundfile
from stand_in import mel_of
from vocode_onnx import AsyncClient

MEL = mel_of()


async def acoustic_model(text: str) -> AsyncIterator[np.ndarray]:
    """Mels [80, 16], four times faster than they play. Yours runs in a thread of its own, as in `await asyncio.to_thread(model.step)`."""
    for start in range(0, MEL.shape[1], 16):
        await asyncio.sleep(16 * 256 / 22_050 / 4)
        yield MEL[:, start : start + 16]


async def speak(client: AsyncClient, text: str, path: Path) -> None:
    began, first = time.monotonic(), None
    async with client.live(acoustic_model(text)) as stream:
        with soundfile.SoundFile(path, "w", await stream.sample_rate(), 1) as file:
            async for audio in stream:
                first = first or time.monotonic() - began
                file.write(audio)
    print(f"{path.name}: first audio after {1000 * first:.0f} ms, the last after {1000 * (time.monotonic() - began):.0f} ms")


async def main(address: str, folder: Path) -> None:
    async with AsyncClient(address) as client:
        await asyncio.gather(*(speak(client, text, folder / f"{text.lower()}.wav") for text in ("One", "Two", "Three")))


asyncio.run(main(sys.argv[1], Path(sys.argv[2] if len(sys.argv) > 2 else ".")))
