"""Metrics as the field reports them, and tables of them."""
