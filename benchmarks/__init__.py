"""Benchmarks: each prints a table and one final line of JSON."""
