"""The contract of ADK's session services, and what those it brings get wrong."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events import Event, EventActions
from google.adk.sessions import InMemorySessionService, Session
from google.adk.sessions.base_session_service import BaseSessionService, GetSessionConfig
from google.genai import types

from langswarm_sessions import SessionManager, create_session_manager
from langswarm_sessions.errors import InvalidInputError, SessionArchivedError
from langswarm_sessions_frameworks.google_adk import AdkSessionService

ADA: dict[str, Any] = {"app_name": "trips", "user_id": "ada"}


def event(text: str = "hi", *, author: str = "user", state: dict[str, Any] | None = None, **fields: Any) -> Event:
    role = "user" if author == "user" else "model"
    content = types.Content(role=role, parts=[types.Part(text=text)])
    return Event(
        author=author, invocation_id="i1", content=content, actions=EventActions(state_delta=state or {}), **fields
    )


async def read(service: BaseSessionService, session_id: str = "s1", **config: Any) -> Session:
    wanted = GetSessionConfig(**config) if config else None
    session = await service.get_session(**ADA, session_id=session_id, config=wanted)
    assert session is not None
    return session


class TestSessions:
    async def test_it_is_read_as_it_was_created(self, service: AdkSessionService) -> None:
        made = await service.create_session(**ADA, state={"a": 1, "user:b": 2, "app:c": 3, "temp:d": 4})
        assert made.state == {"a": 1, "user:b": 2, "app:c": 3}
        assert await read(service, made.id) == made

    async def test_an_id_is_taken_once_for_a_user_of_an_app(self, service: AdkSessionService) -> None:
        await service.create_session(**ADA, session_id="s1", state={"of": "ada"})
        with pytest.raises(AlreadyExistsError):
            await service.create_session(**ADA, session_id=" s1 ")
        others: list[dict[str, Any]] = [{**ADA, "user_id": "eve"}, {**ADA, "app_name": "other"}]
        for key in others:
            assert await service.get_session(**key, session_id="s1") is None
            made = await service.create_session(**key, session_id="s1", state={"of": str(key)})
            await service.append_event(made, event(f"of {key}"))
            again = await service.get_session(**key, session_id="s1")
            assert again is not None
            assert (again.id, again.state["of"], len(again.events)) == ("s1", str(key), 1)
        assert (await read(service)).state == {"of": "ada"}

    async def test_of_many_creators_one_succeeds(self, service: AdkSessionService) -> None:
        made = await asyncio.gather(
            *(service.create_session(**ADA, session_id="s1") for _ in range(8)), return_exceptions=True
        )
        assert [type(one) for one in made].count(AlreadyExistsError) == 7

    async def test_one_whose_creation_broke_off_is_created(self, service: AdkSessionService, manager: Any) -> None:
        await manager.create_session("ada", "framework", "google-adk", session_id="s1")
        assert await service.get_session(**ADA, session_id="s1") is None
        await service.create_session(**ADA, session_id="s1", state={"a": 1})
        assert (await read(service)).state == {"a": 1}

    async def test_a_deleted_one_is_gone_and_its_id_free(self, service: AdkSessionService, manager: Any) -> None:
        for number in range(3):
            made = await service.create_session(**ADA, session_id="s1", state={"number": number})
            await service.append_event(made, event(f"event {number}"))
            await service.delete_session(**ADA, session_id="s1")
            assert await service.get_session(**ADA, session_id="s1") is None
            with pytest.raises(SessionNotFoundError):
                await service.append_event(made, event("late"))
        await service.delete_session(**ADA, session_id="s1")
        made = await service.create_session(**ADA, session_id="s1")
        assert (made.state, made.events) == ({}, [])
        await manager.restore_session("s1")
        assert [words(one) for one in (await read(service)).events] == ["event 0"]

    async def test_there_is_none(self, service: AdkSessionService) -> None:
        assert await service.get_session(**ADA, session_id="none") is None
        with pytest.raises(SessionNotFoundError):
            await service.append_event(Session(id="none", **ADA), event())
        with pytest.raises(SessionNotFoundError):
            await service.loss_report(**ADA, session_id="none")

    async def test_ids_of_ours_open_nothing(self, service: AdkSessionService, manager: SessionManager) -> None:
        await service.create_session(app_name="trips", user_id="eve", session_id="s1")
        await service.create_session(**ADA, session_id="s1", state={"user:a": 1})
        for session in await manager.search_sessions():
            if session.session_id != "s1":
                assert await service.get_session(**ADA, session_id=session.session_id) is None

    async def test_a_copy_that_was_made_another_user_s_writes_nothing(self, service: AdkSessionService) -> None:
        made = await service.create_session(**ADA, session_id="s1")
        stolen = made.model_copy(update={"user_id": "eve"})
        with pytest.raises(SessionNotFoundError):
            await service.append_event(stolen, event("mine", state={"user:a": 1}))
        assert (await read(service)).events == []
        assert await service.get_user_state(app_name="trips", user_id="eve") == {}

    async def test_wrong_names_are_refused(self, service: AdkSessionService) -> None:
        wrong: list[dict[str, Any]] = [{"user_id": ""}, {"app_name": " "}, {"session_id": "x" * 201}]
        for names in wrong:
            with pytest.raises(InvalidInputError):
                await service.create_session(**{**ADA, **names})

    async def test_an_archived_one_is_read_and_not_written(self, service: AdkSessionService, manager: Any) -> None:
        made = await service.create_session(**ADA, session_id="s1")
        await manager.archive_session("s1")
        assert (await read(service)).id == "s1"
        with pytest.raises(SessionArchivedError):
            await service.append_event(made, event())


class TestListing:
    async def test_without_events_the_newest_last(self, service: AdkSessionService) -> None:
        made = [await service.create_session(**ADA, session_id=f"s{number}") for number in range(3)]
        await service.create_session(app_name="other", user_id="ada")
        await service.create_session(app_name="trips", user_id="eve", session_id="s0", state={"user:e": 1})
        await service.append_event(made[0], event(state={"a": 1, "app:b": 2, "user:c": 3}))

        mine = (await service.list_sessions(**ADA)).sessions
        assert [session.id for session in mine] == ["s1", "s2", "s0"]
        assert [session.events for session in mine] == [[], [], []]
        assert mine[2].state == {"a": 1, "app:b": 2, "user:c": 3}
        assert mine[0].state == {"app:b": 2, "user:c": 3}
        everybody = (await service.list_sessions(app_name="trips")).sessions
        assert [(session.user_id, session.id) for session in everybody][2:] == [("eve", "s0"), ("ada", "s0")]
        assert everybody[2].state == {"app:b": 2, "user:e": 1}

    async def test_in_pages(self, service: AdkSessionService) -> None:
        for number in range(5):
            await service.create_session(**ADA, session_id=f"s{number}")
        seen: list[str] = []
        cursor = None
        while True:
            page = await service.list_page(**ADA, limit=2, cursor=cursor)
            seen += [session.id for session in page]
            if (cursor := page.next_cursor) is None:
                break
        assert seen == ["s4", "s3", "s2", "s1", "s0"]

    async def test_one_whose_tags_were_replaced_comes_back_with_its_next_event(
        self, service: AdkSessionService, manager: Any
    ) -> None:
        await service.create_session(**ADA, session_id="s1")
        await (await manager.get_session("s1")).update_config({"tags": ["vip"]})
        await service.append_event(await read(service), event())
        assert [session.id for session in (await service.list_sessions(**ADA)).sessions] == ["s1"]
        assert "vip" in (await manager.get_session("s1")).config.tags


class TestEvents:
    async def test_some_of_them_are_read(self, service: AdkSessionService) -> None:
        made = await service.create_session(**ADA, session_id="s1")
        for number in range(6):
            await service.append_event(made, event(f"{number}", timestamp=1000.1 + number))
        configs: list[dict[str, Any]] = [
            {},
            {"num_recent_events": 2},
            {"num_recent_events": 0},
            {"num_recent_events": 10},
            {"after_timestamp": 1003.1},
            {"after_timestamp": 1003.1, "num_recent_events": 1},
            {"after_timestamp": 0.0},
            {"after_timestamp": 2000.0},
        ]
        for config in configs:
            theirs = InMemorySessionService()
            there = await theirs.create_session(**ADA, session_id="s1")
            for one in made.events:
                await theirs.append_event(there, one.model_copy(deep=True))
            assert (await read(service, **config)).events == (await read(theirs, **config)).events, config

    async def test_a_partial_one_is_passed_on(self, service: AdkSessionService) -> None:
        made = await service.create_session(**ADA, session_id="s1")
        partial = event("h", author="guide", partial=True)
        assert await service.append_event(made, partial) is partial
        assert (made.events, (await read(service)).events) == ([], [])

    async def test_everything_an_event_holds_comes_back(self, service: AdkSessionService) -> None:
        made = await service.create_session(**ADA, session_id="s1")
        parts = [
            types.Part(text="hm", thought=True, thought_signature=b"\xff\xfe"),
            types.Part(text="Look:"),
            types.Part(inline_data=types.Blob(data=b"\xff\xfb\xfe", mime_type="image/png", display_name="dot.png")),
            types.Part(file_data=types.FileData(file_uri="gs://b/a.mp3", mime_type="audio/mpeg")),
            types.Part(executable_code=types.ExecutableCode(code="1+1", language=types.Language.PYTHON)),
            types.Part(function_call=types.FunctionCall(id="c1", name="weather", args={"city": None})),
        ]
        whole = Event(
            author="guide",
            invocation_id="i1",
            branch="guide.other",
            content=types.Content(role="model", parts=parts),
            actions=EventActions(state_delta={"k": None, "n": 0.1 + 0.2}, transfer_to_agent="other", escalate=True),
            long_running_tool_ids={"c1"},
            grounding_metadata=types.GroundingMetadata(web_search_queries=["oslo"]),
            custom_metadata={"x": [1, None]},
            output={"done": None},
            timestamp=1795282413.1902027,
        )
        silent = Event(author="guide", invocation_id="i1", actions=EventActions(end_of_agent=True))
        for one in (whole, silent):
            await service.append_event(made, one)
        assert (await read(service)).events == [whole, silent]
        assert (await service.loss_report(**ADA, session_id="s1")).is_lossless

    async def test_one_that_is_appended_again_is_stored_once(self, service: AdkSessionService) -> None:
        made = await service.create_session(**ADA, session_id="s1")
        one = event(state={"a": 1})
        await service.append_event(made, one)
        await service.append_event(made, event(state={"a": 2}))
        await service.append_event(await read(service), one.model_copy(deep=True))
        again = await read(service)
        assert (len(again.events), again.state) == (2, {"a": 2})

    async def test_a_copy_that_was_not_told_goes_on_once_it_appends_again(self, service: AdkSessionService) -> None:
        made = await service.create_session(**ADA, session_id="s1")
        untold = await read(service)
        results = [
            types.Part(function_response=types.FunctionResponse(id=call_id, name="f", response={"result": "done"}))
            for call_id in ("c1", "c2")
        ]
        for one in (event("one"), Event(author="guide", content=types.Content(role="user", parts=results))):
            await service.append_event(made, one.model_copy(deep=True))
            await service.append_event(untold, one)
        assert [one.id for one in untold.events] == [one.id for one in made.events]
        await service.append_event(untold, event("last"))
        assert [words(one) for one in (await read(service)).events] == ["one", "", "last"]

    async def test_another_one_under_the_same_id_is_kept(self, service: AdkSessionService) -> None:
        made = await service.create_session(**ADA, session_id="s1")
        await service.append_event(made, event("one", id="same"))
        await service.append_event(made, event("two", id="same"))
        events = (await read(service)).events
        assert [(one.id, words(one)) for one in events] == [("same", "one"), ("same", "two")]

    async def test_what_json_cannot_hold_is_named(self, service: AdkSessionService) -> None:
        made = await service.create_session(**ADA, session_id="s1", state={"f": print})
        await service.append_event(made, event(state={"nan": float("nan"), "o": object()}))
        assert (await read(service)).state == {
            "f": "<builtins.builtin_function_or_method>",
            "nan": None,
            "o": "<builtins.object>",
        }


class TestStaleCopies:
    async def test_the_second_writer_is_told(self, service: AdkSessionService) -> None:
        await service.create_session(**ADA, session_id="s1")
        first, second = await read(service), await read(service)
        await service.append_event(first, event("first", state={"app:n": 1}))
        with pytest.raises(StaleSessionError):
            await service.append_event(second, event("second", state={"s": 2, "app:n": 2, "user:n": 2}))
        again = await read(service)
        assert ([words(one) for one in again.events], again.state) == (["first"], {"app:n": 1})

    async def test_in_another_process(self, service: AdkSessionService, db_path: str) -> None:
        made = await service.create_session(**ADA, session_id="s1")
        async with create_session_manager(storage="sqlite", storage_config={"db_path": db_path}) as other:
            theirs = AdkSessionService(other)
            await theirs.append_event(await read(theirs), event("theirs"))
        with pytest.raises(StaleSessionError):
            await service.append_event(made, event("ours"))

    async def test_of_many_at_once_one_succeeds(self, service: AdkSessionService) -> None:
        await service.create_session(**ADA, session_id="s1")
        copies = [await read(service) for _ in range(8)]
        outcomes = await asyncio.gather(
            *(service.append_event(copy, event()) for copy in copies), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes].count(StaleSessionError) == 7
        assert len((await read(service)).events) == 1

    async def test_neither_clocks_nor_upkeep_make_a_copy_stale(self, service: AdkSessionService, manager: Any) -> None:
        made = await service.create_session(**ADA, session_id="s1")
        await service.append_event(made, event(timestamp=4e9))
        await service.append_event(made, event(timestamp=1.0))
        here = await manager.get_session("s1")
        await here.update_context({"noted": True})
        await here.update_config({"name": "Trip"})
        await manager.archive_session("s1")
        await manager.restore_session("s1")
        await service.append_event(made, event("last", timestamp=1.0000001))
        again = await read(service)
        assert [one.timestamp for one in again.events] == [4e9, 1.0, 1.0000001]
        await service.append_event(await read(service, num_recent_events=1), event("more"))

    async def test_appends_of_one_copy_at_once_are_ordered(self, service: AdkSessionService) -> None:
        made = await service.create_session(**ADA, session_id="s1")
        await asyncio.gather(*(service.append_event(made, event(f"{number}")) for number in range(8)))
        assert [words(one) for one in (await read(service)).events] == [words(one) for one in made.events]

    async def test_a_copy_made_by_hand_goes_by_its_last_event(self, service: AdkSessionService) -> None:
        made = await service.create_session(**ADA, session_id="s1")
        by_hand = Session(id="s1", **ADA)
        await service.append_event(by_hand, event("one"))
        with pytest.raises(StaleSessionError):
            await service.append_event(made, event("two"))
        known = Session(id="s1", **ADA, events=list(by_hand.events))
        await service.append_event(known, event("three"))
        with pytest.raises(StaleSessionError):
            await service.append_event(Session(id="s1", **ADA), event("four"))


class TestState:
    async def test_it_is_shared_as_its_prefix_says(self, service: AdkSessionService) -> None:
        made = await service.create_session(**ADA, session_id="s1")
        await service.append_event(made, event(state={"a": 1, "user:b": {"x": [1]}, "app:c": 3, "temp:d": 4}))
        assert made.state == {"a": 1, "user:b": {"x": [1]}, "app:c": 3, "temp:d": 4}
        assert "temp:d" not in made.events[0].actions.state_delta
        assert (await read(service)).state == {"a": 1, "user:b": {"x": [1]}, "app:c": 3}
        second = await service.create_session(**ADA)
        assert second.state == {"user:b": {"x": [1]}, "app:c": 3}
        assert (await service.create_session(app_name="trips", user_id="eve")).state == {"app:c": 3}
        assert (await service.create_session(app_name="other", user_id="ada")).state == {}
        assert await service.get_user_state(**ADA) == {"b": {"x": [1]}}
        assert await service.get_user_state(app_name="trips", user_id="eve") == {}

    async def test_writers_at_once_lose_nothing_of_each_other(self, service: AdkSessionService) -> None:
        made = [await service.create_session(**ADA) for _ in range(8)]
        await asyncio.gather(
            *(
                service.append_event(one, event(state={f"app:k{number}": number, f"user:k{number}": number}))
                for number, one in enumerate(made)
            )
        )
        state = (await read(service, made[0].id)).state
        assert state == {f"{scope}:k{number}": number for scope in ("app", "user") for number in range(8)}

    async def test_it_is_stored_with_its_event_or_not_at_all(self, service: AdkSessionService, manager: Any) -> None:
        made = await service.create_session(**ADA, session_id="s1", state={"a": 1, "app:b": 1, "user:c": 1})
        change = {"a": 2, "app:b": 2, "user:c": 2}
        with pytest.raises(InvalidInputError):
            await service.append_event(made, event("half a \ud800 pair", state=change))
        with pytest.raises(AlreadyExistsError):
            await service.create_session(**ADA, session_id="s1", state=change)
        await manager.archive_session("s1")
        with pytest.raises(SessionArchivedError):
            await service.append_event(made, event("late", state=change))
        again = await read(service)
        assert (again.state, again.events) == ({"a": 1, "app:b": 1, "user:c": 1}, [])

    async def test_it_outlives_being_cleaned_up_as_long_as_it_is_used(
        self, service: AdkSessionService, manager: Any
    ) -> None:
        await service.create_session(**ADA, session_id="s1", state={"user:b": 2, "app:c": 3})
        for _ in range(2):
            await manager.cleanup_inactive_sessions(0)
            await manager.cleanup_archived_sessions(0)
            assert await service.get_user_state(**ADA) == {"b": 2}
            assert (await service.create_session(**ADA, state={"app:d": 4})).state["app:c"] == 3

    async def test_an_agent_s_state_is_the_session_s_context(self, service: AdkSessionService, manager: Any) -> None:
        await service.create_session(**ADA, session_id="s1", state={"mood": "fine"})
        here = await manager.get_session("s1")
        assert (await here.get_context()).get("mood") == "fine"
        await here.update_context({"mood": "better"})
        await here.update_context({"langswarm_sessions:another_adapter": {"kept": "apart"}})
        assert (await read(service)).state == {"mood": "better"}


def words(one: Event) -> str:
    return "".join(part.text or "" for part in (one.content.parts or [] if one.content else []))
