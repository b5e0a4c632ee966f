"""Tests of the patterns: without Home Assistant."""
