"""Data sets: one table and one frame matrix per modality, and everything that reads or makes them."""
