"""Data of benchmarks: what data sets there are, where their files lie, and what is in every row."""
