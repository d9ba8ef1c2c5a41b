// What is wrong with where a page has its texts: those that overlap, and those that are cut off.
() => {
  // Pixels on each side, and the share of a line above and below the letters.
  const SLACK = 1.5, LEAD = 0.12;
  const texts = [], cut = [];
  const clipped = ({ left, right, top, bottom }, element) => {
    for (let above = element; above !== document.body; above = above.parentElement) {
      if (getComputedStyle(above).overflow === "visible") continue;
      const own = above.getBoundingClientRect();
      [left, right] = [Math.max(left, own.left), Math.min(right, own.right)];
      [top, bottom] = [Math.max(top, own.top), Math.min(bottom, own.bottom)];
    }
    return { left, right, top, bottom };
  };
  const corners = ({ left, right, top, bottom }) => [[left, top], [right, top], [right, bottom], [left, bottom]];
  const inner = ({ left, right, top, bottom }) => {
    const lead = LEAD * (bottom - top) + SLACK;
    return { left: left + SLACK, right: right - SLACK, top: top + lead, bottom: bottom - lead };
  };
  const visible = element => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });

  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    const name = node.textContent.trim();
    if (!name || parent.closest("svg, script, style, noscript, .hidden") || !visible(parent)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const line of range.getClientRects()) {
      const box = clipped(inner(line), parent);
      if (box.right > box.left && box.bottom > box.top) texts.push({ name, owner: node, points: corners(box) });
    }
  }
  for (const text of document.querySelectorAll(".plot svg text")) {
    const { x, y, width, height } = text.getBBox();
    if (!text.textContent.trim() || !visible(text) || !width) continue;
    // A turned text has a box as it lies, not the upright one around it.
    const matrix = text.getScreenCTM();
    const box = inner({ left: x, right: x + width, top: y, bottom: y + height });
    const points = corners(box).map(([left, top]) => {
      const point = new DOMPoint(left, top).matrixTransform(matrix);
      return [point.x, point.y];
    });
    const plot = text.closest(".plot");
    const name = `${plot.closest("figure").querySelector("h3").textContent}: ${text.textContent}`;
    const frame = plot.getBoundingClientRect();
    if (points.some(([left, top]) => left < frame.left || left > frame.right || top < frame.top || top > frame.bottom)) cut.push(name);
    texts.push({ name, owner: text, points });
  }

  // Two convex shapes are apart where a line along a side of one lies between them.
  const apart = (one, other) => [one, other].some(shape => shape.some(([x1, y1], i) => {
    const [x2, y2] = shape[(i + 1) % shape.length];
    const along = points => points.map(([x, y]) => x * (y1 - y2) + y * (x2 - x1));
    const [a, b] = [along(one), along(other)];
    return Math.max(...a) <= Math.min(...b) || Math.max(...b) <= Math.min(...a);
  }));
  for (const text of texts) {
    text.top = Math.min(...text.points.map(point => point[1]));
    text.bottom = Math.max(...text.points.map(point => point[1]));
  }
  texts.sort((a, b) => a.top - b.top);
  const overlapping = [];
  let open = [];
  for (const text of texts) {
    open = open.filter(other => other.bottom > text.top);
    for (const other of open)
      if (other.owner !== text.owner && !apart(text.points, other.points)) overlapping.push([other.name, text.name]);
    open.push(text);
  }
  const wider = document.documentElement.scrollWidth - innerWidth;
  const out = texts.filter(text => text.points.some(([left]) => left > innerWidth)).map(text => text.name);
  return { texts: texts.length, overlapping, cut, wider, out };
}
