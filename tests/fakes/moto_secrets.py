"""moto's Secrets Manager, with one current version of a secret as AWS has.

A version that is put after UpdateSecretVersionStage has moved the label leaves moto with two that
are current, of which it answers with the older one: a write over a newer login went unseen.
"""

from moto.secretsmanager.models import FakeSecret

_CURRENT = "AWSCURRENT"
_reset = FakeSecret.reset_default_version


def _reset_default_version(secret, version, version_id):
    for name, one in secret.versions.items():
        if _CURRENT in one["version_stages"]:
            secret.default_version_id = name
    _reset(secret, version, version_id)


def keep_one_current() -> None:
    """Hold for every mock of this process."""
    FakeSecret.reset_default_version = _reset_default_version
