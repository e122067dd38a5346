"""Small recordings of invented people who talk about films, with known true labels."""
