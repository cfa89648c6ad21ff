"""`tests/` itself is on the path, so twins are imported as `from twins.x import y`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
