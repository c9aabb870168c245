"""What URLs may be called: every spelling of a private place is refused, whatever is written around it."""

import socket
from ipaddress import ip_address

import pytest

from taskmaster.core.outbound import Refused, check_url, read_url
from taskmaster.core.outbound.addresses import refuse_address

LOOPBACK = [
    "http://127.0.0.1/",
    "http://127.0.0.1",
    "HTTP://127.0.0.1:8080/hook?x=1#y",
    "https://127.255.255.254/",
    "http://127.0.0.1./",
    "http://127。0。0。1/",
    "http://127．0．0．1/",
    "http://１２７.0.0.1/",
    "http://①②⑦.0.0.1/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]:3001/",
    "http://[0000::0001]/",
    "http://localhost/",
    "http://LocalHost:3001/api",
    "http://localhost./",
    "http://localhost。/",
    "http://ⅼocalhost/",
    "http://ｌｏｃａｌｈｏｓｔ/",
    "http://anything.localhost/",
    "http://localhost.localdomain/",
    "http://ip6-localhost/",
]
ODD_NUMBERS = [
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7F.1/",
    "http://0177.0.0.1/",
    "http://0177.0x0.0.1/",
    "http://017700000001/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.1./",
    "http://0/",
    "http://0x/",
    "http://00000/",
    "http://127.0.0.01/",
    "http://127.000.000.001/",
    "http://127.0.0.1.1/",
    "http://256.256.256.256/",
    "http://4294967297/",
    "http://٠x.0/",
    "http://example.0x7f/",
    "http://2852039166/",
]
ELSEWHERE_PRIVATE = [
    "http://0.0.0.0/",
    "http://[::]/",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://169.254.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.7/",
    "http://203.0.113.7/",
    "http://192.88.99.1/",
    "http://224.0.0.1/",
    "http://239.255.255.255/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::FFFF:a00:1]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[0:0:0:0:0:ffff:7f00:0001]/",
    "http://[::127.0.0.1]/",
    "http://[::7f00:1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::808:808]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:7f00:0001::1]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[100::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fd20:ce::254]/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[4000::1]/",
    "http://[5f00::1]/",
]
METADATA = [
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://METADATA.Google.Internal./",
    "http://metadata/",
    "http://metadata.goog/",
    "http://x.metadata.goog/",
    "http://instance-data/",
    "http://instance-data.ec2.internal/",
    "http://instance-data.eu-west-1.compute.internal/",
    "http://ｍetadata.google.internal/",
]
MALFORMED = [
    "",
    "example.com",
    "//example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "javascript:alert(1)",
    "http:example.com",
    "http:/example.com",
    "http:///example.com",
    "http://",
    "http://?x",
    "http://user@example.com/",
    "http://user:password@example.com/",
    "http://@example.com/",
    "http://:@example.com/",
    "http://example.com＠127.0.0.1/",
    "http://example.com\\@127.0.0.1/",
    "http://127.0.0.1\\.example.com/",
    "http://%31%32%37.0.0.1/",
    "http://127.0.0.1%00.example.com/",
    "http://%6c%6f%63alhost/",
    "http://[fe80::1%25eth0]/",
    "http://[::1%25lo]/",
    "http://[::1%lo]/",
    "http://[::1",
    "http://[v1.127.0.0.1]/",
    "http://[v1.example]/",
    "http://[127.0.0.1]/",
    "http://[example.com]/",
    "http://[::1].example.com/",
    "http://example..com/",
    "http://.example.com/",
    "http://example.com../",
    "http://-example.com/",
    "http://exam!ple.com/",
    "http://" + "a" * 64 + ".com/",
    "http://" + "a.b" * 100 + ".com/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:80:80/",
    "http://example.com:eighty/",
    "http://example.com/a b",
    "http://example.com/\n",
    " http://example.com/",
    "http://example.com/\tx",
    "http://exam\u200bple.com/",
    "http://l\u00adocalhost/",
    "http://example.com/\u2028",
    "http://example.com/\x00",
    "http://example.com/{x}",
    "http://example.com/" + "x" * 2030,
    None,
    7,
    ["http://example.com/"],
    b"http://example.com/",
]
GOOD = [
    "https://example.com/hook",
    "http://example.com",
    "HTTPS://Example.COM:8443/Hook?a=b&c=%20#d",
    "https://example.com./",
    "https://sub_domain.example.com/",
    "https://例え.jp/フック",
    "https://xn--r8jz45g.jp/",
    "https://8.8.8.8/",
    "https://172.32.0.1:9000/",
    "https://[2606:4700:4700::1111]/",
    "https://nobody-there.invalid/",
    "http://intranet/",
    "https://mylocalhost.example/",
    "https://metadata.example.com/",
    "https://instance-data.example.com/",
    "https://127.example.com/",
    "https://0x7f.example.com/",
    "https://10.0.0.1.example.com/",
    "https://example.com/" + "x" * (2048 - len("https://example.com/")),
]


