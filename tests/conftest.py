"""`tests/` itself is on the path, so twins are imported as `from twins.x import y`.

One thread a process for numpy and torch, set before either is loaded: the tests run in parallel
processes, and threads that fight for the same cores cost ten times what they bring.
"""

import os
import sys
from pathlib import Path

for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).parent))
