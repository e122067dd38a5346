"""Pickles read as data, never as code."""
