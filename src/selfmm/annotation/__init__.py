"""Out to people who judge each modality alone, and back: sheets and Label Studio's files."""
