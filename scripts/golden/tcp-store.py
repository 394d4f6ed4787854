"""Writes test/golden/tcp-store.json: the bytes that PyTorch's own client of TCPStore sends, and those that its server answers.

    python3 scripts/golden/tcp-store.py

A proxy between the two notes them, call by call. Needs torch and nothing else; no GPU. The four bytes of a ping are the client's
process number, and stand as zeros.
"""

import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import torch
from torch.distributed import TCPStore

TARGET = Path(__file__).resolve().parents[2] / "test" / "golden" / "tcp-store.json"
BRIEF = timedelta(milliseconds=100)
SETTLED_S = 0.3


class Proxy:
    """Passes on one connection, and notes what goes by."""

    def __init__(self, port: int) -> None:
        self.sent, self.received = b"", b""
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._pass_on, daemon=True).start()

    def _pass_on(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._server))
        while True:
            for source in select.select([client, server], [], [])[0]:
                data = source.recv(65536)
                if not data:
                    return
                if source is client:
                    self.sent += data
                    server.sendall(data)
                else:
                    self.received += data
                    client.sendall(data)

    def take(self) -> dict[str, str]:
        time.sleep(SETTLED_S)
        taken = {"sent": self.sent.hex(), "received": self.received.hex()}
        self.sent, self.received = b"", b""
        return taken


def expired(call: Callable[[], object]) -> None:
    try:
        call()
    except Exception as error:  # torch.distributed.DistStoreError, whose name moves between versions
        assert "timeout" in str(error).lower(), error
    else:
        raise AssertionError("must time out")


def record() -> list[dict[str, str]]:
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    proxy = Proxy(server.port)
    calls = []

    def note(call: str) -> None:
        calls.append({"call": call, **proxy.take()})

    client = TCPStore("127.0.0.1", proxy.port, is_master=False, wait_for_workers=False)
    note("connect")
    client.set("name", b"value")
    note("set")
    # It waits for the keys by itself before it gets them.
    client.wait(["name", "name"])
    waited = proxy.take()
    client.multi_get(["name", "name"])
    got = proxy.take()
    calls.append({"call": "get", **{name: got[name].removeprefix(waited[name]) for name in got}})
    client.check(["name"])
    note("has")
    client.check(["absent"])
    note("has not")
    client.wait(["name"])
    note("wait")
    expired(lambda: client.wait(["name", "absent"], BRIEF))
    note("wait in vain")
    client.delete_key("name")
    note("delete")
    nonce = struct.pack("<I", os.getpid()).hex()
    calls[0] = {name: text.replace(nonce, "00000000") for name, text in calls[0].items()}
    return calls


if __name__ == "__main__":
    origin = {"torch": torch.__version__.split("+")[0], "script": "scripts/golden/tcp-store.py"}
    TARGET.write_text(json.dumps({**origin, "calls": record()}, indent=2) + "\n")
