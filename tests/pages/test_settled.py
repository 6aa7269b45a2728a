"""What of a page React is handed: only what a callback needs; all else is the same page as markup."""

from typing import Any

from dash import dcc, html
from hypothesis import given
from hypothesis import strategies as st

from components.drawing import Drawing
from components.first_paint import to_html
from components.settled import named, settled

CALLBACKS: dict[str, Any] = {
    "..table.children...ask.data..": {"inputs": [{"id": "size", "property": "value"}], "state": [{"id": "of", "property": "data"}]},
    "other.children": {"inputs": []},
}  # fmt: skip
LEAVES = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.integers(0, 99),
    st.just(Drawing("<svg></svg>", "spark")),
    st.builds(lambda: html.Img(src="/a.svg", alt="a")),
    st.builds(lambda: dcc.Store(id="of", data=1)),
)
TREES = st.recursive(
    LEAVES,
    lambda below: st.builds(
        lambda make, children, name, hint: make(children, className="c", title=hint, **({"id": name} if name else {})),
        st.sampled_from((html.Div, html.Section, html.P, html.Details)),
        st.lists(below, max_size=4),
        st.sampled_from((None, "table", "size", "quiet")),
        st.text(max_size=4),
    ),
    max_leaves=30,
)


def ids(node: Any) -> set[str]:
    """The ids that Dash's renderer would find."""
    if isinstance(node, list | tuple):
        return set().union(*map(ids, node))
    own = {node.id} if getattr(node, "id", None) else set()
    return own | ids(list(getattr(node, "children", None) or [])) if not isinstance(node, str | int | None) else set()


def test_named_are_the_ids_of_outputs_inputs_and_states() -> None:
    assert named(CALLBACKS) == {"table", "ask", "size", "of", "other"}


@given(TREES)
def test_settled_page_shows_the_same_and_keeps_what_callbacks_need(tree: Any) -> None:
    before, needed = to_html(tree), ids(tree) & named(CALLBACKS)
    after = settled(tree, named(CALLBACKS))
    assert to_html(after) == before
    assert needed <= ids(after)


def test_settled_part_without_a_callback_is_one_drawing() -> None:
    page = html.Div([html.Ul([html.Li("a"), html.Li("b")], className="list"), html.Div(id="table")])
    still, live = settled(page, named(CALLBACKS)).children
    assert (still.tag, still.attributes, still.markup) == ("ul", {"className": "list"}, "<li>a</li><li>b</li>")
    assert isinstance(live, html.Div)
