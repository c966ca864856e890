"""A security module in software: SoftHSM with tokens of its own. SOFTHSM2_MODULE names its library."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

LIBRARY_PATHS = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
TOKEN_LABEL = "youka"
PIN, OFFICER_PIN = "pin-of-the-token-8472", "pin-of-the-officer-9911"


def library_path() -> str:
    """Return the path of SoftHSM's library, or skip."""
    pytest.importorskip("pkcs11", reason="NOT TESTED: keys in a security module need python-pkcs11")
    found = [path for path in (os.environ.get("SOFTHSM2_MODULE", ""), *LIBRARY_PATHS) if path and Path(path).exists()]
    if not found or shutil.which("softhsm2-util") is None:
        pytest.skip("NOT TESTED: keys in a security module need SoftHSM; install softhsm2, or set SOFTHSM2_MODULE")
    return found[0]


class SoftHsm:
    """One token, in a folder. Its keys come by the tool of SoftHSM, which is a process of its own."""

    def __init__(self, folder: Path, *, like: SoftHsm | None = None) -> None:
        self.path = library_path()
        self.tokens, self.configuration = folder / "tokens", folder / "softhsm2.conf"
        self.configuration.write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self._keys: int = like._keys if like else 0
        if like:
            shutil.copytree(like.tokens, self.tokens)
        else:
            self.tokens.mkdir()
            self._run("--init-token", "--free", "--label", TOKEN_LABEL, "--so-pin", OFFICER_PIN, "--pin", PIN)

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.configuration)}

    @property
    def settings(self) -> dict[str, Any]:
        return {"pkcs11_module_path": self.path, "pkcs11_token_label": TOKEN_LABEL, "pkcs11_pin": PIN}

    def put(self, key: Path, label: str) -> None:
        """Put a private key, a file in PKCS #8, into the token."""
        self._keys += 1
        number = f"{self._keys:02X}"
        self._run("--import", str(key), "--token", TOKEN_LABEL, "--label", label, "--id", number, "--pin", PIN)

    def take_out(self) -> None:
        """Let the token be gone, and the device with it."""
        self.tokens.rename(self.tokens.with_name("elsewhere"))
        self.tokens.mkdir()
        self.reset()

    def put_back(self) -> None:
        self.tokens.rmdir()
        self.tokens.with_name("elsewhere").rename(self.tokens)

    def reset(self) -> None:
        """Have this process's library forget every session and login, as a device does that loses its power."""
        ctypes.CDLL(self.path).C_Finalize(None)

    def _run(self, *arguments: str) -> None:
        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            ["softhsm2-util", "--module", self.path, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
