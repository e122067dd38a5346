"""Decoding: any common container to sound and pictures on one clock."""
