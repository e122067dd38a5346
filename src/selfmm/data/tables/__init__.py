"""Tables with features beside them."""
