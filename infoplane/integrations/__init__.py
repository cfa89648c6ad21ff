"""Callbacks for training frameworks: ``infoplane.integrations.lightning`` and ``.transformers``."""
