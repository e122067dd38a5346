"""Audit of generated labels: how far they can be trusted."""
