"""What users name: recordings, parts of them, and lists of both."""
