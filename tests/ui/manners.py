"""What a page owes everybody, asked in the browser: names for controls, contrast of text."""

UNNAMED = """() => [...document.querySelectorAll(
    'main :is(input, select, button, a, progress, svg)')]
  .filter(e => e.checkVisibility())
  .filter(e => !(e.getAttribute('aria-label') || e.title || e.textContent.trim() ||
                 [...e.labels ?? []].some(l => l.textContent.trim())))
  .map(e => e.outerHTML.slice(0, 90))"""
"""Controls and figures that a screen reader could not name."""

FAINT = """() => {
  const pixel = document.createElement('canvas').getContext('2d', {willReadFrequently: true})
  const numbers = colour => {
    pixel.clearRect(0, 0, 1, 1)
    pixel.fillStyle = colour
    pixel.fillRect(0, 0, 1, 1)
    return [...pixel.getImageData(0, 0, 1, 1).data]
  }
  const light = rgb => rgb.map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
  const over = (top, under) => under.map((v, i) => v + (top[i] - v) * top[3] / 255)
  const behind = e => {
    const path = []
    for (; e; e = e.parentElement ?? e.getRootNode().host) {
      path.unshift(numbers(getComputedStyle(e).backgroundColor))
    }
    return path.reduce((under, top) => over(top, under), [255, 255, 255])
  }
  const contrast = e => {
    const style = getComputedStyle(e), under = behind(e)
    const text = over(numbers(e instanceof SVGElement ? style.fill : style.color), under)
    const [low, high] = [light(under), light(text)].sort((a, b) => a - b)
    return (high + 0.05) / (low + 0.05)
  }
  const passed = 'script, style, title, option, .skip, .head-text, label:has(:disabled) *'
  const everything = root => [...root.querySelectorAll('*')]
    .flatMap(e => [e, ...e.shadowRoot ? everything(e.shadowRoot) : []])
  return everything(document.body)
    .filter(e => e.checkVisibility() && !e.disabled && !e.matches(passed))
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
    .map(e => [contrast(e), e.textContent.trim().slice(0, 40)])
    .filter(([ratio]) => ratio < 4.5)
    .map(([ratio, text]) => `${ratio.toFixed(2)} ${text}`)
}"""
"""Text with a contrast below 4.5 against what is behind it (a disc behind SVG text is not seen)."""

OVERFLOW = "(m => m.scrollWidth - m.clientWidth)(document.querySelector('main'))"
"""Pixels by which a page is wider than its window."""

FOCUSED = """() => {
  let e = document.activeElement
  while (e.shadowRoot?.activeElement) e = e.shadowRoot.activeElement
  const {outlineStyle, outlineWidth} = getComputedStyle(e), box = e.getBoundingClientRect()
  return {
    name: e.getAttribute('aria-label') || e.innerText || e.title,
    shown: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1,
    inside: box.width > 0 && box.bottom > 0 && box.top < innerHeight,
    last: e === document.body,
  }
}"""
"""What has the focus: how it is called, whether a ring shows it, whether it is in the window."""
