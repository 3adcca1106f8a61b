"""How many words are missed in running audio, and how many are heard that nobody said."""
