"use strict";

// What is shown when: the view that the address names, or the question for a key.

const RENEW_MILLISECONDS = 10_000;
const LOADING_MILLISECONDS = 200;

/** The view of an address such as #/webapp/user/peter, as a function. */
function viewOf(hash) {
  const [app, kind, ...names] = partsOf(hash);
  if (!app) return appsView;
  // Another name, such as .. or that of a page, would lead to another address.
  if (!isWhole(APP_NAME, app) || (kind === "user" && !isWhole(USER_ID, names[0]))) return unknownView;
  if (!holds(rights.apps, app)) return () => foreignView(app);
  if (!kind) return () => appView(app);
  if (kind === "user" && names.length === 1) return () => userView(app, ...names);
  if (kind === "user" && names.length === 2) return () => sessionView(app, ...names);
  if (kind === "anonymous" && names.length === 1) return () => anonymousView(app, ...names);
  return unknownView;
}

function partsOf(hash) {
  try {
    return hash.replace(/^#?\/?/, "").split("/").map(decodeURIComponent);
  } catch {
    // It is not percent-encoded UTF-8. No view has this path.
    return hash.split("/");
  }
}

async function unknownView() {
  const empty = h("p", { class: "empty" }, "There is no such page.");
  return { title: "Not found", content: [trail(), h("h1", {}, "Not found"), empty] };
}

const failureView = (error, again) => ({
  title: "Error",
  content: [trail(), h("h1", {}, "This cannot be shown"), h("p", { class: "error" }, explain(error)), button("Try again", again)],
});

// The view that is shown, and the last ones that were left, by their entries in the tab's history: the way back leads to
// the same rows at the same place.
let shown = {};
const left = new Map();
const LEFT_AT_MOST = 20;
let entries = 0;
let timer;
let freshAt;

/** The current entry in the tab's history. Only those of this load of the page are in `left`. */
function currentEntry() {
  if (!history.state) history.replaceState(`${performance.timeOrigin} ${(entries += 1)}`, "");
  return history.state;
}

function leave() {
  stopReading();
  clearTimeout(timer);
  if (shown.entry) {
    left.delete(shown.entry);
    left.set(shown.entry, { ...shown, top: scrollY, focused: document.activeElement });
    if (left.size > LEFT_AT_MOST) left.delete(left.keys().next().value);
  }
  shown = {};
  document.querySelector("dialog")?.close();
  $("notice").replaceChildren();
  tellFreshness();
}

/** Shows the view that the address names. */
async function show() {
  leave();
  const entry = currentEntry();
  if (left.has(entry)) {
    place(left.get(entry));
    await renew();
    return;
  }
  await showLoading(async () => {
    try {
      place({ entry, ...(await viewOf(location.hash)()) });
      freshAt = Date.now();
      renewLater();
    } catch (error) {
      fail(error, (failure) => place(failureView(failure, show)));
    }
  });
}

/** Says that something loads, if it takes long enough to be noticed. */
async function showLoading(load) {
  const main = $("main");
  main.setAttribute("aria-busy", "true");
  const loading = setTimeout(() => main.replaceChildren(h("p", { class: "soft" }, "Loading…")), LOADING_MILLISECONDS);
  try {
    await load();
  } finally {
    clearTimeout(loading);
  }
}

/**
 * Shows a view: from its top, or where it was left. A keyboard or a screen reader goes on there.
 * @param {{title: string, content: Array, renew?: () => Promise, top?: number, focused?: Element}} view
 */
function place(view) {
  const { title, content, top = 0, focused } = view;
  const element = view.element ?? h("div", {}, content);
  shown = { ...view, element };
  document.title = `${title} · REST Sessions`;
  const main = $("main");
  main.replaceChildren(element);
  main.removeAttribute("aria-busy");
  const heading = element.querySelector("h1");
  heading.tabIndex = -1;
  (element.contains(focused) ? focused : heading).focus({ preventScroll: true });
  scrollTo(0, top);
}

function renewLater() {
  clearTimeout(timer);
  timer = setTimeout(renew, RENEW_MILLISECONDS);
}

/** Brings the view up to date, unless nobody looks. */
async function renew() {
  if (shown.renew && !document.hidden) await keepFresh(shown.renew);
  renewLater();
}

/** Does what brings the view up to date, and says so while that fails. */
async function keepFresh(update) {
  try {
    await update();
    freshAt = Date.now();
    tellFreshness();
  } catch (error) {
    fail(error, (failure) => tellFreshness(`Not up to date since ${clock(freshAt)}. `, ...explain(failure)));
  }
}

/** Once for each change: a screen reader reads it aloud. */
function tellFreshness(...children) {
  const fresh = h("span", {}, children);
  if (fresh.textContent !== $("freshness").textContent) $("freshness").replaceChildren(fresh);
}

/** Does what a button asks for, and says so if it fails. */
async function tell(act) {
  try {
    await act();
  } catch (error) {
    fail(error, (failure) => notify(...explain(failure)));
  }
}

/** Says what failed, or asks for another key. If the view was left, it is no matter any more. */
function fail(error, say) {
  if (error.name === "AbortError") return;
  if (error.isAboutTheKey) askForKey();
  else say(error);
}

/** Asks for a key. The one that the tab has, if any, was refused. */
function askForKey() {
  leave();
  const wasRefused = key.get() !== null;
  key.forget();
  // Another key may not show what this one did.
  rights = null;
  openedAnonymous = undefined;
  left.clear();
  histories.clear();
  $("who").replaceChildren();
  $("forget").hidden = true;
  const input = h("input", {
    id: "key", type: "password", required: true, ...PLAIN_INPUT,
    pattern: "\\s*[!-~]{32,512}\\s*", title: "32 to 512 characters without spaces", "aria-describedby": "key-hint",
  });
  const onsubmit = (event) => {
    event.preventDefault();
    key.set(input.value.trim());
    start();
  };
  place({
    title: "Key",
    content: h("form", { class: "key", onsubmit },
      h("h1", {}, "REST Sessions"),
      h("p", {}, "See who is logged in, and end sessions."),
      wasRefused && h("p", { class: "error", role: "alert" },
        "The API does not know this key. Check that it is whole, or ask whoever keeps the keys."),
      h("label", { for: "key" }, "Access key"),
      input,
      h("button", { class: "primary" }, "Open"),
      h("p", { id: "key-hint", class: "soft" }, "This tab keeps the key until you close it. It goes nowhere but to this API.")),
  });
  input.focus();
}

/** Learns what the key allows, or that none is needed, and shows the view. */
async function start() {
  $("forget").hidden = key.get() === null;
  await showLoading(async () => {
    try {
      rights = await api.key();
    } catch (error) {
      fail(error, (failure) => place(failureView(failure, start)));
    }
  });
  if (!rights) return;
  $("who").replaceChildren(...(key.get() ? ["Key ", h("strong", {}, rights.name)] : ["Open: no key needed"]));
  await show();
}

// The page itself restores the place, once the view is there.
history.scrollRestoration = "manual";
addEventListener("hashchange", () => rights && show());
document.addEventListener("visibilitychange", () => rights && renew());
$("forget").addEventListener("click", () => {
  key.forget();
  location.reload();
});
start();
