"""The settings of a server."""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Annotated

from cyclopts import Parameter

from uformer.errors import OptionError
from uformer.values import memory_in_bytes, set_types

_PATHS = ("v1", "docs", "page")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where the server listens, who may use it, and its limits.

    Raises OptionError for a value out of range.
    """

    host: str = "127.0.0.1"
    """Address to listen on. An address that other machines can reach needs a token."""
    port: int = 8000
    """TCP port; 0 takes a free one."""
    token: Annotated[str | None, Parameter(env_var="UFORMER_TOKEN")] = field(default=None, repr=False)
    """Token that clients must send as `Authorization: Bearer TOKEN`. UFORMER_TOKEN is safer than --token."""
    insecure: bool = False
    """Listen beyond this machine without a token: everyone on the network may use the server."""
    max_bytes: int = 128_000_000
    """Largest upload, an image and its mask together: bytes, or an amount such as 500MB or 2GB."""
    max_pixels: int = 50_000_000
    """Largest image or mask in pixels, width times height; for a stack, times its planes."""
    queue: int = 8
    """Images that may wait, beyond the one in progress on each device."""
    min_rate: int = 4096
    """Average bytes a second that uploads must bring and readers of responses must take; 0 for no limit."""
    timeout: float = 300
    """Seconds that a request may wait for its image."""
    job_timeout: float = 3600
    """Seconds after which a job is given up."""
    keep: float = 600
    """Seconds that the result of a finished job is kept in memory."""
    max_kept: int = 512 * 2**20
    """Memory for results that are kept, and largest stack, uncompressed: bytes, or an amount such as 500MB or
    2GB. Beyond it, new jobs are refused until results are deleted or expire."""
    hold_memory: str = "25%"
    """Memory for the answers of jobs that clients ask to hold: 500MB, 2GB, or a percentage of the memory
    limit, of which it is a part; 0 for none."""
    grace: float = 8
    """Seconds in which a stopping server finishes images and hands out results. `docker stop` kills it after
    ten."""
    root_path: str = ""
    """Path below which a proxy serves this server, such as /uformer."""

    def __post_init__(self) -> None:
        set_types(self)
        if not 0 <= self.port < 65536:
            raise OptionError(f"port: {self.port} must be between 0 and 65535")
        for name in ("max_bytes", "max_pixels", "max_kept"):
            if getattr(self, name) < 1:
                raise OptionError(f"{name}: {getattr(self, name)} must be at least 1")
        for name in ("queue", "min_rate"):
            if getattr(self, name) < 0:
                raise OptionError(f"{name}: {getattr(self, name)} must not be negative")
        for name in ("timeout", "job_timeout", "keep"):
            if not getattr(self, name) > 0:
                raise OptionError(f"{name}: {getattr(self, name)} must be more than 0 seconds")
        self.held_bytes(0)
        object.__setattr__(self, "root_path", self.root_path.rstrip("/"))
        own = self.root_path.split("/")[1:2] in ([name] for name in _PATHS)
        if own or not re.fullmatch(r"(/[\w.~-]+)*", self.root_path, re.ASCII):
            raise OptionError(
                f"root_path: {self.root_path!r} must be a path such as /uformer that does not begin with one"
                f" of the server's own ({', '.join(_PATHS)})"
            )
        if not self.grace >= 0:
            raise OptionError(f"grace: {self.grace} must not be negative")
        if self.token is not None and not (
            self.token.isascii() and self.token.isprintable() and self.token.strip()
        ):
            raise OptionError("token: must consist of printable ASCII characters and not be blank")
        if not self.local and self.token is None and not self.insecure:
            raise OptionError(
                f"host: other machines can reach {self.host}; set a token (--token or UFORMER_TOKEN), "
                "or pass --insecure to let anyone use the server"
            )

    def held_bytes(self, limit: int) -> int:
        """Return `hold_memory` in bytes, for a process whose memory limit is `limit` bytes.

        Raises OptionError for an amount that cannot be read or is more than half of the limit.
        """
        if self.hold_memory.strip() == "0":
            return 0
        amount = memory_in_bytes(self.hold_memory, free=limit, name="hold_memory")
        if limit and amount > limit / 2:
            raise OptionError(
                f"hold_memory: {self.hold_memory} is more than half of the memory limit of"
                f" {limit // 10**6:,}MB; use less, or raise --memory"
            )
        return amount

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the host."""
        return is_local(self.host)


def is_local(host: str) -> bool:
    """Return whether a host name or address is a loopback one of this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
