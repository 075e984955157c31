"""Fingerprints of host keys as users write them."""

from __future__ import annotations

import pytest

from exporter.ssh.fingerprints import spelled_fingerprint

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
GITHUB = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"


@pytest.mark.parametrize(
    "text",
    [
        GITHUB,
        GITHUB + "=",
        f" {GITHUB} ",
        GITHUB.replace("SHA256", "sha256"),
        KEY,
        f"{KEY} a comment",
        f"github.com {KEY}",
    ],
)
def test_keys_and_fingerprints_mean_the_same(text: str) -> None:
    """A fingerprint, a public key and a line of known_hosts are one fingerprint."""
    assert spelled_fingerprint(text) == GITHUB


@pytest.mark.parametrize(
    "text", ["SHA256:abc", "MD5:aa:bb", "ssh-ed25519", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA", "", "ssh-ed25519 !!"]
)
def test_other_texts_are_rejected(text: str) -> None:
    """What cannot be a fingerprint is rejected when the configuration is loaded."""
    with pytest.raises(ValueError, match=r"is not a (SHA-256 )?fingerprint"):
        spelled_fingerprint(text)
