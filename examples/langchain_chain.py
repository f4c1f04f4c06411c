"""A LangChain chain with a memory: `prompt | SessionRunnable | parser`, streamed, left, and gone on with.

Runs without a key. Run it twice: the conversation is in ./langchain_chain.db and goes on.
"""

from __future__ import annotations

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig

from langswarm_sessions import create_session_manager
from langswarm_sessions_langchain import SessionChatMessageHistory, SessionRunnable


def main() -> None:
    manager = create_session_manager(storage="sqlite", storage_config={"db_path": "langchain_chain.db"}, blocking=True)
    prompt = ChatPromptTemplate.from_messages([("system", "You are a {role}."), ("human", "{question}")])
    memory = prompt | SessionRunnable(manager=manager, provider="mock", model="mock-model")
    chain = memory | StrOutputParser()
    config: RunnableConfig = {"configurable": {"session_id": "trip", "user_id": "alice"}}

    # Streamed like any chain.
    for piece in chain.stream({"role": "guide", "question": "Where shall I sleep in Rome?"}, config):
        print(piece, end="", flush=True)
    print()

    # A reader that leaves early keeps what it has read; the conversation goes on behind it.
    # (Behind a parser, LangChain's blocking stream would read on to the end; its async one would not.)
    for _ in memory.stream({"role": "guide", "question": "Tell me everything about Rome."}, config):
        break
    print(chain.invoke({"role": "guide", "question": "Where shall I eat?"}, config))

    print("\nWhat is stored:")
    for message in manager.get_session("trip").get_messages():
        print(f"  {message.role:<9} {message.status:<11} {message.content}")

    # The same conversation for code that wants LangChain's history interface.
    history = SessionChatMessageHistory(manager=manager.manager, session_id="trip", user_id="alice")
    print(f"\n{len(history.messages)} messages as a model may be given them")
    manager.close()


if __name__ == "__main__":
    main()
