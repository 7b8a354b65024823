"""How the embedded model is made: its world, its generators, its training and its measurement."""
