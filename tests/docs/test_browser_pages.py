"""The pages for browsers need nothing but this server."""

import re

import pytest


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/docs", "/admin/login/"])
def test_a_page_loads_nothing_from_elsewhere(client, path):
    page = client.get(path).text
    loaded = re.findall(r"""(?:src|href|action|spec-url)=["']([^"']+)""", page)
    assert len(loaded) >= 3
    assert [address for address in loaded if not address.startswith(("/", "#", "data:"))] == []
    assert '<link rel="icon" href="data:' in page


def test_what_the_api_page_runs_may_load_nothing_from_elsewhere(client):
    assert "content=\"default-src 'self' 'unsafe-inline' data: blob:\"" in client.get("/docs").text


def test_every_route_is_described_under_its_own_path(client):
    routes = client.get("/openapi.json").json()["paths"]
    told = {(path, method, route["summary"]) for path, each in routes.items() for method, route in each.items()}
    assert ("/api/v1/tokens/{id}", "get", "/tokens/{id}") in told
    assert [path for path, _, summary in told if path != f"/api/v1{summary}"] == []
