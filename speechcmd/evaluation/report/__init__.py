"""What was measured, as a page, pictures and a model card."""
