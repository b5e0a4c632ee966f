"""How the matcher's numbers are made: sentences from templates, the request model, the weights."""
