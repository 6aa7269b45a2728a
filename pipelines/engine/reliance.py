"""What an asset belongs to and depends on, however far up: whose trouble explains that nothing comes from it."""

from collections.abc import Iterator, Mapping

import polars as pl

RELIES = pl.Schema({"asset": pl.String(), "on": pl.String(), "firmly": pl.Boolean()})


def relies(assets: pl.DataFrame) -> pl.DataFrame:
    """Every asset with each asset above it. `firmly`: by `depends_on` alone, so that already its silence explains ours.

    Shape: RELIES.
    """
    parents = dict(assets.select("asset", "parent").drop_nulls().iter_rows())
    needs = {asset: text.split() for asset, text in assets.select("asset", "depends_on").drop_nulls().iter_rows()}
    rows = [(asset, on, firmly) for asset in assets["asset"] for on, firmly in _above(asset, parents, needs)]
    return pl.DataFrame(rows, schema=RELIES, orient="row")


def known(assets: pl.DataFrame) -> set[str]:
    """The cells of `depends_on` that name only assets that there are."""
    there = set(assets["asset"])
    return {text for text in assets["depends_on"].drop_nulls() if set(text.split()) <= there}


def _above(asset: str, parents: Mapping[str, str], needs: Mapping[str, list[str]]) -> Iterator[tuple[str, bool]]:
    """What stands above an asset: first all that it firmly depends on, then the rest, each once."""
    seen, firm, loose = {asset}, list(needs.get(asset, ())), []
    while firm:
        on = firm.pop()
        if on not in seen:
            seen.add(on)
            yield on, True
            firm += needs.get(on, ())
    loose = [parents[each] for each in seen if each in parents]
    while loose:
        on = loose.pop()
        if on not in seen:
            seen.add(on)
            yield on, False
            loose += [*needs.get(on, ()), *([parents[on]] if on in parents else [])]
