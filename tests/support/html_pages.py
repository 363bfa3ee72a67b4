"""Read a page as a browser does, far enough to see what is markup in it and what is text."""

from html.parser import HTMLParser

from edge_convnext.report.html.page import Subject, to_html

VOID = {"meta", "link", "img", "br"}
# What the templates are made of. Any other tag has come out of data.
_TAGS = """
html head meta title link style body a header main article section nav footer h1 h2 h3 h4 p ul ol
li details summary div table caption thead tbody tr th td abbr pre figure figcaption svg desc line
rect circle text img span
"""
TAGS = set(_TAGS.split())


class Page(HTMLParser):
    """Tags, ids, links and text of a page; unbalanced tags are an error."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.ids, self.links, self.sources, self.labels = [], [], [], [], []
        self.texts, self._open, self.attributes = [], [], set()
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        self.attributes |= set(values)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if "href" in values else []
        self.sources += [values["src"]] if "src" in values else []
        self.labels += values.get("aria-labelledby", "").split()
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def page_of(*reports, changes=None, images=None):
    return to_html([Subject(report, changes, images or {}) for report in reports])


def check_page(text):
    """What holds of every page, whatever is in the report; returns the page as it was read."""
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert set(page.tags) <= TAGS
    assert not [name for name in page.attributes if name.startswith("on")]
    assert len(page.ids) == len(set(page.ids))
    assert set(page.labels) <= set(page.ids)
    for link in page.links:
        assert link.startswith("data:") or link.removeprefix("#") in page.ids, link
    assert all(source.startswith("data:image/") for source in page.sources)
    assert page.tags.count("svg") - text.count('aria-hidden="true"') == text.count('role="img"')
    return page
