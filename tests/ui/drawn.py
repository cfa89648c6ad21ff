"""Waiting for pages: a page is left only when it rests, as what it still asks for would fail."""

CONTROLLER = "Bokeh.documents[0].get_model_by_name('live')?.__ip"
AT_REST = """(document.readyState === 'complete' && window.Bokeh
  && Bokeh.documents.length > (document.getElementById('ip-kit') ? 1 : 0)
  && Bokeh.documents.every(d => d.is_idle))"""
"""Loaded, drawn and connected. The figures of Explore are a document beside the session's."""


def wait_until_drawn(opened):
    """Wait until Bokeh is idle and the controller of the Explore view has drawn."""
    opened.wait_for_function("window.Bokeh && Bokeh.documents[0]?.is_idle")
    opened.wait_for_function(f"{CONTROLLER}?.drawn > 0")


def visit(page, address):
    """Open a page of the app and wait until it rests."""
    page.goto(address)
    page.wait_for_function(AT_REST)
