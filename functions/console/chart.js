"use strict";

// Active users over time, for as long as the page is open.

const ACTIVE_SECONDS = 300;
const CHART_MILLISECONDS = 3_600_000;
// What a chart of a few points spans.
const SHORTEST_MILLISECONDS = 300_000;
const GAP_MILLISECONDS = 30_000;
// A short line to the left, or a single point could not be seen.
const LAST_MARK = "h-2";
const CHART_WIDTH = 600;
const CHART_HEIGHT = 80;

// By app: a view that is opened again goes on with its points.
const histories = new Map();

/** Draws the numbers of active users that `add` is given. */
class ActivityChart {
  constructor(app) {
    this.app = app;
    this.now = h("strong", { class: "figure" });
    this.line = svg("path", { fill: "none", "vector-effect": "non-scaling-stroke", "stroke-linecap": "round" });
    this.image = svg("svg", { viewBox: `0 0 ${CHART_WIDTH} ${CHART_HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    this.image.append(this.line);
    this.range = h("span");
    this.element = h("section", { class: "activity", "aria-labelledby": "activity-title" },
      h("h2", { id: "activity-title" }, "Active users"),
      h("p", {}, this.now, ` in the last ${duration(ACTIVE_SECONDS)}`),
      this.image,
      h("p", { class: "axis soft" }, this.range, h("span", {}, "now")),
    );
  }

  add(users) {
    const now = Date.now();
    // A clock that was set back leaves points in the future.
    const earlier = (histories.get(this.app) ?? []).filter(({ at }) => at > now - CHART_MILLISECONDS && at < now);
    const points = [...earlier, { at: now, users }];
    histories.set(this.app, points);
    const first = points[0].at;
    const all = points.map((point) => point.users);
    const [lowest, highest] = [Math.min(...all), Math.max(...all)];
    const span = Math.max(now - first, SHORTEST_MILLISECONDS);
    const scale = Math.max(1, highest * 1.2);
    const x = (at) => (1 - (now - at) / span) * CHART_WIDTH;
    const y = (value) => CHART_HEIGHT - 4 - (value / scale) * (CHART_HEIGHT - 8);
    // Between points that are far apart, nobody has looked.
    const isNext = (point, index) => index > 0 && point.at - points[index - 1].at < GAP_MILLISECONDS;
    this.line.setAttribute("d", points.map((point, index) =>
      `${isNext(point, index) ? "L" : "M"}${x(point.at).toFixed(1)} ${y(point.users).toFixed(1)}`).join("") + LAST_MARK);
    this.now.textContent = number(users);
    this.range.textContent = `since ${clock(first)}: lowest ${number(lowest)}, highest ${number(highest)}`;
    this.image.setAttribute("aria-label", `Active users ${this.range.textContent}, now ${number(users)}`);
  }
}

function svg(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  return element;
}
