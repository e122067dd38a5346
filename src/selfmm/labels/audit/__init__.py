"""How far generated labels can be trusted."""
