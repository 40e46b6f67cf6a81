"""Where the real voices are that some tests separate."""

from pathlib import Path

SPEECH = Path(__file__).resolve().parents[2] / "shared" / "speech"
