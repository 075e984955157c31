"""Reading the command line: flags, their environment variables, commands, addresses, and the help about them."""

from __future__ import annotations

import dataclasses
import errno
import re
import socket
from typing import TYPE_CHECKING

import pytest

from exporter.cli.arguments import HelpRequested, help_text, parse_arguments
from exporter.cli.flag_values import Output
from exporter.cli.flags import FLAGS
from exporter.cli.listen import Address, ListenAddress, UnixAddress, listener_url, open_listeners, parse_listen_address
from exporter.cli.options import Options, UsageError
from exporter.public_address import PublicAddress
from tests.servers.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


def read(line: str, **environment: str) -> Options:
    return parse_arguments(line.split(), environment)


def test_no_arguments_serve_the_demo() -> None:
    """The program starts without any argument."""
    assert read("") == Options()
    assert Options().listen_addresses == (ListenAddress("", 10115),)


def test_every_flag_is_understood() -> None:
    """Values go with the flag or after it; durations have a unit, but the offset may be seconds."""
    line = (
        "--config.file=checks.yml --config.check --no-config.enable-auto-reload --config.auto-reload-interval 1m"
        " --web.listen-address=:1 --web.listen-address=[::1]:2 --timeout-offset=0.25 --history.limit 7"
        " --runner.buffer-size=0 --log.level=debug --log.format=json"
    )
    assert read(line) == Options(
        config_file="checks.yml",
        config_check=True,
        auto_reload=False,
        auto_reload_interval_seconds=60.0,
        listen_addresses=(ListenAddress("", 1), ListenAddress("::1", 2)),
        timeout_offset_seconds=0.25,
        history_limit=7,
        buffer_size=0,
        log_level="debug",
        log_format="json",
    )


def test_flags_may_stand_on_either_side_of_the_command() -> None:
    """A flag at the end of the line is accepted; names may follow `--`."""
    expected = Options(
        command="run",
        check_names=("shop", "dns", "-odd"),
        config_file="c.yml",
        outputs=(Output("json", None),),
        budget_seconds=2.5,
    )
    assert read("--config.file=c.yml run shop --output=json dns --budget=2500ms -- -odd shop") == expected


def test_a_flag_may_be_repeated_on_both_sides_of_the_command() -> None:
    """The server listens on the addresses before the command and on those after it."""
    line = "--web.listen-address=:1 serve --web.listen-address :2 --web.listen-address=:3"
    assert read(line).listen_addresses == (ListenAddress("", 1), ListenAddress("", 2), ListenAddress("", 3))


@pytest.mark.parametrize("line", ["--log.level=debug run --log.level=error", "run --log.level=debug --log.level=error"])
def test_the_last_of_several_values_wins(line: str) -> None:
    """A flag that takes one value takes the last one."""
    assert read(line).log_level == "error"


def test_generating_has_flags_of_its_own() -> None:
    """The command consists of two words; addresses are written as in Prometheus."""
    line = (
        "generate prometheus --config.file=c.yml --endpoint=sd --address=exporter.example --address=[2001:db8::1]:9"
        " --job=nyxmon-east --scrape-interval=1m --timeout-offset=1 --shards=4 --shard=3 --output.file=p.yml"
    )
    assert read(line) == Options(
        command="generate prometheus",
        config_file="c.yml",
        endpoint="sd",
        addresses=("exporter.example:10115", "[2001:db8::1]:9"),
        job="nyxmon-east",
        scrape_interval_seconds=60.0,
        timeout_offset_seconds=1.0,
        shards=4,
        shard=3,
        output_file="p.yml",
    )
    assert read("--grafana.url=https://g.example/ generate rules --web.external-url=http://e.example:1/x/"
                " --runbook.url=https://wiki.example/alerts",
                NYXMON_EXPORTER_CONFIG_FILE="c.yml") == Options(
        command="generate rules", config_file="c.yml", grafana_url="https://g.example",
        external_url="http://e.example:1/x", runbook_url="https://wiki.example/alerts",
    )  # fmt: skip


