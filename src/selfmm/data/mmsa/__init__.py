"""Feature pickles in the layout of MMSA."""
