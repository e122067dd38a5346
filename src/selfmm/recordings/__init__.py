"""Score recordings: from a file to features, spans and predictions."""