def test_a_variable_stands_in_for_an_absent_flag() -> None:
    """The flag wins over its variable; lists are separated by blanks."""
    options = read(
        "--log.level=error",
        NYXMON_EXPORTER_LOG_LEVEL="debug",
        NYXMON_EXPORTER_CONFIG_FILE="from-environment.yml",
        NYXMON_EXPORTER_CONFIG_ENABLE_AUTO_RELOAD="false",
        NYXMON_EXPORTER_WEB_LISTEN_ADDRESS=":1 127.0.0.1:2",
        NYXMON_EXPORTER_OUTPUT="not for serve",
    )
    assert options == Options(
        log_level="error",
        config_file="from-environment.yml",
        auto_reload=False,
        listen_addresses=(ListenAddress("", 1), ListenAddress("127.0.0.1", 2)),
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [("WEB_CONFG_FILE", "WEB_CONFIG_FILE"), ("WEB_LISTEN_ADDRESSES", "WEB_LISTEN_ADDRESS"), ("LOGLEVEL", "LOG_LEVEL")],
)
def test_a_misspelled_variable_is_rejected(name: str, meant: str) -> None:
    """As a misspelled flag is: without its web configuration, for example, the server would be open."""
    with pytest.raises(UsageError) as raised:
        read("serve", **{f"NYXMON_EXPORTER_{name}": "x"})
    assert str(raised.value) == f"unknown variable NYXMON_EXPORTER_{name}; did you mean NYXMON_EXPORTER_{meant}?"


