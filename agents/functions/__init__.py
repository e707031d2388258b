"""Functions for the enrich stage that need no code of the user."""
