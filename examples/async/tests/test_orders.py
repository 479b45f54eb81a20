"""Tests that are coroutines, run by the plugin of anyio; with that of pytest-asyncio they look the same."""

import asyncio

import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.tables("customers")]


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_a_listener_hears_of_a_new_customer(pgslate_database):
    async with (
        await pgslate_database.async_connect(autocommit=True) as listener,
        await pgslate_database.async_connect(autocommit=True) as writer,
    ):
        await listener.execute("LISTEN customers")
        await writer.execute("INSERT INTO customers (name) VALUES ('Ada')")
        await writer.execute("NOTIFY customers, 'Ada'")
        async for notify in listener.notifies(timeout=10, stop_after=1):
            assert notify.payload == "Ada"


async def test_two_customers_at_once_get_two_numbers(pgslate_database):
    async def insert(name):
        async with await pgslate_database.async_connect(autocommit=True) as connection:
            cursor = await connection.execute("INSERT INTO customers (name) VALUES (%s) RETURNING id", [name])
            return await cursor.fetchone()

    assert len(set(await asyncio.gather(insert("Ada"), insert("Grace")))) == 2
