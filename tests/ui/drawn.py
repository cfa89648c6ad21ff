"""Waiting for the Explore view."""

CONTROLLER = "Bokeh.documents[0].get_model_by_name('live')?.__ip"


def wait_until_drawn(opened):
    """Wait until Bokeh is idle and the controller of the Explore view has drawn."""
    opened.wait_for_function("window.Bokeh && Bokeh.documents[0]?.is_idle", timeout=60_000)
    opened.wait_for_function(f"{CONTROLLER}?.drawn > 0", timeout=60_000)
