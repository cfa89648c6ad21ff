from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from infoplane.views.text import LIMIT, label, plain

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    '"><script>alert(1)</script>',
    "a\u202eb\u200fc\x00d\x1b[31me",
    "two\nlines\u2028three",
    "&lt;b&gt;",
    "\ud800half a surrogate",
)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.seen, self.words = [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def parsed(markup):
    parser = Tags()
    parser.feed(markup)
    parser.close()
    return parser


def test_hostile_names_become_words():
    for name in HOSTILE:
        for markup in (f"<b>{label(name)}</b>", f'<b title="{label(name)}">x</b>'):
            assert [tag for tag, _ in parsed(markup).seen] == ["b"]


@given(st.text(max_size=400))
def test_what_is_read_back_is_the_plain_text(text):
    read = parsed(f'<b title="{label(text)}">{label(text)}</b>')
    assert len(read.seen) == 1
    assert read.seen[0][1]["title"] == plain(text)
    assert "".join(read.words) == plain(text)


@given(st.text(max_size=400))
def test_plain_is_one_short_visible_line(text):
    line = plain(text)
    assert len(line) <= LIMIT
    assert len(line.splitlines()) <= 1
    assert plain(line) == line


def test_long_text_says_that_it_was_cut():
    assert plain("x" * 500).endswith("…")
    assert len(plain("x" * 500)) == LIMIT
    assert plain("T" * 10**6, 20) == "T" * 19 + "…"
