"""The metrics that papers report, and tables of them."""
