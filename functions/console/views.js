"use strict";

// The views: each returns its title, its content, and how to renew it. What the key does not allow is left out.

/** What the key allows: its `name`, `apps` and `allow`, as in the key registry. Null until the API has told. */
let rights = null;

const holds = (list, one) => list.includes("*") || list.includes(one);
const may = (operation) => holds(rights.allow, operation);

const link = {
  app: (app) => `#/${pathTo(app)}`,
  user: (app, id) => `#/${pathTo(app, "user", id)}`,
  session: (app, { id, handle }) =>
    `#/${id === undefined ? pathTo(app, "anonymous", handle) : pathTo(app, "user", id, handle)}`,
};

const trail = (...links) => h("nav", { class: "trail", "aria-label": "Above this page" },
  h("a", { href: "#/" }, "Apps"), links.map((one) => [" / ", one]));

const toApp = (app) => h("a", { href: link.app(app) }, app);
const toUser = (app, session) => h("a", { href: link.user(app, session.id) }, idOf(session));

// As the API takes them.
const APP_NAME = "[A-Za-z0-9_\\-]{3,20}";
const USER_ID = "(?!\\.{1,2}$)[^\\/?%]{1,128}";

const isWhole = (pattern, text) => new RegExp(`^(?:${pattern})$`, "v").test(text);

/** A field that leads to another view. */
function finder(label, action, linkTo, properties) {
  const input = h("input", { id: "find", required: true, ...PLAIN_INPUT, ...properties });
  const onsubmit = (event) => {
    event.preventDefault();
    location.hash = linkTo(input.value);
  };
  return h("form", { class: "find", role: "search", onsubmit }, h("label", { for: "find" }, label), input, h("button", {}, action));
}

// What the console can do with an app.
const USES = ["activity", "soapp", "soid", "killall"];

const showsNothing = () => h("p", { class: "empty" }, "This key shows nothing of an app: it allows none of ",
  USES.map((operation, index) => [index > 0 && ", ", h("code", {}, operation)]), ". Whoever keeps the keys can add them to its ",
  h("code", {}, "allow"), ".");

/** All apps that the key may use. */
async function appsView() {
  const title = "Apps";
  if (!["apps", ...USES].some(may)) return { title, content: [h("h1", {}, title), showsNothing()] };
  if (!may("apps")) return { title, content: [h("h1", {}, title), chooseApp()] };
  const listing = new Listing({
    title: "Sessions and users",
    noun: "app",
    columns: [
      { name: "App", cell: ({ app }) => toApp(app) },
      { name: "Sessions", cell: ({ sessions }) => number(sessions), isNumber: true },
      { name: "Users", cell: ({ users }) => number(users), isNumber: true },
    ],
    keyOf: ({ app }) => app,
    gone: (item) => ({ ...item, sessions: 0, users: 0 }),
    fetchPage: async (cursor) => {
      const { apps, next } = await api.apps(cursor);
      return { items: apps, next };
    },
    empty: [
      h("p", {}, "No app has a session. With its first one, an app appears here:"),
      h("pre", { tabindex: "0" }, exampleOfCreate()),
    ],
  });
  await listing.load();
  return { title, content: [h("h1", {}, title), listing.element], renew: () => listing.renew() };
}

function exampleOfCreate() {
  const header = key.get() ? "-H 'Authorization: Bearer …' " : "";
  return `curl ${header}-X PUT '${new URL("webapp/create/user123?ip=192.0.2.7", location.href)}'`;
}

const appsOfKey = () => h("ul", { class: "apps" }, rights.apps.map((app) => h("li", {}, toApp(app))));

/** For a key that may not list the apps: those that it names, or a field for a name. */
function chooseApp() {
  if (!rights.apps.includes("*")) return appsOfKey();
  const properties = { pattern: APP_NAME, title: "3 to 20 letters, digits, _ or -" };
  return finder("Name of the app", "Show", link.app, properties);
}

/** In place of an app that the key may not use. */
async function foreignView(app) {
  const text = h("p", { class: "error" }, `This key may not use the app ${app}. It may use:`);
  return { title: app, content: [trail(), h("h1", {}, app), text, appsOfKey()] };
}

/** One app: its active users, the sessions that were used last, and a way to find a user. */
async function appView(app) {
  const chart = may("activity") && new ActivityChart(app);
  const listing = may("soapp") && sessionsListing({
    app,
    title: "Sessions, last used first",
    withUser: true,
    fetchPage: async (cursor) => sessionsOf(await api.sessionsOfApp(app, cursor)),
    empty: [`${app} has no session.`],
  });
  const drawUsers = async () => chart && chart.add(await api.activity(app, ACTIVE_SECONDS));
  await Promise.all([drawUsers(), listing && listing.load()]);
  const endAll = () => ask({
    title: "End all sessions?",
    text: ["This ends every session of ", h("strong", {}, app), ", anonymous ones too. All of its users will be logged out."],
    confirm: "End all",
    typed: app,
    act: async () => [h("strong", {}, count(await api.endAllOfApp(app), "session")), ` of ${app} ended.`],
    after: () => listing && listing.load(),
  });
  const ofId = { pattern: USER_ID, title: "1 to 128 characters, none of / ? %, and not . or .." };
  return {
    title: app,
    content: [
      trail(),
      h("div", { class: "bar" }, h("h1", {}, app), may("killall") && button("End all sessions…", endAll, { class: "danger" })),
      may("soid") && finder("Find a user by exact id", "Find", (id) => link.user(app, id), ofId),
      chart && chart.element,
      listing && listing.element,
      !USES.some(may) && showsNothing(),
    ],
    renew: () => Promise.all([drawUsers(), listing && listing.renew()]),
  };
}

