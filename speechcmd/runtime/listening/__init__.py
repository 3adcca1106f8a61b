"""What happens to what is heard: rules, kept clips."""
