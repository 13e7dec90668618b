"""``python -m vocode_onnx`` is the command ``vocode``."""

import sys

from ._program import main

sys.exit(main())
