"""Annotation by people who judge each modality alone: sheets and Label Studio files, to them and back."""
