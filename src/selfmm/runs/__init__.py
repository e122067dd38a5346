"""The run folder, and the trained model in it."""
