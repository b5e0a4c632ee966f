"""Homes and sentences in files, matched by the code that Home Assistant runs."""
