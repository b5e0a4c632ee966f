"""The index, on real SQLite files."""
