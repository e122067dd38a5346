"""Clips as users name them: recordings, spans of recordings, and lists of both."""