def nobody(host: str, port: int) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "no such name")


@pytest.mark.parametrize("url", [*LOOPBACK, *ODD_NUMBERS, *ELSEWHERE_PRIVATE, *METADATA, *MALFORMED])
def test_it_is_refused_without_being_looked_up(url: object) -> None:
    def never(host: str, port: int) -> list[str]:
        raise AssertionError(f"{host} was looked up")

    with pytest.raises(Refused) as caught:
        check_url(url, allow_loopback=False, lookup=never)
    assert str(caught.value).split()[0] in {"must", "may", "has", "is", "does"}


@pytest.mark.parametrize("url", [*ODD_NUMBERS, *ELSEWHERE_PRIVATE, *METADATA, *MALFORMED])
def test_allowing_loopback_allows_nothing_else(url: object) -> None:
    with pytest.raises(Refused):
        check_url(url, allow_loopback=True, lookup=nobody)


@pytest.mark.parametrize("url", LOOPBACK)
def test_loopback_may_be_allowed(url: str) -> None:
    assert check_url(url, allow_loopback=True, lookup=nobody).scheme in {"http", "https"}


@pytest.mark.parametrize("url", GOOD)
def test_any_other_name_or_address_is_accepted(url: str) -> None:
    assert check_url(url, allow_loopback=False, lookup=nobody).raw_host
    assert check_url(url, allow_loopback=False, lookup=lambda host, port: ["8.8.8.8"]).raw_host


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "::ffff:7f00:1"]
)
def test_a_name_that_leads_to_a_private_place_is_refused(address: str) -> None:
    with pytest.raises(Refused):
        check_url("https://example.com/", allow_loopback=False, lookup=lambda host, port: ["8.8.8.8", address])


def test_with_loopback_allowed_a_name_may_lead_there_and_to_no_other_private_place() -> None:
    check_url("https://example.com/", allow_loopback=True, lookup=lambda host, port: ["127.0.0.1", "::1"])
    with pytest.raises(Refused):
        check_url("https://example.com/", allow_loopback=True, lookup=lambda host, port: ["127.0.0.1", "10.0.0.1"])


def test_the_name_that_is_looked_up_is_the_one_that_will_be_called() -> None:
    asked: list[tuple[str, int]] = []

    def lookup(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["8.8.8.8"]

    parsed = check_url("https://例え.jp/フック", allow_loopback=False, lookup=lookup)
    assert asked == [("xn--r8jz45g.jp", 443)]
    assert str(parsed) == "https://xn--r8jz45g.jp/%E3%83%95%E3%83%83%E3%82%AF"


def test_reading_looks_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    assert str(read_url("https://example.com/a", allow_loopback=False)) == "https://example.com/a"


def test_the_system_is_asked_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(host: str, port: int, **more: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.9.8.7", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(Refused, match=r"^may not lead to a private address$"):
        check_url("https://inside.example/", allow_loopback=False)


# The other way round than the code: by what a block is for, asked of Python's own registry where that is right.
@pytest.mark.parametrize("text", ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "2606:4700::1", "2a00::1"])
def test_public_addresses_are_taken(text: str) -> None:
    assert ip_address(text).is_global
    refuse_address(text, allow_loopback=False)


def test_an_address_of_one_link_alone_is_refused() -> None:
    with pytest.raises(Refused):
        refuse_address("2606:4700::1%eth0", allow_loopback=False)


@pytest.mark.parametrize("first", range(256))
def test_what_python_knows_to_be_private_is_refused(first: int) -> None:
    for rest in ("0.0.0", "0.0.1", "64.0.1", "88.99.1", "168.0.1", "254.169.254", "18.0.1", "255.255.255"):
        address = ip_address(f"{first}.{rest}")
        if not address.is_global or address.is_multicast:
            with pytest.raises(Refused):
                refuse_address(str(address), allow_loopback=False)
