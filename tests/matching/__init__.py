"""Matching: from words and numbers to a decision."""