@pytest.mark.parametrize("name", ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_10115_TCP_PORT"])
def test_variables_of_kubernetes_are_ignored(name: str) -> None:
    """It adds them to containers when a service is called nyxmon-exporter."""
    assert read("serve", **{f"NYXMON_EXPORTER_{name}": "tcp://10.0.0.1:10115"}) == Options()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--config.flie=x", "unknown flag --config.flie; did you mean --config.file?"),
        ("--zzz", "unknown flag --zzz"),
        ("--foo", "unknown flag --foo"),
        ("--json", "unknown flag --json; write --output=json"),
        ("help", "unknown command help; write --help"),
        ("rum", "unknown command rum; did you mean run?"),
        ("serve shop", "unexpected argument 'shop' after serve"),
        ("--output=json", "--output belongs to run, check-config and import, not to serve"),
        ("schema --web.listen-address=:1", "--web.listen-address belongs to serve and healthcheck, not to schema"),
        ("--config.file", "--config.file needs a value"),
        ("--config.file=", "--config.file: '' is not a path"),
        ("--config.check=yes", "--config.check takes no value"),
        ("--log.level=loud", "--log.level: 'loud' is not one of debug, info, warning, error"),
        ("--history.limit=0", "--history.limit: '0' is not a whole number from 1 to 1000"),
        ("--history.limit=٣", "--history.limit: '٣' is not a whole number from 1 to 1000"),
        ("--timeout-offset=nan", "--timeout-offset: 'nan' is not a duration; write 0.5, 500ms or 1m30s"),
        ("--timeout-offset=1e3", "--timeout-offset: '1e3' is not a duration; write 0.5, 500ms or 1m30s"),
        ("--timeout-offset=", "--timeout-offset: '' is not a duration; write 0.5, 500ms or 1m30s"),
        ("run --budget=5", "--budget: '5' is not a duration; write 5s"),
        ("run --budget=0.5", "--budget: '0.5' is not a duration; write 500ms"),
        ("run --budget=soon", "--budget: 'soon' is not a duration; write 500ms, 5s or 1m30s"),
        ("run --budget=-5", "--budget: '-5' is not a duration; write 500ms, 5s or 1m30s"),
        (
            "generate prometheus --config.file=c --scrape-interval=30",
            "--scrape-interval: '30' is not a duration; write 30s",
        ),
        ("--config.check", "--config.check needs --config.file"),
        ("run --config.check", "--config.check needs --config.file"),
        (
            "--web.listen-address=http://localhost:10115",
            "--web.listen-address: 'http://localhost:10115' is a URL; write only host and port: localhost:10115",
        ),
        (
            "--web.listen-address=http://localhost:10115/metrics",
            (
                "--web.listen-address: 'http://localhost:10115/metrics' is a URL; "
                "write only host and port: localhost:10115"
            ),
        ),
        (
            "--web.listen-address=https://[::1]:1/",
            "--web.listen-address: 'https://[::1]:1/' is a URL; write only host and port: [::1]:1",
        ),
        (
            "--web.listen-address=http://exporter.example/",
            "--web.listen-address: 'http://exporter.example/' is a URL; write only host and port: host:port or :port",
        ),
        (
            "--web.listen-address=http://me:geheim@e.example:1",
            "--web.listen-address: 'http://e.example:1' is a URL; write only host and port: e.example:1",
        ),
        (
            "healthcheck --web.listen-address=http://:10115",
            "--web.listen-address: 'http://:10115' is a URL; write only host and port: host:port or :port",
        ),
        (
            "--web.listen-address=:10115/metrics",
            "--web.listen-address: ':10115/metrics' is a URL; write only host and port: host:port or :port",
        ),
        (
            "generate prometheus --config.file=c --address=http://exporter.example:10115/metrics",
            (
                "--address: 'http://exporter.example:10115/metrics' is a URL; "
                "write only host and port: exporter.example:10115"
            ),
        ),
        ("--timeout-offset=61", "--timeout-offset: '61' is not between 0 s and 60 s"),
        ("--version=1", "--version takes no value"),
        ("run --budget=0s", "--budget: '0s' is not between 0.1 s and 3600 s"),
        ("generate", "generate needs a subcommand: generate rules or generate prometheus"),
        ("generate ruls", "unknown command generate ruls; did you mean generate rules?"),
        ("generate rules", "generate rules needs --config.file"),
        ("generate rules x --config.file=c", "unexpected argument 'x' after generate rules"),
        ("generate rules --config.file=c --job=x", "--job belongs to generate prometheus, not to generate rules"),
        (
            "generate rules --config.file=c --grafana.url=grafana.example",
            "--grafana.url: 'grafana.example' is not a URL such as https://monitoring.example/nyxmon",
        ),
        (
            "generate rules --config.file=c --web.external-url=https://me:secret@e.example",
            "--web.external-url: contains a user name or password, which every link would show",
        ),
        ("--web.unix-socket-mode=rw", "--web.unix-socket-mode: 'rw' is not a mode such as 0660"),
        ("--web.unix-socket-mode=1777", "--web.unix-socket-mode: '1777' is not a mode such as 0660"),
        (
            "--web.external-url=monitoring.example/nyxmon",
            "--web.external-url: 'monitoring.example/nyxmon' is not a URL such as https://monitoring.example/nyxmon",
        ),
        (
            "--web.external-url=https://m.example/a%20b",
            (
                "--web.external-url: '/a%20b' is not a path such as /nyxmon"
                " of letters, digits and the characters - . _ ~"
            ),
        ),
        (
            "--web.route-prefix=/a/../b",
            (
                "--web.route-prefix: '/a/../b' is not a path such as /nyxmon"
                " of letters, digits and the characters - . _ ~"
            ),
        ),
        (
            "--web.route-prefix={name}",
            "--web.route-prefix: '{name}' is not a path such as /nyxmon of letters, digits and the characters - . _ ~",
        ),
        (
            "--web.route-prefix=",
            "--web.route-prefix: '' is not a path such as /nyxmon of letters, digits and the characters - . _ ~",
        ),
        ("generate prometheus --config.file=c --address=:1", "--address: ':1' has no host before its port"),
        ("generate prometheus --config.file=c --job=", "--job: '' is not a name"),
        ("generate prometheus --config.file=c --endpoint=x", "--endpoint: 'x' is not one of metrics, sd, probe"),
        (
            "generate prometheus --config.file=c --shards=2",
            "--shards needs --endpoint=sd or --endpoint=probe; a scrape of /metrics cannot be split",
        ),
        (
            "generate prometheus --config.file=c --endpoint=sd --shards=2 --shard=2",
            "--shard=2 must be less than --shards=2",
        ),
    ],
)
def test_a_mistake_is_rejected_in_one_line(line: str, message: str) -> None:
    """The message names the flag and what is allowed, and suggests the most likely word."""
    with pytest.raises(UsageError) as caught:
        read(line)
    assert str(caught.value) == message


