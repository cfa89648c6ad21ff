"""``panel serve apps/``: the runs of ``--args DIR``, of INFOPLANE_RUNS, or of ./runs."""

from infoplane.views.shell import build_app

build_app()
