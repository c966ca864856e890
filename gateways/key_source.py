"""Keys and addresses of third parties as the settings name them, and what is wrong with those settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import SecretStr

from gateways.signing import KeyUnreadable, MemorySigner, ModuleFailed, Signer, load_aes_key, load_private_key
from kernel.settings import Settings

if TYPE_CHECKING:
    from gateways.pkcs11_signer import SecurityModule

K = TypeVar("K")
MODULE_SETTINGS = ("pkcs11_module_path", "pkcs11_token_label", "pkcs11_pin")


class ThirdPartySettingsWrong(Exception):
    """Settings of third parties that are missing or unreadable; the message names each of them."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("the third parties cannot be reached:\n  " + "\n  ".join(problems))


class KeySource:
    """Reads keys as the settings name them. In development the sandbox's own files stand in for what is not set."""

    def __init__(self, settings: Settings) -> None:
        self.problems: list[str] = []
        self._settings = settings
        self._sandbox_folder = settings.data_dir / "sandbox" / "keys"
        self._module: SecurityModule | None = None
        self._module_problem, self._labels = False, dict[str, str]()

    def url(self, name: str, real: str) -> str:
        given = str(getattr(self._settings, name))
        if given:
            return given
        if self._settings.development:
            return self._settings.sandbox_url
        return real or self.problem(name, "is not set", "")

    def text(self, name: str) -> str:
        given = getattr(self._settings, name)
        value = given.get_secret_value() if isinstance(given, SecretStr) else str(given)
        return value or self._from_sandbox(name, name)

    def require(self, *names: str) -> None:
        """Note each of the settings that is not given; in development the defaults do."""
        settings = self._settings
        for name in names:
            given = name in settings.model_fields_set and getattr(settings, name)
            if not given and not settings.development:
                self.problem(name, "is not set", None)

    def is_expected(self, *names: str) -> bool:
        """Whether settings that belong together are to be read: any of them is given, or the sandbox stands in."""
        return self._settings.development or any(getattr(self._settings, name) for name in names)

    def key(self, name: str, load: Callable[[bytes], K]) -> K | None:
        """Load the file that a `…_path` setting names."""
        path: Path | None = getattr(self._settings, name)
        try:
            pem = path.read_bytes() if path else self._from_sandbox(name, name.removesuffix("_path") + ".pem").encode()
            return load(pem) if pem else None
        except OSError as error:
            return self.problem(name, f"names {path}, which cannot be read: {error.strerror}", None)
        except KeyUnreadable as error:
            return self.problem(name, f"is {error}", None)

    def signer(self, name: str) -> Signer | None:
        """Return the key of a `…_private_key`: in the file at its `…_path`, or in the module under its `…_pkcs11`."""
        label, path = getattr(self._settings, f"{name}_pkcs11"), getattr(self._settings, f"{name}_path")
        if not label:
            key = self.key(f"{name}_path", load_private_key)
            return MemorySigner(key) if key else None
        if path:
            return self.problem(f"{name}_pkcs11", f"is set, and YOUKA_{name.upper()}_PATH as well: keep one", None)
        module = self._security_module(f"{name}_pkcs11")
        if module is None:
            return None
        self._labels[f"{name}_pkcs11"] = label
        return module.signer(label)

    async def prove_signers(self) -> None:
        """Have the security module sign once with each key, and note what is wrong with it."""
        for name, label in self._labels.items():
            assert self._module is not None
            try:
                await self._module.prove(label)
            except ModuleFailed as error:
                told = f"YOUKA_{(error.setting or name).upper()} {error.problem}"
                if told not in self.problems:
                    self.problems.append(told)
                # What is wrong with the token is wrong for all of its keys.
                if error.setting:
                    return

    async def close(self) -> None:
        if self._module is not None:
            await self._module.close()

    def _security_module(self, name: str) -> SecurityModule | None:
        if self._module is None and not self._module_problem:
            missing = [each for each in MODULE_SETTINGS if not getattr(self._settings, each)]
            for each in missing:
                self.problem(each, f"is not set, but YOUKA_{name.upper()} is", None)
            self._module = None if missing else self._load_security_module()
            self._module_problem = self._module is None
        return self._module

    def _load_security_module(self) -> SecurityModule | None:
        try:
            from gateways.pkcs11_signer import SecurityModule, Token  # noqa: PLC0415 - an extra that few install
        except ModuleNotFoundError:
            return self.problem("pkcs11_module_path", "needs python-pkcs11, the extra `pkcs11`", None)
        settings = self._settings
        token = Token(
            module_path=str(settings.pkcs11_module_path),
            label=settings.pkcs11_token_label,
            pin=settings.pkcs11_pin.get_secret_value(),
        )
        return SecurityModule(token, sessions_max=settings.pkcs11_sessions_max, timeout_s=settings.pkcs11_timeout_s)

    def aes_key(self, name: str) -> bytes | None:
        value = self.text(name)
        try:
            return load_aes_key(value) if value else None
        except KeyUnreadable as error:
            return self.problem(name, f"is {error}", None)

    def _from_sandbox(self, name: str, file_name: str) -> str:
        if not self._settings.development:
            return self.problem(name, "is not set", "")
        path = self._sandbox_folder / file_name
        try:
            content = path.read_text("ascii").strip()
        except OSError:
            content = ""
        return content or self.problem(name, f"is not set, and {path} is not there: start the sandbox first", "")

    def problem(self, name: str, problem: str, stand_in: K) -> K:
        """Note what is wrong with a setting, and return what stands in for it until all are told."""
        self.problems.append(f"YOUKA_{name.upper()} {problem}")
        return stand_in
