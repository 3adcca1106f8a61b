"""The same clips when something is done to them."""
