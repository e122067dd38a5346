"""Labels per modality for K classes: without an order (a generator of their own) or with one (a signed scale)."""
