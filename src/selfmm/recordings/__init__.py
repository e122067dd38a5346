"""Scores of recordings: from a file to features, windows and predictions."""
