"""Long recordings of which it is known what is said when."""
