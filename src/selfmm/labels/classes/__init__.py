"""Labels per modality for K classes: unordered (with their own generator) or ordered (on a signed scale)."""
