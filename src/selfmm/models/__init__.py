"""Models: from a Batch to an Output. Each is one file on the shared late-fusion skeleton."""
