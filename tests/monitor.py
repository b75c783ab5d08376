"""Records the commands that a server runs."""

import threading

from tests.servers import Server


class Monitor:
    """Records with MONITOR the commands that a server runs until `stop`.

    Each command is a pair: the type of its client (`lua` for a script's command) and its words, without empty ones.
    """

    def __init__(self, server: Server) -> None:
        self._client = server.connect()
        self._monitor = self._client.monitor()
        self._monitor.__enter__()
        self._lines: list[tuple[str, list[str]]] = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        for line in self._monitor.listen():
            command = line["command"].split()
            if command == ["ECHO", "stop"]:
                return
            self._lines.append((line["client_type"], command))

    def stop(self) -> list[tuple[str, list[str]]]:
        self._client.echo("stop")
        self._thread.join()
        self._monitor.__exit__(None, None, None)
        self._client.close()
        return self._lines
