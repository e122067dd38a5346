"""Labels from people who judge each modality alone: sheets and Label Studio files, and the import of their answers."""
