"""What a chart says to whoever does not see it."""

from components import chart_words, tongue
from components.first_paint import to_html
from components.tongue import Tongue
from components.trend import graph, line_figure

X = ["2026-11-20T00:00:00", "2026-11-21T00:00:00", "2026-11-22T00:00:00"]


def test_a_chart_says_where_it_ends_and_between_what_it_ran() -> None:
    words = chart_words.told(X, [94.25, None, 91.5], 1, "%")
    assert words == "Last 91.5 %, 22 Nov 2026 00:00; lowest 91.5, highest 94.3 since 20 Nov 2026 00:00."
    assert chart_words.told(X, [None, None, None], 1, "%") == "No value in the time shown."


def test_a_chart_is_named_by_its_sentence_and_has_its_values_as_a_table_newest_first() -> None:
    line = (X, [94.25, None, 91.5])
    html = to_html(
        chart_words.drawn(graph(line_figure(*line, {})), line, "%", decimals=1, data={"data-chart": "a|town"})
    )
    assert 'role="img"' in html and 'aria-label="Last 91.5 %' in html and 'data-chart="a|town"' in html
    assert html.index("91.5</td>") < html.index("–</td>") < html.index("94.3</td>")


def test_a_chart_speaks_the_language_of_the_page() -> None:
    tongue.speak(Tongue("hi"))
    words = chart_words.told(X, [94.25, None, 91.5], 1, "%")
    tongue.speak(tongue.ENGLISH)
    assert "22 नव॰ 2026" in words and "सबसे कम 91.5" in words
