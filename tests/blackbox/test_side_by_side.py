"""The same modules and targets, probed by the real blackbox_exporter and by this program.

Both probe every pair. The series and their values must be equal; seconds must be close. What may differ is
listed in `EXPECTED`, each with the name of its entry in `DIFFERENCES`, which is also the table in the README.
"""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.blackbox.differences import DIFFERENCES
from tests.blackbox.peers import PAIRS, run_peers, target_of
from tests.servers.blackbox import probe_path, run_blackbox
from tests.servers.exporter import run_exporter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Series = Mapping[str, float]

_TOLERANCE_SECONDS = 0.3
_MOST_PROBES = 5
"""A busy machine can delay one of the programs by more than the tolerance, but hardly so many times in a row."""

_NEWER = re.compile(r"probe_timeout_seconds|probe_failed_due_to_bytes|probe_tls_cipher_info\{.*")
"""Series that blackbox_exporter has in later versions than the one compared with."""

_NEWER_LABEL = re.compile(r'serialnumber="[0-9a-f]*",')
_OURS = re.compile(r"probe_failure_info\{.*")
_CERTIFICATE = re.compile(r"probe_(ssl|tls)_.*")

_LENGTH, _REDIRECTS = "probe_http_uncompressed_body_length", "probe_http_redirects"
_RESPONSE = ("probe_http_content_length", _REDIRECTS, "probe_http_status_code", "probe_http_version")
_UNFOLLOWED = {"redirects-counted": (_REDIRECTS,), "unfollowed-body": (_LENGTH,)}

EXPECTED: Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]] = {
    ("http_2xx", "http://WEB/loop"): {"redirects-counted": (_REDIRECTS,)},
    ("http_2xx", "http://WEB/ftp"): {"redirect-scheme": _RESPONSE},
    ("http_2xx", "https://WEB/"): {"cut-off-phases": ('probe_http_duration_seconds{phase="tls"}',)},
    ("hurried", "http://SILENT/"): {"cut-off-phases": ('probe_http_duration_seconds{phase="processing"}',)},
    ("all_redirects", "http://WEB/301"): _UNFOLLOWED,
    ("all_redirects", "http://WEB/308"): _UNFOLLOWED,
    ("stays", "http://WEB/302"): _UNFOLLOWED,
    ("gzip", "http://WEB/gzip-broken"): {"partly-decoded": (_LENGTH,)},
    ("deflate", "http://WEB/br"): {"partly-decoded": (_LENGTH,)},
    **{
        pair: {"grpc-expiry": ("probe_ssl_earliest_cert_expiry",)}
        for pair in PAIRS
        if pair[0] in ("grpc", "grpc_service", "grpc_unknown")
    },
}
"""The series of a pair that differ, by the name of the difference."""


class Compared(NamedTuple):
    """The series of one pair: blackbox_exporter's, ours with --blackbox.strict, and ours without."""

    there: Series
    strict: Series
    usual: Series


def series_of(page: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#"))
    return {series: float(value) for series, _, value in lines}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[tuple[str, str], Compared]]:
    """What the programs return for every pair."""
    directory = tmp_path_factory.mktemp("side-by-side")
    flag = f"--blackbox.config.file={directory / 'there' / 'blackbox.yml'}"
    with (
        run_peers(directory) as peers,
        run_blackbox(directory / "there", peers.modules) as there,
        run_exporter(directory / "strict", None, flag, "--blackbox.strict") as strict,
        run_exporter(directory / "usual", None, flag) as usual,
        ThreadPoolExecutor(3) as threads,
    ):

        def probe(pair: tuple[str, str], probes_left: int = _MOST_PROBES) -> Compared:
            module, target = pair[0], target_of(pair[1], peers.places)
            path = probe_path(target, module)
            pages = (there.probe(target, module), strict.get(path)[1], usual.get(path)[1])
            compared = Compared(*map(series_of, pages))
            unexpected = differing(compared.there, compared.strict) - expected(pair)
            is_late = any(map(is_time, unexpected))
            return probe(pair, probes_left - 1) if is_late and probes_left > 1 else compared

        yield dict(zip(PAIRS, threads.map(probe, PAIRS), strict=True))


def expected(pair: tuple[str, str]) -> set[str]:
    return {name for names in EXPECTED.get(pair, {}).values() for name in names}


def is_time(series: str) -> bool:
    return "seconds" in series and "timestamp" not in series


def differing(there: Series, here: Series) -> set[str]:
    """Return the series that differ, except those of later versions."""
    theirs = {_NEWER_LABEL.sub("", name): value for name, value in there.items()}
    ours = {_NEWER_LABEL.sub("", name): value for name, value in here.items() if not _NEWER.fullmatch(name)}
    found = theirs.keys() ^ ours.keys()
    for name in theirs.keys() & ours.keys():
        if abs(theirs[name] - ours[name]) > (_TOLERANCE_SECONDS if is_time(name) else 0.0):
            found.add(name)
    return found


def test_there_are_enough_pairs() -> None:
    """No pair is compared twice."""
    assert ([pair for pair, count in Counter(PAIRS).items() if count > 1], len(PAIRS) >= 120) == ([], True)


def test_every_expected_difference_is_documented() -> None:
    """The differences of the pairs are entries of the list in the README."""
    assert {name for names in EXPECTED.values() for name in names} <= {one.name for one in DIFFERENCES}


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_a_strict_page_is_that_of_blackbox_exporter(
    compared: Mapping[tuple[str, str], Compared], pair: tuple[str, str]
) -> None:
    """A page with --blackbox.strict has the same series and values, except for the documented differences."""
    there, strict, _ = compared[pair]
    assert differing(there, strict) == expected(pair), (dict(there), dict(strict))


@pytest.mark.parametrize("pair", PAIRS, ids=" ".join)
def test_a_usual_page_adds_reason_and_certificates(
    compared: Mapping[tuple[str, str], Compared], pair: tuple[str, str]
) -> None:
    """Without --blackbox.strict, a failure also has its reason, and a rejected certificate its facts."""
    there, strict, usual = compared[pair]
    more = usual.keys() - strict.keys()
    reasons = {name for name in more if _OURS.fullmatch(name)}
    assert len(reasons) == (there["probe_success"] == 0.0)
    assert [name for name in more - reasons if not _CERTIFICATE.fullmatch(name)] == []
    assert strict.keys() <= usual.keys()


def test_serial_numbers_keep_their_leading_zeros(compared: Mapping[tuple[str, str], Compared]) -> None:
    """The serial number of a certificate is written byte by byte."""
    _, strict, _ = compared["unverified", "https://OWN/"]
    (info,) = (name for name in strict if name.startswith("probe_ssl_last_chain_info"))
    assert 'serialnumber="0abc"' in info


def test_an_expired_certificate_has_its_expiry(compared: Mapping[tuple[str, str], Compared]) -> None:
    """The expiry of a certificate that failed verification is on the usual page."""
    there, _, usual = compared["secure", "https://EXPIRED/"]
    expiry = "probe_ssl_earliest_cert_expiry"
    assert (there.get(expiry), usual.get(expiry)) == (None, 981173106.0)
