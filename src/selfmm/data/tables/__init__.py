"""Tables of clips with feature files next to them."""
