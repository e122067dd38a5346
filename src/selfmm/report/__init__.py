"""The report of a finished run: the audit of its labels, pictures, and one page of HTML."""