/** The sessions of a page. Each gets the time of its answer, `at`: its idle time and age were true then. */
const sessionsOf = ({ sessions, next }) => ({ items: sessions.map((session) => ({ ...session, at: Date.now() })), next });

const startOf = (session) => session.at - session.age * 1000;
const lastUseOf = (session) => session.at - session.idle * 1000;

/** Seconds until the session ends unless it is used, and until it ends in any case. */
function timesLeft({ at, ttl, idle, age, lifetime, no_resave: isFixed }) {
  const passed = (Date.now() - at) / 1000;
  // With `no_resave`, `ttl` is the time that was left.
  if (isFixed) return { unused: Infinity, latest: Math.max(0, ttl - passed) };
  const latest = lifetime === undefined ? Infinity : Math.max(0, lifetime - age - passed);
  return { unused: Math.max(0, ttl - idle - passed), latest };
}

const timeLeft = (session) => Math.min(...Object.values(timesLeft(session)));

/** A table of sessions. A row leads to its session, and to the question whether to end it. */
function sessionsListing({ app, title, withUser = false, fetchPage, empty }) {
  const nameOf = ({ id, ip }) => `the session of ${id === undefined ? "nobody" : visible(id)} from ${visible(ip)}`;
  const actions = (session, row) => {
    if (session.hasEnded) return h("span", { tabindex: "-1" }, "ended");
    const isOfUser = session.id !== undefined;
    const open = { href: link.session(app, session), "aria-label": `Open ${nameOf(session)}` };
    const end = () => askToEndOne(app, row.item, () => listing.markGone(row));
    return [
      !isOfUser && h("a", { ...open, onclick: () => { openedAnonymous = row.item; } }, "Open"),
      isOfUser && may("soid") && h("a", open, "Open"),
      isOfUser && may("killsoid") && button("End", end, { "aria-label": `End ${nameOf(session)}` }),
    ];
  };
  const user = (session) => (session.id !== undefined && may("soid") ? toUser(app, session) : idOf(session));
  const listing = new Listing({
    title,
    noun: "session",
    columns: [
      ...(withUser ? [{ name: "User", cell: user }] : []),
      { name: "Last used", cell: (session) => timeAgo(lastUseOf(session)) },
      { name: "IP address", cell: ({ ip }) => h("bdi", {}, visible(ip)) },
      { name: "Started", cell: (session) => timeAgo(startOf(session)) },
      { name: "Time left", cell: (session) => duration(timeLeft(session)) },
      { name: "Data", cell: ({ d }) => size(sizeOfData(d)), isNumber: true },
      { name: "", cell: actions },
    ],
    keyOf: ({ handle }) => handle,
    gone: (session) => ({ ...session, hasEnded: true }),
    fetchPage,
    empty,
  });
  return listing;
}

/** Asks whether to end one session, and does so. `showEnded` then brings the view up to date. */
function askToEndOne(app, session, showEnded) {
  ask({
    title: "End this session?",
    text: [
      idOf(session), " will be logged out on the device at ", h("bdi", {}, visible(session.ip)), ", last used ",
      timeAgo(lastUseOf(session)), ".",
    ],
    confirm: "End it",
    act: async () => told(await api.endSession(app, session.id, session.handle), session),
    after: showEnded,
  });
}

/** How many sessions of a user were ended, in words. */
const told = (ended, session) => (ended > 0
  ? [h("strong", {}, count(ended, "session")), " of ", idOf(session), " ended."]
  : ["No session was ended: there was none any more."]);

/** All sessions of a user. */
async function userView(app, id) {
  const listing = sessionsListing({
    app,
    // Not "last used first": of more than a thousand, the API lists them in another order.
    title: "Sessions",
    fetchPage: async (cursor) => sessionsOf(await api.sessionsOfUser(app, id, cursor)),
    empty: [idOf({ id }), ` has no session in ${app}. Is the id exact, with its capitals and spaces?`],
  });
  await listing.load();
  const endAll = () => ask({
    title: "End all sessions of this user?",
    text: [idOf({ id }), ` will be logged out of ${app} on every device.`],
    confirm: "End all",
    act: async () => told(await api.endAllOfUser(app, id), { id }),
    after: () => listing.load(),
  });
  return {
    title: `${visible(id)} in ${app}`,
    content: [
      trail(toApp(app)),
      h("div", { class: "bar" },
        h("h1", {}, idOf({ id })), may("killsoid") && button("End all sessions…", endAll, { class: "danger" })),
      listing.element,
    ],
    renew: () => listing.renew(),
  };
}

