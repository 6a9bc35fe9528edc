"""Settings files of the folders that an editor has open, seen by the requests they shape."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_server.settings import Settings
from lsp_server.trust import TrustStore

Connect = Callable[..., Any]
Initialize = Callable[..., Any]
WAIT = {"server.wait_for_model": "true"}


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    made = [tmp_path / name for name in ("first", "second", "outside")]
    for folder in made:
        folder.mkdir()
    return made


def write(folder: Path, content: str) -> None:
    (folder / ".fimble.toml").write_text(content)


def workspace(*folders: Path) -> dict[str, Any]:
    return {"workspaceFolders": [{"uri": f.as_uri(), "name": f.name} for f in folders]}


async def top_k(client: Any, service: Any, uri: str) -> int:
    """Return the setting as a request in the document ``uri`` sees it."""
    client.open("x = ", uri=uri)
    await client.response(client.complete(0, 4, uri=uri, triggerKind=1))
    return int(service.requests[-1].top_k)


async def test_a_document_follows_its_own_folder(
    connected: Connect, initialize: Initialize, service: Any, folders: list[Path]
) -> None:
    first, second, outside = folders
    inner = second / "inner"
    inner.mkdir()
    for number, folder in enumerate((first, second, inner), 1):
        write(folder, f"completion.top_k = {number}\n")
    async with connected(**WAIT) as client:
        await initialize(client, **workspace(first, second, inner))
        for folder, expected in ((first, 1), (second, 2), (inner, 3), (outside, 0)):
            assert await top_k(client, service, (folder / "a.py").as_uri()) == expected
        assert await top_k(client, service, "untitled:Untitled-1") == 1


async def test_the_first_folder_chooses_the_model(
    connected: Connect, initialize: Initialize, folders: list[Path]
) -> None:
    write(folders[0], "prompt.suffix_share = 0.1\n")
    write(folders[1], 'prompt.suffix_share = 0.2\nmodel.name = "smollm2-135m"\n')
    connection = connected()
    async with connection as client:
        await initialize(client, **workspace(*folders))
        await client.no_further_response()
        for folder in folders:
            settings = connection.server.settings_for(str(folder / "a.py"))
            assert settings.prompt.suffix_share == 0.1
            assert settings.model.name == Settings().model.name


async def test_a_client_outranks_a_projects_file(
    connected: Connect, initialize: Initialize, service: Any, folders: list[Path]
) -> None:
    write(folders[0], "completion.top_k = 1\ncompletion.num_candidates = 2\n")
    async with connected(**WAIT) as client:
        sent = {"initializationOptions": {"completion": {"top_k": 9}}}
        await initialize(client, **workspace(folders[0]), **sent)
        assert await top_k(client, service, (folders[0] / "a.py").as_uri()) == 9
    assert service.requests[-1].num_candidates == 2


async def test_folders_that_come_and_go_bring_and_take_their_settings(
    connected: Connect, initialize: Initialize, service: Any, folders: list[Path]
) -> None:
    write(folders[1], "completion.top_k = 2\n")
    uri = (folders[1] / "a.py").as_uri()
    second = {"uri": folders[1].as_uri(), "name": "second"}
    async with connected(**WAIT) as client:
        await initialize(client, **workspace(folders[0]))
        assert await top_k(client, service, uri) == 0
        for event, expected in (
            ({"added": [second], "removed": []}, 2),
            ({"added": [], "removed": [second]}, 0),
        ):
            client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
            assert await top_k(client, service, uri) == expected


@pytest.mark.parametrize("how", ["didSave", "didChangeWatchedFiles", "didChangeConfiguration"])
async def test_a_file_that_changed_counts_from_the_next_request(
    connected: Connect, initialize: Initialize, service: Any, folders: list[Path], how: str
) -> None:
    uri = (folders[0] / "a.py").as_uri()
    file_uri = (folders[0] / ".fimble.toml").as_uri()
    async with connected(**WAIT) as client:
        await initialize(client, **workspace(folders[0]))
        assert await top_k(client, service, uri) == 0
        write(folders[0], "completion.top_k = 5\n")
        if how == "didSave":
            client.notify("textDocument/didSave", {"textDocument": {"uri": file_uri}})
        elif how == "didChangeWatchedFiles":
            changes = [{"uri": file_uri, "type": 1}]
            client.notify("workspace/didChangeWatchedFiles", {"changes": changes})
        else:
            client.notify("workspace/didChangeConfiguration", {"settings": {}})
        assert await top_k(client, service, uri) == 5


async def test_what_a_hostile_project_asks_for_is_told_and_left_out(
    connected: Connect, initialize: Initialize, service: Any, folders: list[Path]
) -> None:
    evil = 'model.name = "./weights"\nhttp.host = "0.0.0.0"\n'
    write(folders[0], f"completion.top_k = 4\n{evil}")
    connection = connected(**WAIT)
    async with connection as client:
        await initialize(client, **workspace(folders[0]))
        told = (await client.notification("window/showMessage"))["params"]["message"]
        assert await top_k(client, service, (folders[0] / "a.py").as_uri()) == 4
        settings = connection.server.settings
    assert "model.name, http.host" in told
    assert "fimble config trust" in told
    assert settings.http.host == "127.0.0.1"
    assert "weights" not in settings.model.name


async def test_a_trusted_project_gets_what_it_asks_for(
    connected: Connect, initialize: Initialize, folders: list[Path]
) -> None:
    write(folders[0], 'model.cache_dir = "weights"\n')
    TrustStore().trust(folders[0], (folders[0] / ".fimble.toml").read_bytes())
    connection = connected()
    async with connection as client:
        await initialize(client, **workspace(folders[0]))
        await client.no_further_response()
        assert connection.server.settings.model.cache_dir == str(folders[0] / "weights")


async def test_a_mistake_is_told_once_though_the_file_is_read_often(
    connected: Connect, initialize: Initialize, folders: list[Path]
) -> None:
    write(folders[0], "completion.top_p = 7\n")
    async with connected() as client:
        await initialize(client, **workspace(folders[0]))
        for _ in range(3):
            client.notify("workspace/didChangeConfiguration", {"settings": {}})
        await client.no_further_response()
        told = [m for m in client.notifications if m["method"] == "window/showMessage"]
    assert len(told) == 1


async def test_a_client_that_can_watch_files_is_asked_to(
    connected: Connect, initialize: Initialize
) -> None:
    watching = {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}
    async with connected() as client:
        await initialize(client, capabilities=watching)
        asked = await client.notification("client/registerCapability")
        client.send({"id": asked["id"], "result": None})
    (registration,) = asked["params"]["registrations"]
    assert registration["registerOptions"]["watchers"] == [{"globPattern": "**/.fimble.toml"}]
