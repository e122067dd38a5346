"""selfmm: multimodal sentiment analysis that also says what words, voice and face say alone."""

from __future__ import annotations

__version__ = "0.1.0"