/** One session of a user, found in the list of that user's: a look at it is no use of it. */
async function sessionView(app, id, handle) {
  const find = async () => {
    let cursor;
    do {
      const { items, next } = sessionsOf(await api.sessionsOfUser(app, id, cursor));
      const found = items.find((session) => session.handle === handle);
      if (found) return found;
      cursor = next;
    } while (cursor);
    return undefined;
  };
  const session = await find();
  if (session) return viewOfSession(app, session, find);
  return viewOfNone(trail(toApp(app), toUser(app, { id })), idOf({ id }), " has no such session: it ended or expired.");
}

// The one whose row was opened: no route but the list of an app's sessions shows it.
let openedAnonymous;

/** A session without a user, as the list of the app's sessions has shown it. */
async function anonymousView(app, handle) {
  if (openedAnonymous?.handle === handle) return viewOfSession(app, openedAnonymous);
  return viewOfNone(trail(toApp(app)), "An anonymous session can be opened only from the list of its app’s sessions.");
}

const viewOfNone = (above, ...text) => ({
  title: "Session",
  content: [above, h("h1", {}, "Session"), h("p", { class: "empty" }, text)],
});

/** A session, and how to `find` it again. Without that, it stays as it was listed. */
function viewOfSession(app, session, find) {
  const isOfUser = session.id !== undefined;
  const facts = h("dl", { class: "facts" });
  const data = h("div");
  const actions = h("div", { class: "actions" });
  let { d } = session;
  const update = (current) => {
    facts.replaceChildren(...factsOf(current).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
    if (data.hasChildNodes() && JSON.stringify(current.d) === JSON.stringify(d)) return;
    ({ d } = current);
    data.replaceChildren(dataOf(current));
  };
  const showEnded = () => {
    replaceContent(actions, h("span", { tabindex: "-1" }, "Ended"));
    facts.classList.add("ended");
  };
  const renew = async () => {
    if (facts.classList.contains("ended")) return;
    const current = find ? await find() : session;
    if (current) update(current);
    else showEnded();
  };
  const endOthers = () => ask({
    title: "End all other sessions of this user?",
    text: [idOf(session), ` will be logged out of ${app} on every device but this one.`],
    confirm: "End the others",
    act: async () => told(await api.endOthers(app, session.id, session.handle), session),
  });
  if (isOfUser && may("killsoid")) {
    actions.append(
      button("End this session…", () => askToEndOne(app, session, showEnded), { class: "danger" }),
      button("End all others…", endOthers));
  }
  update(session);
  return {
    title: `Session of ${isOfUser ? visible(session.id) : "nobody"} in ${app}`,
    content: [
      isOfUser ? trail(toApp(app), toUser(app, session)) : trail(toApp(app)),
      h("div", { class: "bar" }, h("h1", {}, "Session of ", idOf(session)), actions),
      !isOfUser && h("p", { class: "soft" }, `As the list showed it at ${clock(session.at)}. `,
        "Nobody is logged in with it. It ends by itself, or with all sessions of its app."),
      facts,
      data,
    ],
    renew,
  };
}

function factsOf(session) {
  const { unused, latest } = timesLeft(session);
  return [
    ["IP address", h("bdi", {}, visible(session.ip))],
    ["Last used", timeAgo(lastUseOf(session))],
    ["Started", timeAgo(startOf(session))],
    ...(unused < latest ? [["Ends, unless used", `in ${duration(unused)}`]] : []),
    ...(latest < Infinity ? [["Ends in any case", `in ${duration(latest)}`]] : []),
    ["Reads, writes", `${number(session.r)}, ${number(session.w)}`],
    ["Handle", h("code", {}, session.handle)],
  ];
}

// So that item2 comes before item10.
const inOrder = new Intl.Collator("en", { numeric: true });

/** A value as JSON. A long one scrolls, so the keyboard must reach it. */
function valueOf(value) {
  const text = pretty(value);
  const lines = text.split("\n").reduce((sum, line) => sum + Math.ceil((line.length + 1) / 30), 0);
  return h("pre", { tabindex: lines > 15 && "0" }, text);
}

function dataOf({ d = {} }) {
  const entries = Object.entries(d).sort(([one], [other]) => inOrder.compare(one, other));
  const rows = entries.map(([name, value]) => h("tr", {},
    h("th", { scope: "row" }, name ? h("bdi", {}, visible(name)) : h("span", { class: "soft" }, "the empty key")),
    h("td", {}, valueOf(value))));
  return h("section", { "aria-labelledby": "data-title" },
    h("h2", { id: "data-title" }, "Data ", h("span", { class: "soft" }, `${count(entries.length, "key")}, ${size(sizeOfData(d))}`)),
    entries.length > 0 ? h("table", { class: "data" }, h("tbody", {}, rows)) : h("p", { class: "empty" }, "It has no data."));
}
