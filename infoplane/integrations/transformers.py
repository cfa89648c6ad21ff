"""The callback for the Hugging Face Trainer."""

from infoplane.capture.integrations.transformers import InfoPlaneCallback

__all__ = ["InfoPlaneCallback"]
