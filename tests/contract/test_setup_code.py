"""Set-up code of agents with the real client, which validates every answer strictly. Spec: P24."""

from __future__ import annotations

import pytest
from openai import NotFoundError, OpenAI

from mockserver.testing import Mock


@pytest.fixture
def client():
    with (
        Mock() as mock,
        OpenAI(base_url=mock.base_url, api_key="k", max_retries=0, _strict_response_validation=True) as client,
    ):
        yield client


def test_files(client: OpenAI) -> None:
    file = client.files.create(
        file=('ü "x".txt', b"a\r\n--b\r\n"),
        purpose="assistants",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert (file.filename, file.bytes) == ('ü "x".txt', 8)
    assert client.files.retrieve(file.id) == file
    assert client.files.wait_for_processing(file.id) == file
    assert client.files.content(file.id).read() == b"a\r\n--b\r\n"
    assert [one.id for one in client.files.list(limit=1)] == [file.id]
    assert client.files.delete(file.id).deleted
    with pytest.raises(NotFoundError):
        client.files.retrieve(file.id)


def test_a_file_search_agent_is_set_up_and_runs(client: OpenAI) -> None:
    store = client.vector_stores.create(name="docs", expires_after={"anchor": "last_active_at", "days": 7})
    one = client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=("a.txt", b"hello"))
    batch = client.vector_stores.file_batches.upload_and_poll(store.id, files=[("b.txt", b"1"), ("c.txt", b"2")])
    assert (one.status, batch.status, batch.file_counts.completed) == ("completed", "completed", 2)
    assert client.vector_stores.retrieve(store.id).file_counts.total == 3
    assert len(list(client.vector_stores.files.list(store.id, limit=2))) == 3, "over two pages"
    assert len(list(client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id))) == 2
    assert client.vector_stores.files.content(one.id, vector_store_id=store.id).data[0].text == "hello"
    client.vector_stores.files.update(one.id, vector_store_id=store.id, attributes={"year": 2026})
    assert client.vector_stores.update(store.id, metadata={"a": "b"}).metadata == {"a": "b"}
    tools = [{"type": "file_search", "vector_store_ids": [store.id]}]
    assert client.responses.create(model="gpt-4.1", input="find it", tools=tools).status == "completed"
    assert client.vector_stores.files.delete(one.id, vector_store_id=store.id).deleted
    assert [found.id for found in client.vector_stores.list()] == [store.id]
    assert client.vector_stores.delete(store.id).deleted


def test_a_code_interpreter_agent_is_set_up_and_runs(client: OpenAI) -> None:
    file = client.files.create(file=("a.csv", b"1,2"), purpose="user_data")
    container = client.containers.create(
        name="c", file_ids=[file.id], expires_after={"anchor": "last_active_at", "minutes": 5}
    )
    assert client.containers.retrieve(container.id).status == "running"
    own = client.containers.files.create(container.id, file=("b.bin", b"\x00\xff"))
    copy = client.containers.files.create(container.id, file_id=file.id)
    assert client.containers.files.retrieve(copy.id, container_id=container.id).bytes == 3
    assert client.containers.files.content.retrieve(own.id, container_id=container.id).read() == b"\x00\xff"
    assert len(list(client.containers.files.list(container.id))) == 3
    tools = [{"type": "code_interpreter", "container": container.id}]
    assert client.responses.create(model="gpt-4.1", input="run it", tools=tools).status == "completed"
    client.containers.files.delete(own.id, container_id=container.id)
    assert [one.id for one in client.containers.list()] == [container.id]
    client.containers.delete(container.id)
