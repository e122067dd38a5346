"""Features of the speaker's face."""
