"""Features of the speaker's voice, without the words."""
