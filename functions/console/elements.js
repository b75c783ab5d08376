"use strict";

// How elements are made. Texts become text nodes, so that no text of a user is ever read as HTML.

const $ = (id) => document.getElementById(id);

/**
 * An element. Of `properties`, `onclick` and the like are listeners, true is an empty attribute, and false or undefined
 * none. Children may be nested in arrays; false is none.
 */
function h(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [property, value] of Object.entries(properties)) {
    if (property.startsWith("on")) element.addEventListener(property.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(property, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== false));
  return element;
}

/** The id of a user, whatever its direction. */
const idOf = ({ id }) => (id === undefined ? h("span", { class: "soft" }, "anonymous") : h("bdi", {}, visible(id)));

/** How long ago a moment was. */
const timeAgo = (at) =>
  h("time", { datetime: new Date(at).toISOString(), title: moment(at) }, ago((Date.now() - at) / 1000));

/** For names and ids: nothing is completed, corrected or capitalised. */
const PLAIN_INPUT = { autocomplete: "off", autocapitalize: "off", spellcheck: "false" };

const button = (text, onclick, properties = {}) => h("button", { type: "button", onclick, ...properties }, text);

/** Puts `fresh` in place of what an element has. If the focus was there, it is on the first thing that takes it. */
function replaceContent(element, fresh) {
  const hadFocus = element.contains(document.activeElement);
  element.replaceChildren(fresh);
  if (hadFocus) element.querySelector("a, button, [tabindex]")?.focus({ preventScroll: true });
}

/** Says what was done. It stays until the next one, or until another view is shown. */
function notify(...children) {
  const close = () => {
    $("notice").replaceChildren();
    $("main").querySelector("h1").focus({ preventScroll: true });
  };
  $("notice").replaceChildren(h("p", {}, children), button("×", close, { "aria-label": "Close this message", class: "plain" }));
}

/**
 * Asks before sessions are ended. The dialog stays open until that is done: a failure is told where one can try again.
 * @param {object} question
 * @param {string} question.title
 * @param {Array<Node|string>} question.text what will happen
 * @param {string} question.confirm the button's text
 * @param {string} [question.typed] what must be typed first
 * @param {() => Promise<Array<Node|string>>} question.act ends the sessions, and says how many
 * @param {() => Promise<void>|void} [question.after] brings the view up to date
 */
function ask({ title, text, confirm, typed, act, after }) {
  $("notice").replaceChildren();
  const failure = h("p", { class: "error", role: "alert" });
  const mustType = typed !== undefined;
  const input = mustType && h("input", { id: "typed", autofocus: true, ...PLAIN_INPUT });
  const submit = h("button", { class: "danger", disabled: mustType }, confirm);
  let isBusy = false;
  const allow = () => {
    submit.disabled = isBusy || (mustType && input.value !== typed);
  };
  const onsubmit = async (event) => {
    event.preventDefault();
    isBusy = true;
    allow();
    failure.replaceChildren();
    try {
      const done = await act();
      dialog.close();
      notify(...done);
    } catch (error) {
      if (dialog.open) failure.replaceChildren(...explain(error));
      else notify(...explain(error));
      return;
    } finally {
      isBusy = false;
      allow();
    }
    if (after) await keepFresh(after);
  };
  // Each question has a dialog of its own: an answer that comes after it was closed finds no other one.
  const dialog = h("dialog", { "aria-labelledby": "dialog-title", onclose: () => dialog.remove() },
    h("form", { oninput: allow, onsubmit },
      h("h2", { id: "dialog-title" }, title),
      h("p", {}, text),
      mustType && h("p", {}, h("label", { for: "typed" }, "Type ", h("strong", {}, typed), " to confirm"), input),
      failure,
      h("div", { class: "actions" }, button("Cancel", () => dialog.close(), { autofocus: !mustType }), submit)));
  document.body.append(dialog);
  dialog.showModal();
}

/** What went wrong and what to do, in words. */
function explain(error) {
  if (!(error instanceof ApiError)) return [`This page has a fault: ${error.message}. Reload it.`];
  if (error.isAboutTheKey) return ["The API does not know this key any more. Reload the page to enter another."];
  if (error.name === "forbidden") {
    return [
      "This key does not allow ", h("code", {}, error.operation), " here. Whoever keeps the keys can add that to its ",
      h("code", {}, "allow"), ".",
    ];
  }
  if (error.name === "conflict") return ["This session itself has ended, so no other was ended. Go back to the user’s sessions."];
  if (error.status === 429) return ["The API gets too many requests. Wait a moment."];
  if (error.status === 0) return ["The API does not answer. Check the network."];
  return [`The API answered ${error.status}: ${visible(error.message) || "it gave no reason"}.`];
}
