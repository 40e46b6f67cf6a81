"""Published checkpoints of other projects, read without running anything, as bundles."""
