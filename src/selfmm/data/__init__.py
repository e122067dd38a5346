"""Data sets: one table and one frame matrix per modality, and the code that reads and writes them."""
