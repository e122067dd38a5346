"""Experiments: grids of runs and their tables, searches for settings, and tests of robustness."""
