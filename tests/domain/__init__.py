"""Tests of reading what registries say."""
