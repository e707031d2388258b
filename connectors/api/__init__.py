"""What a plugin author sees; needs nothing but the standard library."""
