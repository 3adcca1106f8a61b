"""What a terminal shows: results, progress, the live view."""
