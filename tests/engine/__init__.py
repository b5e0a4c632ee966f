"""The engine, on the real all-MiniLM-L6-v2."""
