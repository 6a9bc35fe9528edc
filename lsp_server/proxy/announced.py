"""What daemons have asked of the editor, so that the next one does not ask it again."""

from __future__ import annotations

from collections.abc import Iterator

from lsp_server.messages import Json, encode, notification, result_response

_CREATE_PROGRESS = "window/workDoneProgress/create"
_REGISTER, _UNREGISTER = "client/registerCapability", "client/unregisterCapability"


class Announced:
    """Registrations, progress and open requests, as the editor knows them.

    The editor has one server for all its life; daemons come and go behind it.
    """

    def __init__(self) -> None:
        self._asked: dict[int | str, int] = {}  # the daemon (1, 2, ...) whose request is open
        self._num_daemons = 1
        self._registered: dict[bytes, str] = {}  # what was registered, and the editor's id for it
        self._editor_ids: dict[str, str] = {}  # this daemon's id to the editor's
        self._progress: dict[str | int, bool] = {}  # tokens, and whether they have begun

    def ask(
        self, message: dict[str, Json]
    ) -> tuple[dict[str, Json] | None, dict[str, Json] | None]:
        """Take in a request of the daemon.

        Returns:
            What to ask the editor, which is ``message`` itself where nothing of it is known yet,
            and what to answer the daemon; one of them is ``None``.
        """
        method = message["method"]
        params: Json = message.get("params")
        try:
            if method == _CREATE_PROGRESS:
                is_known = params["token"] in self._progress
                self._progress.setdefault(params["token"], False)
                if is_known:
                    return None, result_response(message["id"], None)
            elif method == _REGISTER:
                return self._register(message)
            elif method == _UNREGISTER:
                message = self._unregister(message)
        except (AttributeError, KeyError, TypeError):
            pass  # malformed: the editor will say so
        self._asked[message["id"]] = self._num_daemons
        return message, None

    def is_answer_wanted(self, msg_id: int | str | None) -> bool:
        """Whether the editor's response answers this daemon; a former one can use it no more."""
        return msg_id is not None and self._asked.pop(msg_id, None) == self._num_daemons

    def note(self, message: dict[str, Json]) -> None:
        """Take in a notification of the daemon."""
        if message["method"] != "$/progress":
            return
        try:
            token, kind = message["params"]["token"], message["params"]["value"]["kind"]
            if kind == "begin":
                self._progress[token] = True
            elif kind == "end":
                self._progress.pop(token, None)
        except (KeyError, TypeError):
            return  # partial results have no kind

    def end_daemon(self) -> Iterator[dict[str, Json]]:
        """Yield what the editor must be told as the daemon cannot: progress has ended."""
        self._num_daemons += 1
        self._editor_ids.clear()
        for token in [token for token, has_begun in self._progress.items() if has_begun]:
            del self._progress[token]
            yield notification("$/progress", {"token": token, "value": {"kind": "end"}})

    def _register(
        self, message: dict[str, Json]
    ) -> tuple[dict[str, Json] | None, dict[str, Json] | None]:
        registrations = message["params"]["registrations"]
        fresh = [entry for entry in registrations if not self._is_registered(entry)]
        if not fresh:
            return None, result_response(message["id"], None)
        self._asked[message["id"]] = self._num_daemons
        if len(fresh) == len(registrations):
            return message, None
        return {**message, "params": {"registrations": fresh}}, None

    def _is_registered(self, entry: dict[str, Json]) -> bool:
        """Whether the editor has this already, perhaps under another id; remembers it."""
        what = encode({"method": entry["method"], "options": entry.get("registerOptions")})
        is_known = what in self._registered
        self._editor_ids[entry["id"]] = self._registered.setdefault(what, entry["id"])
        return is_known

    def _unregister(self, message: dict[str, Json]) -> dict[str, Json]:
        """Return the request with the ids that the editor knows."""
        key = "unregisterations"  # LSP's spelling
        entries = [
            {**entry, "id": self._editor_ids.pop(entry["id"], entry["id"])}
            for entry in message["params"][key]
        ]
        gone = {entry["id"] for entry in entries}
        self._registered = {what: id_ for what, id_ in self._registered.items() if id_ not in gone}
        return {**message, "params": {key: entries}}
