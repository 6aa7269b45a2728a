"""Python's search for garbage, kept away from what a start has made: who waits for an answer waits for it too."""

import atexit
import gc

# New objects after which Python looks for garbage: a beat or a page makes some ten thousand, nearly all of them freed
# without.
GARBAGE_AFTER = 20_000


def keep_what_the_start_made() -> None:
    """Garbage is no longer sought in what exists now, and less often in what comes.

    A look through all that a process holds takes 12 ms of a beat in the line, and 110 to 160 in the web process.
    """
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER)
    # Libraries that count their own objects at the end complain of what is never looked at again.
    atexit.register(gc.unfreeze)
