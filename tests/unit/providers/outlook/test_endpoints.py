"""Which names a cloud's permissions are written out with."""

import pytest

from shared.providers.outlook.endpoints import MicrosoftEndpoints


@pytest.mark.parametrize(
    ("graph", "resource"),
    [
        ("https://graph.microsoft.com", "https://graph.microsoft.com"),
        ("https://graph.microsoft.us", "https://graph.microsoft.us"),
        ("https://microsoftgraph.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn"),
        ("https://127.0.0.1:4443", "https://graph.microsoft.com"),
    ],
)
def test_a_national_clouds_permissions_bear_its_own_name(graph, resource):
    assert MicrosoftEndpoints(graph=graph).resource == resource
