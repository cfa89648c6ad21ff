"""The command line: parses, calls the library, prints. Nothing is computed here.

Exit status: 0 done, 1 failed with one clear line on stderr (a traceback only with ``--debug``),
2 wrong usage.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from infoplane.cli.parser import parser
from infoplane.cli.printing import printable
from infoplane.errors import InfoplaneError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = parser().parse_args(arguments)
    try:
        options.command(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `infoplane list | head`
        sys.stderr.close()
        return 0
    except (InfoplaneError, OSError) as error:
        if options.debug:
            raise
        print(f"infoplane: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return 1
    return 0
