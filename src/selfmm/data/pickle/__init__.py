"""Reader of pickles as data, never as code."""
