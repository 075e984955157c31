"""Requests in order that share cookies and captures: their settings, and what is captured and filled in."""
