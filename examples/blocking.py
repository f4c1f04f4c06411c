"""The same without await: for scripts, threads, and notebooks. Run: python examples/blocking.py"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from langswarm_sessions import create_session_manager

# Every method of the manager and its sessions is there, under the same name.
with create_session_manager(storage="memory", blocking=True) as manager:
    session = manager.create_session("ada", "mock", "mock-model", session_id="shopping")

    reply = session.send_message("Two pounds of flour, please.")
    print(reply.content)

    # Sessions are found again by their id, in this process or in another one.
    same = manager.get_session("shopping")
    for chunk in same.send_message_stream("And a dozen eggs."):
        print(chunk, end="", flush=True)
    print()

    # Several threads may talk at once. Turns of one session wait for each other: pairs never mix.
    with ThreadPoolExecutor(max_workers=4) as threads:
        list(threads.map(same.send_message, ["Milk.", "Salt.", "Butter.", "Tea."]))

    for message in same.get_messages():
        print(f"  {message.role:9} {message.content}")
