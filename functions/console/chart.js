"use strict";

// Active users over time, for as long as the page is open.

const ACTIVE_SECONDS = 300;
const CHART_MILLISECONDS = 3_600_000;
const CHART_WIDTH = 600;
const CHART_HEIGHT = 80;

// By app: a view that is opened again goes on with its points.
const histories = new Map();

/** Draws the numbers of active users that `add` is given. */
class ActivityChart {
  constructor(app) {
    this.app = app;
    this.now = h("strong", { class: "figure" });
    this.line = svg("polyline", { fill: "none", "vector-effect": "non-scaling-stroke" });
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
    const scale = Math.max(1, highest * 1.2);
    const x = (at) => (now === first ? CHART_WIDTH : ((at - first) / (now - first)) * CHART_WIDTH);
    const y = (value) => CHART_HEIGHT - 4 - (value / scale) * (CHART_HEIGHT - 8);
    const drawn = points.map((point) => `${x(point.at).toFixed(1)},${y(point.users).toFixed(1)}`);
    // A single point is a level line.
    if (drawn.length === 1) drawn.unshift(`0,${y(users).toFixed(1)}`);
    this.line.setAttribute("points", drawn.join(" "));
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
