"""Revocation: fetches the lists that certificates name, and reads whether their authorities have revoked them."""
