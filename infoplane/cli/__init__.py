"""The command line: parses, calls the library, prints. Nothing is computed here.

Exit status: 0 done, 1 failed with the reason on stderr, nearly always one line (a traceback only
with ``--debug``), 2 wrong usage.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

from infoplane.cli.parser import parser
from infoplane.cli.printing import printable
from infoplane.errors import InfoplaneError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = parser().parse_args(arguments)
    try:
        with _ended_in_order():
            options.command(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `infoplane list | head`
        sys.stderr.close()
        return 0
    except (InfoplaneError, OSError) as error:
        if options.debug:
            raise
        print(f"infoplane: {printable(str(error))}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Take a request to terminate as Ctrl-C: a cluster's scheduler, a page that cancels.

    Unlike SIGINT it is not ignored by processes that a shell has started in the background.
    """

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
