"""A finished run made visible: the audit of its labels, pictures, and one page of HTML."""
