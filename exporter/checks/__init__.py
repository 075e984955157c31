"""The check types: one file each, and the names of the built-in ones."""
