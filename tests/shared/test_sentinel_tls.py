"""TLS to Sentinels and to the Redis that they name, by host name or by address."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from deploy.local.ports import free_ports
from deploy.local.programs import ensure_programs
from deploy.local.redis import Redis
from deploy.local.server import ServerTls
from shared.redis import client as redis_client
from shared.security.tls import explain
from tests.support.certificates import Authority

# The certificate is for this name, but not for the address behind it.
NAME, ADDRESS = "localhost", "127.0.0.1"
OTHER_HOST = "certificate is not valid for '127.0.0.1'"
OTHER_CA = "self-signed certificate in certificate chain"


class EncryptedSentinel(Redis):
    """A Sentinel that is reached by TLS alone, and reaches its master so."""

    def __init__(
        self, folder: Path, port: int, tls: ServerTls, tls_port: int, master: tuple[str, int]
    ) -> None:
        super().__init__(folder, port, durable=False, tls=(tls, tls_port))
        self._master = master

    def _prepare(self) -> None:
        super()._prepare()
        (self.folder / "sentinel.conf").write_text(
            "sentinel resolve-hostnames yes\n"
            "sentinel announce-hostnames yes\n"
            f"sentinel monitor dialpass {self._master[0]} {self._master[1]} 1\n"
        )

    def _command(self) -> list[str]:
        program, *options = super()._command()
        tls = options[options.index("--tls-port") :]
        network = options[: options.index("--appendonly")]
        return [
            program,
            str(self.folder / "sentinel.conf"),
            "--sentinel",
            *network,
            *tls,
            "--tls-replication",
            "yes",
        ]


@dataclass(frozen=True)
class Encrypted:
    """A Redis with TLS, its authority, and another one."""

    folder: Path
    tls: ServerTls
    other_ca: Path
    redis_port: int

    @contextmanager
    def sentinel(self, announced: str) -> Iterator[str]:
        """Start a Sentinel that announces the server by a name or address; yield its URL."""
        ports = free_ports(["sentinel", "tls"])
        folder = self.folder / f"announces-{announced}"
        master = (announced, self.redis_port)
        sentinel = EncryptedSentinel(folder, ports["sentinel"], self.tls, ports["tls"], master)
        sentinel.start()
        try:
            yield f"rediss+sentinel://{NAME}:{ports['tls']}/dialpass/0?sentinel_ssl=true"
        finally:
            sentinel.stop()


@pytest.fixture(name="encrypted", scope="module")
def _encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    ensure_programs()
    folder = tmp_path_factory.mktemp("tls")
    tls = Authority(folder / "right", "the right authority").issue(NAME)
    other = Authority(folder / "other", "another authority")
    ports = free_ports(["redis", "tls"])
    redis = Redis(folder / "redis", ports["redis"], durable=False, tls=(tls, ports["tls"]))
    redis.start()
    yield Encrypted(folder, tls, other.ca, ports["tls"])
    redis.stop()


async def refusal(url: str) -> str | None:
    """Return why a server is refused, or None if it answers."""
    client = redis_client.connect(url)
    try:
        await client.ping()
    except RedisError as error:
        return explain(error) or str(error)
    else:
        return None
    finally:
        await client.aclose()


async def test_sentinels_and_their_master_are_encrypted_and_verified(encrypted: Encrypted) -> None:
    with encrypted.sentinel(NAME) as url:
        assert await refusal(f"{url}&ssl_ca_certs={encrypted.tls.ca}") is None
        assert await refusal(f"{url}&ssl_ca_certs={encrypted.other_ca}")


async def test_a_master_announced_by_its_address_is_verified_by_its_authority_alone(
    encrypted: Encrypted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an operator's Sentinels announce pods, whose addresses no certificate names."""
    with encrypted.sentinel(ADDRESS) as url:
        right, other = f"ssl_ca_certs={encrypted.tls.ca}", f"ssl_ca_certs={encrypted.other_ca}"
        assert OTHER_HOST in (await refusal(f"{url}&{right}") or "")
        assert await refusal(f"{url}&{right}&ssl_check_hostname=false") is None
        # An authority that this machine trusts is not enough where names are not looked at. It lets the
        # client through to the Sentinel, whose name is verified.
        monkeypatch.setenv("SSL_CERT_FILE", str(encrypted.tls.ca))
        assert OTHER_CA in (await refusal(f"{url}&{other}&ssl_check_hostname=false") or "")
