"""The callback for Lightning."""

from infoplane.capture.integrations.lightning import InfoPlaneCallback

__all__ = ["InfoPlaneCallback"]
