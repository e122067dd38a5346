"""Clips of invented people who talk about films, drawn and spoken on the spot, whose true labels are known."""
