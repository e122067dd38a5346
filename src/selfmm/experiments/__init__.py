"""Experiments: grids of runs, and the tables that are made of them."""
