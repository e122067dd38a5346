"""Explanations of scores: the contributions of modalities, words and frames."""
