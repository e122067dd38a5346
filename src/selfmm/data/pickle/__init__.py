"""Reader that treats pickles as data, never as code."""
