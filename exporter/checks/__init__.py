"""The check types, one file each, and the list of built-in ones."""
