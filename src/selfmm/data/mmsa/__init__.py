"""The field's pickles, as MMSA makes them."""
