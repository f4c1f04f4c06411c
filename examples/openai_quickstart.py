"""A conversation with OpenAI, or with any server that speaks its Responses API.

pip install 'langswarm-sessions[openai]'
export OPENAI_API_KEY=...            # and OPENAI_BASE_URL for another server
python examples/openai_quickstart.py MODEL
"""

from __future__ import annotations

import asyncio
import os
import sys

from langswarm_sessions import SessionError, create_session_manager

EXAMPLE_MODEL = "gpt-6.1-terra"  # name the one you want to pay for


async def main(model: str) -> None:
    # None: the key is taken from OPENAI_API_KEY. It is never stored.
    async with create_session_manager(storage="memory", providers={"openai": None}) as manager:
        session = await manager.create_session(
            "ada", "openai", model, provider_config={"max_tokens": 300, "instructions": "Answer in one sentence."}
        )
        for line in ("My name is Ada and I keep bees.", "What is my name?"):
            print(f"you:   {line}\nmodel: ", end="")
            # The provider keeps the conversation: each turn sends only what is new.
            async for chunk in session.send_message_stream(line):
                print(chunk, end="", flush=True)
            print()

        metrics = await session.get_metrics()
        print(f"\n{metrics.total_tokens} tokens, {metrics.avg_response_time_ms:.0f} ms per answer")
        print(f"the provider's id of this conversation: {session.provider_session_id}")


if os.environ.get("OPENAI_API_KEY"):
    try:
        asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else EXAMPLE_MODEL))
    except SessionError as error:  # every error of this library, each with what to do about it
        sys.exit(f"{type(error).__name__}: {error}")
else:
    print("Set OPENAI_API_KEY (and OPENAI_BASE_URL for a server of your own) to run this example.")
