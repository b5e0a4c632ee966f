"""Run and drive a real Home Assistant from outside, for the demo and the end-to-end tests."""
