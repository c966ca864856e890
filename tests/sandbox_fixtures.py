"""The sandbox of third parties as tests use it: the real process on a free port, with a data folder of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from kernel.settings import Settings
from tests.patience import DATABASE_PATIENCE
from tests.services import find_free_port

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
WAIT_TIMEOUT_S = 60.0
POLL_INTERVAL_S = 0.02

# The pipe to the process closes when the tests end, in whatever way, and takes the process along.
GUARDED = """
import os, runpy, signal, threading
def guard():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=guard, daemon=True).start()
runpy.run_module("sandbox", run_name="__main__")
"""

T = TypeVar("T")


class Sandbox:
    """A running sandbox. Plain methods block for a few milliseconds; it never waits for a server inside the tests."""

    def __init__(self, data_dir: Path, port: int) -> None:
        self.data_dir, self.port = data_dir, port
        self.url = f"http://127.0.0.1:{port}"
        self.log = data_dir / "sandbox.log"
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=WAIT_TIMEOUT_S)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def keys(self) -> Path:
        return self.data_dir / "sandbox" / "keys"

    def settings(self, **changes: Any) -> Settings:
        """Return settings of a server that talks to this sandbox; `changes` replace fields."""
        return Settings(**{"data_dir": self.data_dir, "sandbox_port": self.port, **DATABASE_PATIENCE, **changes})

    def control(self, action: str, **body: Any) -> Any:
        """POST to `/control/{action}` and return the answer. Raises httpx.HTTPStatusError for a refusal."""
        response = self.client.post(f"/control/{action}", json=body)
        response.raise_for_status()
        return response.json()

    def state(self) -> Any:
        """Return what the sandbox knows: payments, refunds, recharges, faces and callbacks (newest first), faults."""
        return self.client.get("/control/state").raise_for_status().json()

    def login_code(self, user: str = "demo") -> str:
        return str(self.control("wx-login", user=user)["code"])

    def pay(self, package: str, *, force: bool = False) -> Any:
        """Pay like the user; `package` is that of the payment parameters, or the prepay id."""
        return self.control("pay", package=package, force=force)

    def alipay_code(self, user: str = "demo") -> str:
        """Return what `my.getAuthCode` gives the user's mini-program."""
        return str(self.control("alipay-code", user=user)["code"])

    def pay_alipay(self, trade_no: str, *, force: bool = False) -> Any:
        """Pay like the user, by the number that the payment parameters hold."""
        return self.control("pay-alipay", trade_no=trade_no, force=force)

    def alipay_payment(self, out_trade_no: str) -> Any:
        return self._one("alipay_payments", "out_trade_no", out_trade_no)

    def faults(self, **modes: Any) -> None:
        """Ask for faults of sandbox/faults.py. Without `times` they hold until cleared.

        Those of one sub-merchant: `faults(**{"payment:1900000209": "error_500"})`.
        """
        self.control("faults", **modes)

    def clear_faults(self) -> None:
        self.control("faults", clear=True)

    def settle_recharge(self, attempt_id: object, state: str) -> Any:
        """Have the issuer say SUCCEEDED, REFUSED or REVERSED, also of what is settled already."""
        return self.control("settle", attempt_id=str(attempt_id), state=state)

    def settle_refund(self, out_refund_no: str, state: str) -> Any:
        """Bring a refund to SUCCESS, ABNORMAL or CLOSED."""
        return self.control("settle", out_refund_no=out_refund_no, state=state)

    def repeat_callbacks(self, subject: object, order: str = "at_once") -> int:
        """Send the callbacks about a number again, and held ones now: at_once, oldest_first or newest_first."""
        return int(self.control("repeat-callbacks", subject=str(subject), order=order)["repeated"])

    def verify_face(self, token: str, outcome: str = "passed") -> Any:
        """Play the user in front of the camera: passed, failed or expired."""
        return self.control("face", token=token, outcome=outcome)

    def face(self, token: str) -> Any:
        return self._one("faces", "token", token)

    def payment(self, out_trade_no: str) -> Any:
        return self._one("payments", "out_trade_no", out_trade_no)

    def refund(self, out_refund_no: str) -> Any:
        return self._one("refunds", "out_refund_no", out_refund_no)

    def recharge(self, attempt_id: object) -> Any:
        return self._one("recharges", "attempt_id", str(attempt_id))

    def callbacks(self, subject: object) -> list[Any]:
        """Return the callbacks about an out_trade_no, an out_refund_no or an attempt id."""
        return [each for each in self.state()["callbacks"] if each["subject"] == str(subject)]

    def _one(self, kind: str, name: str, value: str) -> Any:
        found = [each for each in self.state()[kind] if each[name] == value]
        return found[0] if found else None

    async def wait_until(self, what: Callable[[], T]) -> T:
        """Return the first true value of `what`, asking again and again while the loop runs on."""
        deadline = time.monotonic() + WAIT_TIMEOUT_S
        while not (value := what()):
            assert time.monotonic() < deadline, f"it never came to be; the sandbox's log:\n{self._log_tail()}"
            await asyncio.sleep(POLL_INTERVAL_S)
        return value

    def start(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("YOUKA_")}
        environment = {**kept, "SANDBOX_PORT": str(self.port), "DATA_DIR": str(self.data_dir)}
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", GUARDED],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the sandbox did not start:\n{self._log_tail()}")
            time.sleep(POLL_INTERVAL_S)

    def stop(self) -> None:
        """Stop the process. `start` may bring it back with the same keys and memory."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"the sandbox did not stop:\n{self._log_tail()}") from None

    def close(self) -> None:
        self.stop()
        self.client.close()

    def _answers(self) -> bool:
        try:
            return self.client.get("/healthz").is_success
        except httpx.TransportError:
            return False

    def _log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-4_000:]


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for the whole run, so that its keys are made once."""
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"), find_free_port())
    sandbox.start()
    yield sandbox
    sandbox.close()


@pytest.fixture
def sandbox(sandbox_process: Sandbox) -> Sandbox:
    """The running sandbox, without the faults that the test before has asked for."""
    sandbox_process.clear_faults()
    return sandbox_process