def test_a_bad_variable_is_rejected_by_its_name() -> None:
    """The error names the variable."""
    with pytest.raises(UsageError, match=r"^NYXMON_EXPORTER_LOG_FORMAT: 'xml' is not one of logfmt, json$"):
        read("", NYXMON_EXPORTER_LOG_FORMAT="xml")
    with pytest.raises(UsageError, match=r"^NYXMON_EXPORTER_CONFIG_CHECK: 'yes' is neither true nor false$"):
        read("", NYXMON_EXPORTER_CONFIG_CHECK="yes")


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("", PublicAddress("", "")),
        ("--web.external-url=https://m.example/", PublicAddress("https://m.example", "")),
        ("--web.external-url=https://m.example/a/b/", PublicAddress("https://m.example/a/b", "/a/b")),
        ("--web.external-url=https://m.example/a --web.route-prefix=/", PublicAddress("https://m.example/a", "")),
        ("--web.route-prefix=a/b/", PublicAddress("", "/a/b")),
        ("--web.route-prefix=/..a/b.", PublicAddress("", "/..a/b.")),
    ],
)
def test_the_route_prefix_defaults_to_the_path_of_the_external_url(line: str, address: PublicAddress) -> None:
    """Both are kept without a slash at the end."""
    assert read(line).public_address == address


@pytest.mark.parametrize(("line", "topic"), [("-h", "help"), ("run --help --zzz", "help"), ("--version", "version")])
def test_help_stops_the_parsing(line: str, topic: str) -> None:
    """Help is printed even if the rest of the line is wrong."""
    with pytest.raises(HelpRequested) as caught:
        read(line)
    assert caught.value.topic == topic


def test_the_help_names_every_flag_with_its_default() -> None:
    """The help is complete, no wider than 80 characters, and its defaults are the real ones."""
    text = help_text()
    assert max(map(len, text.splitlines())) <= 80
    defaults = {entry.name: entry.default for entry in dataclasses.fields(Options)}
    for flag in FLAGS:
        assert f"  {', '.join(flag.names)}" in text
        if flag.parse is not None and not flag.default.startswith("the "):
            value = flag.parse(flag.default)
            assert defaults[flag.option] == ((value,) if flag.repeatable else value), flag.name


@pytest.mark.parametrize("command", ["run", "schema", "healthcheck", "generate rules", "generate prometheus"])
def test_commands_have_a_help_of_their_own(command: str) -> None:
    """Each help lists only the command's flags; that of `generate` lists its two commands."""
    with pytest.raises(HelpRequested) as caught:
        read(f"{command} --help")
    text = help_text(caught.value.command)
    assert max(map(len, text.splitlines())) <= 80
    named = set(re.findall(r"^  (?:-v, )?--([a-z.-]+)", text, re.MULTILINE))
    assert named == {flag.name for flag in FLAGS if command in flag.commands}
    assert text.startswith(f"usage: nyxmon-exporter {command} ")
    assert not command.startswith("generate") or f" {command} --config.file=PATH" in help_text("generate")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":10115", ListenAddress("", 10115)),
        ("127.0.0.1:0", ListenAddress("127.0.0.1", 0)),
        ("[::1]:9115", ListenAddress("::1", 9115)),
        ("localhost:80", ListenAddress("localhost", 80)),
        ("[::]:1", ListenAddress("::", 1)),
        ("unix:/run/nyxmon/exporter.sock", UnixAddress("/run/nyxmon/exporter.sock")),
        ("unix:///run/exporter.sock", UnixAddress("/run/exporter.sock")),
    ],
)
def test_listen_addresses_are_read_as_prometheus_writes_them(text: str, address: Address) -> None:
    """A port alone, a host or an address in front of it; IPv6 in brackets."""
    assert parse_listen_address(text) == address
    assert parse_listen_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("10115", "has no port; write :10115, 127.0.0.1:10115 or [::1]:10115"),
        ("", "has no port"),
        ("::1:10115", "needs brackets around its IPv6 address"),
        (":70000", "has port '70000'; a port is a number from 0 to 65535"),
        (":http", "has port 'http'"),
        (":", "has port ''"),
        ("a b:1", "'a b' is not a host name"),
        ("[127.0.0.1:1", "is not a host name"),
        ("unix:exporter.sock", "is not the absolute path of a socket; write unix:/run/nyxmon-exporter.sock"),
        ("unix://run/exporter.sock", "is not the absolute path of a socket"),
        ("unix:/run/", "is not the absolute path of a socket"),
        ("unix:", "is not the absolute path of a socket"),
        (f"unix:/{'x' * 107}", "is too long; the path of a socket has at most 107 bytes"),
    ],
)
def test_bad_listen_addresses_are_rejected(text: str, problem: str) -> None:
    """The message quotes the address and says what is wrong with it."""
    with pytest.raises(ValueError, match=r"^'") as caught:
        parse_listen_address(text)
    assert str(caught.value).startswith(repr(text))
    assert problem in str(caught.value)


