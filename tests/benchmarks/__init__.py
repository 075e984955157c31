"""Measurements that are run by hand and quoted with the machine they were made on; no tests."""
