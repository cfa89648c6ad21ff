// The interaction of the Explore view: the only place with it. The files of this folder are joined in
// the order that plane.py names, and run as the body of one Bokeh CustomJS
// (arguments: the models named in PlaneKit._arguments, then cb_obj, cb_data, cb_context), under the
// server, in a notebook and in an offline file alike. The first run builds the controller; later
// runs (a new frame in `live`, a choice restored into `view`) wake it.
// Text from a run is untrusted: it is only ever written as text nodes and canvas text.

if (live.__ip) { live.__ip.wake(cb_obj); return }

const C = Object.fromEntries(options.columns.map((name, i) => [name, i]))
const S = Object.fromEntries(options.scalar_columns.map((name, i) => [name, i]))
const WIDTH = options.columns.length, SCALAR_WIDTH = options.scalar_columns.length
const BITS = 1 / Math.LN2
const VERDICTS = ["ok", "caution", "not usable"], STYLES = ["ok", "caution", "bad"]
const ISO = [1, 10, 100, 1000, 10000, 100000, 1000000]
const MANY = 8  // layers up to which every layer's uncertainty is drawn at once
const SECONDS_OF_REPLAY = 9
const calm = matchMedia("(prefers-reduced-motion: reduce)"), darkness = matchMedia("(prefers-color-scheme: dark)")
const finite = Number.isFinite
const time = step => Math.log10(1 + step)

// -- words ------------------------------------------------------------------------------------

const minus = text => text.replace("-", "−")
const number = (value, digits = 2) => finite(value) ? minus(value.toFixed(digits)) : "–"
const thousands = new Intl.NumberFormat("en-US", {maximumFractionDigits: 0})
const whole = value => thousands.format(value)
const short = value => value >= 1e6 ? value / 1e6 + "M" : value >= 1e3 ? value / 1e3 + "k" : String(value)
const moment = value => value < 10 && value % 1 > 0.005 ? value.toFixed(value < 1 ? 2 : 1) : whole(value)
function ago(seconds) {
  if (seconds < 2) return "just now"
  if (seconds < 100) return `${Math.round(seconds)} s ago`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`
  return `${Math.round(seconds / 86400)} days ago`
}
