// Keeping a figure, for the controller and for the pages' small figures alike: an SVG as it is, or drawn three times as
// large as a PNG, which is 300 dots an inch at the size of the page.
const infoplaneSaving = {
  NS: "http://www.w3.org/2000/svg",
  async keep(svg, kind, name) {
    const text = `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(svg)}`
    let blob = new Blob([text], {type: "image/svg+xml"})
    if (kind === "png") {
      const image = new Image(), canvas = document.createElement("canvas"), [width, height] = ["width", "height"].map(side => 3 * Number(svg.getAttribute(side)))
      image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`
      await image.decode()
      Object.assign(canvas, {width, height})
      canvas.getContext("2d").drawImage(image, 0, 0, width, height)
      blob = await new Promise(done => canvas.toBlob(done))
    }
    this.download(blob, name, kind)
  },
  download(blob, name, kind) {
    const link = document.createElement("a")
    link.href = URL.createObjectURL(blob)
    link.download = `${name.replace(/[^\w.]+/g, "-").replace(/^-+|-+$/g, "") || "infoplane"}.${kind}`
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10000)
  },
  sheet(width, height) {  // an empty white page, in pixels of the screen
    const svg = document.createElementNS(this.NS, "svg"), white = document.createElementNS(this.NS, "rect")
    for (const [name, value] of Object.entries({width, height, viewBox: `0 0 ${width} ${height}`})) svg.setAttribute(name, value)
    for (const [name, value] of Object.entries({width: "100%", height: "100%", fill: "#ffffff"})) white.setAttribute(name, value)
    svg.append(white)
    return svg
  },
  place(svg, part, x, y, width, height) {
    for (const [name, value] of Object.entries({x, y, width, height})) part.setAttribute(name, value)
    if (!part.hasAttribute("viewBox")) part.setAttribute("viewBox", `0 0 ${width} ${height}`)
    svg.append(part)
  },
}
