"""Where the real voices and the published models are that some tests use."""

from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared"
SPEECH = SHARED / "speech"
CHECKPOINTS = SHARED / "checkpoints"