@pytest.fixture
def taken() -> Iterator[ListenAddress]:
    """An address that is in use."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield ListenAddress(*other.getsockname())


def test_a_port_alone_takes_both_families() -> None:
    """One socket answers on IPv4 and IPv6."""
    (listener,) = open_listeners((ListenAddress("", 0),))
    with listener:
        port = listener.getsockname()[1]
        assert listener_url(listener) == f"http://localhost:{port}/"
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=5).close()


def test_an_ipv6_address_does_not_take_ipv4() -> None:
    """An address of one family is served only in that family."""
    (listener,) = open_listeners((ListenAddress("::1", 0),))
    with listener:
        port = listener.getsockname()[1]
        assert listener_url(listener) == f"http://[::1]:{port}/"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_all_addresses_are_served_or_none(taken: ListenAddress) -> None:
    """If one address is in use, the others are closed again, and the message names it."""
    port = free_port()
    with pytest.raises(OSError, match=rf"cannot listen on {taken}: Address already in use") as caught:
        open_listeners((ListenAddress("127.0.0.1", port), taken))
    assert caught.value.errno == errno.EADDRINUSE
    socket.create_server(("127.0.0.1", port)).close()


def test_an_address_that_is_not_here_is_named() -> None:
    """The address of another machine, or a name without addresses, cannot be used."""
    for host in ("192.0.2.1", "no-such-host.invalid"):
        with pytest.raises(OSError, match=rf"^\[Errno -?\d+\] cannot listen on {host}:0: \w"):
            open_listeners((ListenAddress(host, 0),))
    with pytest.raises(OSError, match=r"Cannot assign requested address; no interface of this machine has it$"):
        open_listeners((ListenAddress("192.0.2.1", 0),))


@pytest.mark.parametrize(
    ("line", "option", "value"),
    [
        ("-config.file=x", "config_file", "x"),
        ("-config.file x", "config_file", "x"),
        ("-config.check -config.file=x", "config_check", True),
        ("-no-config.enable-auto-reload", "auto_reload", False),
        ("-blackbox.config.file=x", "blackbox_config_file", "x"),
        ("--config.auto-reload-interval=30", "auto_reload_interval_seconds", 30.0),
        ("--timeout-offset=0.25", "timeout_offset_seconds", 0.25),
        ("--log.level=warn", "log_level", "warning"),
        ("--log.prober=info", "log_prober", "info"),
        ("--history.limit=200", "history_limit", 200),
    ],
)
def test_flags_of_blackbox_exporter_are_accepted(line: str, option: str, value: object) -> None:
    """Its flags are accepted under their names, with one dash or two, and numbers of seconds without a unit."""
    assert getattr(read(line), option) == value
