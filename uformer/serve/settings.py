"""What the operator of a server chooses."""

import ipaddress
from dataclasses import dataclass, field
from typing import Annotated

from cyclopts import Parameter

from uformer.errors import OptionError
from uformer.values import set_types


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the server listens, who may use it, and what a picture may cost. Raises OptionError for a value out of range."""

    host: str = "127.0.0.1"
    """Address to listen at; any but this machine's own needs a token."""
    port: int = 8000
    """TCP port; 0 takes a free one."""
    token: Annotated[str | None, Parameter(env_var="UFORMER_TOKEN")] = field(default=None, repr=False)
    """What clients must send as `Authorization: Bearer TOKEN`; better given as UFORMER_TOKEN, which other users cannot see."""
    insecure: bool = False
    """Listen beyond this machine without a token, for a network where everyone may use the server."""
    max_bytes: int = 128_000_000
    """Largest upload in bytes."""
    max_pixels: int = 50_000_000
    """Largest picture, width times height."""
    queue: int = 8
    """Pictures that may wait, beyond the one at work on each device."""
    min_rate: int = 4096
    """Bytes a second, on average, that an upload must bring and the reader of an answer must take; 0 for no limit."""
    timeout: float = 300
    """Seconds that a request may wait for its picture."""
    job_timeout: float = 3600
    """Seconds after which a job is given up."""
    keep: float = 600
    """Seconds that a finished job's result is kept, in memory."""
    max_kept: int = 512 * 2**20
    """Bytes of results kept at the most; beyond it, jobs are refused until results are deleted or expire."""
    grace: float = 30
    """Seconds that a server told to stop still hands out finished results, once nothing runs any more."""

    def __post_init__(self) -> None:
        set_types(self)
        if not 0 <= self.port < 65536:
            raise OptionError(f"port: {self.port} is not between 0 and 65535")
        for name in ("max_bytes", "max_pixels", "max_kept"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name}: {getattr(self, name)} must be at least 1")
        for name in ("queue", "min_rate"):
            if getattr(self, name) < 0:
                raise OptionError(f"{name}: {getattr(self, name)} must not be negative")
        for name in ("timeout", "job_timeout", "keep"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name}: {getattr(self, name)} must be more than 0 seconds")
        if not self.grace >= 0:
            raise OptionError(f"grace: {self.grace} must not be negative")
        if self.token is not None and not (
            self.token.isascii() and self.token.isprintable() and self.token.strip()
        ):
            raise OptionError("token: must be of printable ASCII characters")
        if not self.local and self.token is None and not self.insecure:
            raise OptionError(
                f"host: {self.host} can be reached by others; give a token (--token, or UFORMER_TOKEN), or --insecure to let anyone use it"
            )

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the host."""
        return is_local(self.host)


def is_local(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
