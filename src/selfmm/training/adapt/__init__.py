"""Fit the model ``adapt`` to rated clips in closed form: a ridge regression per modality, and a sum of their scores."""
