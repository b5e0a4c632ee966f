"""What the scripts that need PyTorch share; not commands themselves."""
