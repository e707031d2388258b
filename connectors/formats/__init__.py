"""Formats of the data between the stages."""
