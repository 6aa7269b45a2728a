"""The same 20 values and 6 charts in Streamlit, and viewers of it; run by a Python of its own that has Streamlit.

`python -m venv peers && peers/bin/pip install -r benchmarks/requirements-peers.txt`, then
`python -m benchmarks.viewers --streamlit peers/bin/python`. Nothing of it is needed to run Townboard.
"""

import asyncio
import json
import math
import sys
import time

VALUES, CHARTS, POINTS, EVERY_S = 20, 6, 300, 2.0


def page() -> None:
    """The page, as Streamlit's guide has one that renews itself."""
    import streamlit as st

    st.title("Board")

    @st.fragment(run_every=EVERY_S)
    def board() -> None:
        now = time.time()
        columns = st.columns(5)
        for n in range(VALUES):
            columns[n % 5].metric(f"Value {n}", f"{100 + 10 * math.sin(now / 60 + n):.2f}")
        for n in range(CHARTS):
            st.line_chart([100 + 10 * math.sin((now - EVERY_S * p) / 60 + n) for p in range(POINTS)])

    board()


async def view(port: int, number: int, viewers: int, begin: float, until: float) -> tuple[list[float], int]:
    """One viewer: what the browser's script sends at each tick; seconds until all is there, and bytes."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets.asyncio.client import connect

    late: list[float] = []
    size, fragment = 0, ""

    async with connect(
        f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"], max_size=None, open_timeout=30
    ) as socket:

        async def run() -> None:
            nonlocal size, fragment
            asked = BackMsg()
            asked.rerun_script.fragment_id = fragment
            await socket.send(asked.SerializeToString())
            while True:
                raw = await socket.recv()
                size += len(raw)
                told = ForwardMsg.FromString(raw)
                kind = told.WhichOneof("type")
                if kind == "auto_rerun":
                    fragment = told.auto_rerun.fragment_id
                if kind == "script_finished":
                    return

        await run()
        size, due = 0, begin + number / viewers * EVERY_S
        while due < until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await run()
            late.append(time.monotonic() - due)
            due += EVERY_S
    return late, size


async def watch(port: int, viewers: int, seconds: float) -> None:
    """All viewers; what they saw goes out as JSON."""
    begin = time.monotonic() + 2 + viewers / 20
    tasks = [asyncio.create_task(view(port, n, viewers, begin, begin + seconds)) for n in range(viewers)]
    done, left = await asyncio.wait(tasks, timeout=begin - time.monotonic() + seconds + 6)
    for task in left:
        task.cancel()
    seen = [task.result() for task in done if task.exception() is None]
    print(json.dumps({"late": [at for late, _ in seen for at in late], "bytes": sum(size for _, size in seen)}))


if __name__ == "__main__":
    if len(sys.argv) == 4:
        asyncio.run(watch(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
    else:
        page()
