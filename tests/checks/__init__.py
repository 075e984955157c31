"""Tests of the check types, one file each."""
