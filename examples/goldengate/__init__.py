"""Sample trails of GoldenGate."""
