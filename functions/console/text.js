"use strict";

// Numbers, times and hostile texts as people read them.

// Made once: a long table asks them thousands of times.
const NUMBERS = new Intl.NumberFormat("en");
const MOMENTS = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

const number = (value) => NUMBERS.format(value);
const moment = (milliseconds) => MOMENTS.format(milliseconds);
const clock = (milliseconds) => CLOCK.format(milliseconds);

/** "1 session", "2 sessions". */
const count = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;

const UNITS = [["day", 86_400], ["h", 3600], ["min", 60], ["s", 1]];

/** Seconds, in at most two units: "45 s", "1 h 58 min", "12 days". */
function duration(seconds) {
  const index = UNITS.findIndex(([, size]) => seconds >= size);
  if (index < 0) return "0 s";
  const [unit, size] = UNITS[index];
  const [restUnit, restSize] = UNITS[index + 1] ?? [];
  // Beside ten and more, a rest would only distract.
  const isRounded = seconds >= 10 * size || !restUnit;
  const rounded = Math.round(seconds / size) * size;
  // It may be one of a larger unit now.
  if (isRounded && rounded !== seconds) return duration(rounded);
  const whole = Math.floor(seconds / size);
  const text = unit === "day" ? count(whole, "day") : `${whole} ${unit}`;
  const rest = isRounded ? 0 : Math.floor((seconds % size) / restSize);
  return rest > 0 ? `${text} ${rest} ${restUnit}` : text;
}

const ago = (seconds) => (seconds < 5 ? "just now" : `${duration(seconds)} ago`);

/** Bytes, as the API counts them, in decimal units. */
function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const kilobytes = bytes / 1000;
  return kilobytes < 999.5 ? `${kilobytes.toFixed(kilobytes < 10 ? 1 : 0)} KB` : `${(kilobytes / 1000).toFixed(1)} MB`;
}

const UTF_8 = new TextEncoder();

const bytesOf = (text) => UTF_8.encode(text).length;

/** The bytes of a session's keys and of its values as JSON. */
const sizeOfData = (data = {}) =>
  Object.entries(data).reduce((sum, [name, value]) => sum + bytesOf(name) + bytesOf(JSON.stringify(value)), 0);

// Characters that nobody sees and that change what one sees: they reorder, join or hide text. Those of an emoji belong
// to its picture.
const EMOJI_OR_UNSEEN = /\p{RGI_Emoji}|([\p{Cf}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\u2800])/gv;
// Spaces at an end, doubled, or of another kind; and what would be taken for a character that was written out.
const AMBIGUOUS = /^ | $|(?<= ) |(?! )\p{Zs}|\\(?=u\{)/gv;

const written = (character) => `\\u{${character.codePointAt(0).toString(16)}}`;

const withoutUnseen = (text) => text.replace(EMOJI_OR_UNSEEN, (found, unseen) => (unseen ? written(unseen) : found));

/** A name with its unseen characters and odd spaces written out, so that no two names look alike by them. */
const visible = (name) => withoutUnseen(name.replace(AMBIGUOUS, written));

// JavaScript's numbers are doubles, and a session's need not be: others keep the digits that the API sent.
const exactNumber = (_name, value, { source }) =>
  typeof value === "number" && String(value) !== source ? JSON.rawJSON(source) : value;

const parseExactly = (text) => JSON.parse(text, exactNumber);

const pretty = (value) => withoutUnseen(JSON.stringify(value, null, 2));
