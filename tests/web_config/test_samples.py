"""Web configurations, good and bad, with the errors and warnings about them, and promtool's verdict on each.

The first line of a sample is about promtool 2.42, which checks the same format: it agrees, does not know an option that
is newer, or accepts what could only fail later. The comments after it are all that this exporter says.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from exporter.errors import ConfigError
from exporter.web_config import WebConfig, load_web_config
from tests.servers.prometheus import promtool

SAMPLES = sorted((Path(__file__).parent / "samples").glob("*.yml"))
AGREES, UNKNOWN, LENIENT = "agrees", "2.42 does not know ", "accepts it, although "


def load(file: str) -> tuple[WebConfig | None, list[str]]:
    """The configuration of a file in the working directory, or what is wrong with it."""
    try:
        return load_web_config(Path(file)), []
    except ConfigError as error:
        return None, str(error).splitlines()


def promtool_accepts(file: str) -> tuple[bool, str]:
    """Whether promtool accepts a file in the working directory, and what it says."""
    try:
        return True, promtool("check", "web-config", file)
    except AssertionError as error:
        return False, str(error)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_sample_is_judged_with_exactly_these_words(
    sample: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad one is rejected with place, path, fault and what is allowed; a good one is accepted."""
    monkeypatch.chdir(folder)
    shutil.copy(sample, folder)
    expected = [line[2:] for line in sample.read_text("utf-8").splitlines()[1:] if line.startswith("# bad-")]
    config, problems = load(sample.name)
    assert problems == expected
    assert (config is None) == bool(expected) == sample.stem.startswith("bad-")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_promtool_judges_in_the_same_way(sample: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdicts are equal if promtool knows all options, except for files that could only fail later."""
    monkeypatch.chdir(folder)
    shutil.copy(sample, folder)
    verdict = sample.read_text("utf-8").splitlines()[0].removeprefix("# promtool ")
    accepts, said = promtool_accepts(sample.name)
    is_good = sample.stem.startswith("good-")
    if verdict.startswith(UNKNOWN):
        assert f"field {verdict.removeprefix(UNKNOWN)} not found" in said
    else:
        assert verdict == AGREES or verdict.startswith(LENIENT)
        assert accepts == (is_good or verdict.startswith(LENIENT))


def test_there_are_samples() -> None:
    """The tests above must not pass just because a folder was moved, and promtool knows most samples."""
    verdicts = [sample.read_text("utf-8").splitlines()[0] for sample in SAMPLES]
    assert len(SAMPLES) >= 80
    assert verdicts.count(f"# promtool {AGREES}") >= 60


def test_certificate_key_and_authorities_may_be_in_the_file_itself(folder: Path, tmp_path: Path) -> None:
    """Nothing is written to other files for this."""
    texts = {"cert": "chain.pem", "key": "key.pem", "client_ca": "ca.pem"}
    lines = ["tls_server_config:", "  client_auth_type: RequireAndVerifyClientCert"]
    for key, name in texts.items():
        lines += [f"  {key}: |", *(f"    {line}" for line in (folder / name).read_text("ascii").splitlines())]
    file = tmp_path / "web.yml"
    file.write_text("\n".join(lines), "utf-8")
    config = load_web_config(file)
    assert config.files == (file,)
    assert config.tls is not None
    assert config.summary == "TLS, client certificates (RequireAndVerifyClientCert), no passwords"


def test_paths_are_relative_to_the_file(folder: Path, tmp_path: Path) -> None:
    """This does not depend on the working directory; all files are recorded, so changes are noticed."""
    file = tmp_path / "web.yml"
    shutil.copytree(folder, tmp_path / "tls")
    file.write_text("tls_server_config: {cert_file: tls/cert.pem, key_file: ./tls/key.pem}\n", "utf-8")
    names = ("web.yml", "tls/cert.pem", "tls/key.pem")
    assert load_web_config(file).files == tuple(tmp_path / name for name in names)


def test_authorities_of_the_system_are_warned_about(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every certificate that any of them has issued would be accepted."""
    monkeypatch.chdir(folder)
    shutil.copy(next(one for one in SAMPLES if one.stem == "good-client-verified-by-the-system"), folder)
    (warning,) = load_web_config(Path("good-client-verified-by-the-system.yml")).warnings
    assert str(warning) == (
        "good-client-verified-by-the-system.yml:5:21: tls_server_config.client_auth_type: RequireAndVerifyClientCert"
        " without client_ca_file accepts certificates of every authority that this system trusts"
    )


def test_no_output_contains_a_hash(tmp_path: Path) -> None:
    """The hashes are secrets, and are masked everywhere."""
    password_hash = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{alice: {password_hash}, bob: {password_hash}x}}\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_web_config(file)
    assert password_hash not in str(caught.value)
    file.write_text(f"basic_auth_users: {{alice: {password_hash}}}\n", "utf-8")
    config = load_web_config(file)
    assert config.secrets == {password_hash}
    assert password_hash not in repr(config)
