"""``python -m infoplane`` is the command line."""

from infoplane.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
