// Text on a terminal: how wide it is, how it is cut, and how a program's output is made harmless.

import { stripVTControlCharacters } from "node:util";

/** Made by the first text that is not plain: it takes an eightieth of a second. */
let segmenter: Intl.Segmenter | undefined;
/** Characters of one column each that none beside them changes: ASCII, Latin, and the signs that we print ourselves. */
const plain =
  /^[\x20-\x7e\xa1-\xac\xae-\u024f\u2010-\u2027\u2030-\u205e\u2190-\u21ff\u2500-\u25a0\u2800-\u28ff\u25cb\u25cf\u2713\u2717]*$/;
const invisible = /^[\p{Mark}\p{Control}\p{Format}]+$/u;
const emoji = /\p{Emoji_Presentation}|\p{Emoji}\uFE0F/u;
/** East Asian wide and fullwidth blocks. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;

function graphemes(text: string): Intl.Segments {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: "grapheme" });
  return segmenter.segment(text);
}

function graphemeWidth(grapheme: string): number {
  if (invisible.test(grapheme)) return 0;
  return emoji.test(grapheme) || wide.test(grapheme) ? 2 : 1;
}

/** Columns the text takes; colours take none. */
export function textWidth(text: string): number {
  if (plain.test(text)) return text.length;
  const shown = stripVTControlCharacters(text);
  if (plain.test(shown)) return shown.length;
  let width = 0;
  for (const { segment } of graphemes(shown)) width += graphemeWidth(segment);
  return width;
}

/** Cuts text without escape sequences to a width, with an ellipsis where something is missing. */
export function cutText(text: string, width: number): string {
  if (width <= 0) return "";
  if (plain.test(text)) {
    return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
  }
  let used = 0;
  let kept = "";
  for (const { segment } of graphemes(text)) {
    const next = graphemeWidth(segment);
    if (used + next > width) return `${cutLast(kept, width - 1)}…`;
    used += next;
    kept += segment;
  }
  return kept;
}

function cutLast(text: string, width: number): string {
  let kept = "";
  let used = 0;
  for (const { segment } of graphemes(text)) {
    used += graphemeWidth(segment);
    if (used > width) break;
    kept += segment;
  }
  return kept;
}

export function padText(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - textWidth(text)));
}

// Whatever a terminal might obey, found in one pass: what is left of something removed must not become part of
// something else. Sequences start with ESC or with their one-character C1 form: strings (title, clipboard,
// hyperlink, device control) up to their end, CSI, and the short ones. Then the single characters: controls,
// other line ends, and those that change the direction of text, which could make a line look like another one.
const obeyed =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
  /(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])(?:(?!\x1b\\)[^\x07\x9c])*(?:\x07|\x9c|\x1b\\|$)|(?:\x1b\[|\x9b)[0-?]*[ -/]*(?:[@-~]|$)|\x1b[ -/]*(?:[0-~]|$)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const sgr = /^\x1b\[[0-9;:]*m$/;

/**
 * One line of a program's output as text that can only have colours: no cursor movement, title, clipboard
 * or whatever else a terminal obeys. Of a progress bar drawn with "\r" the last state remains.
 */
export function harmlessLine(line: string, options: { readonly colour: boolean }): string {
  const visible = line.slice(line.replace(/\r+$/, "").lastIndexOf("\r") + 1);
  let coloured = false;
  const text = visible.replace(obeyed, (found) => {
    if (!options.colour || !sgr.test(found)) return "";
    coloured = true;
    return found;
  });
  return coloured ? `${text}\x1b[0m` : text;
}

/** Names, commands and messages in one line, free of anything a terminal would obey. */
export function oneLine(text: string): string {
  return harmlessLine(text.replace(/\s*[\r\n]+\s*/g, " ").replaceAll("\t", " "), { colour: false });
}

/** The same for text of several lines. */
export function harmlessText(text: string): string {
  return text
    .split(/\r\n|\n|\r/)
    .map((line) => harmlessLine(line, { colour: false }))
    .join("\n");
}

/** 12,345. `toLocaleString` says the same, and takes 15 ms to do so for the first time. */
export function grouped(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

export function count(number: number, noun: string): string {
  return `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;
}
