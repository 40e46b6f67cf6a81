"""Audio in and out, as streams: reading and writing, resampling, windows."""
