"""Other vocoders beside vocode: speed, time to first audio and memory, in one run on the same mel and the same processors."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# DiffWave and its graphs are those of the training package, which need not be installed.
sys.path.append(str(ROOT / "models/training"))
