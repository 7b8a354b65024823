"""The bundle of a run: a chained journal, salted texts, the plan before them and the seal after them."""
