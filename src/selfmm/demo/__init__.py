"""Invented people who talk about films: small clips with a known truth, drawn and spoken on the spot."""
