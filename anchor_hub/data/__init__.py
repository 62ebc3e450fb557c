"""Files on disk to samples in memory."""
