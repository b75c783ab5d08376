// The cases in clients/conformance, which all clients pass.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";

import { Client, RestSessionsError } from "rest-sessions-client";
import { listed, ROOT, startService } from "./service.js";

const { registry, cases } = JSON.parse(readFileSync(`${ROOT}/clients/conformance/cases.json`, "utf8"));
const KEYS = new Map(registry.keys.map(({ name, key }) => [name, key]));
// What the methods take by place; the rest comes in an object.
const BY_PLACE = {
  ...{ get: ["token"], set: ["token", "data"], update: ["token", "data"] },
  ...{ touch: ["token"], rotate: ["token"], kill: ["token"] },
  ...{ killsoid: ["id"], soid: ["id"], soapp: ["dt"], activity: ["dt"] },
};
const FORMS = { token: /^Z[A-Za-z0-9]{63}$/, handle: /^[A-Za-z0-9]{22}$/ };
const service = await startService({ AUTH: "1", API_KEYS: JSON.stringify(registry) });
after(service.stop);

for (const given of cases) {
  for (const [place, item] of (given.each ?? [null]).entries()) {
    test(given.each ? `${given.name} ${place}` : given.name, () => run(given, item));
  }
}

async function run(given, item) {
  const app = `case-${randomUUID().slice(0, 12)}`;
  const names = { app, other: `${app}2` };
  names.each = resolved(item, names);
  for (const step of given.steps) {
    const { key = "all", raises, returns } = step;
    const url = given.offline ? "http://127.0.0.1:9" : service.url;
    const client = new Client({ url, app: names[step.in ?? "app"], key: KEYS.get(key) ?? key, timeout: 20 });
    const { "+": further, ...args } = resolved(step.with, names);
    let answer;
    try {
      answer = plain(await called(client, step.do, { ...args, ...further }));
    } catch (error) {
      if (!(error instanceof RestSessionsError && raises)) throw error;
      const { status, name = error.name } = raises;
      assert.deepEqual({ status: error.status, name: error.name }, { status, name }, JSON.stringify(step));
      continue;
    }
    if (step.do === "apps") answer = answer.filter((one) => [names.app, names.other].includes(one.app));
    assert.ok(!raises, `${JSON.stringify(step)} returned ${JSON.stringify(answer)}`);
    if (step.as) names[step.as] = answer;
    if (!("returns" in step)) continue;
    const expected = resolved(returns, names);
    assert.ok(isMatch(expected, answer), `${JSON.stringify(step)} returned ${JSON.stringify(answer)}`);
  }
}

/** The result of a call, for a listing all of it. */
async function called(client, operation, args) {
  const { [operation]: names = [] } = BY_PLACE;
  const byName = Object.fromEntries(Object.entries(args).filter(([name]) => !names.includes(name)));
  const byPlace = names.map((name) => (operation === "update" && name === "data" ? () => args.data : args[name]));
  const result = client[operation](...byPlace, byName);
  return result[Symbol.asyncIterator] ? listed(result) : result;
}

/** A result in the form of the cases. */
function plain(result) {
  if (Array.isArray(result)) {
    const key = (one) => one.ip ?? one.app;
    return result.map(plain).sort((one, other) => (key(one) < key(other) ? -1 : 1));
  }
  if (typeof result !== "object" || result === null) return result;
  const members = { ...result, ...(result.token && { token: result.token }) };
  if (Object.keys(members.data ?? {}).length === 0) delete members.data;
  return members;
}

/** What is given, with values in place of names and repetitions. */
function resolved(given, names) {
  if (typeof given !== "object" || given === null) return given;
  if (Array.isArray(given)) return given.map((one) => resolved(one, names));
  const members = Object.entries(given);
  const [[key, value] = []] = members.length === 1 ? members : [];
  if (key === "$" && typeof value === "string") {
    return value.split(".").reduce((found, member) => found[member], names);
  }
  if (key === "$repeat" && Array.isArray(value)) return value[0].repeat(value[1]);
  return Object.fromEntries(members.map(([name, one]) => [name, resolved(one, names)]));
}

/** Whether an answer is the expected one, in which there may be placeholders. */
function isMatch(expected, answer) {
  if (typeof expected !== "object" || expected === null) return expected === answer;
  const keys = Object.keys(expected);
  if (keys.length === 1 && keys[0] === "$any") {
    const form = expected.$any;
    if (FORMS[form]) return FORMS[form].test(answer);
    const [least, most] = form === "seconds" ? [0, 60] : form;
    return Number.isInteger(answer) && least <= answer && answer <= most;
  }
  if (typeof answer !== "object" || answer === null || Array.isArray(expected) !== Array.isArray(answer)) return false;
  return (
    keys.length === Object.keys(answer).length &&
    keys.every((key) => Object.hasOwn(answer, key) && isMatch(expected[key], answer[key]))
  );
}
