// A task's output as text for people: escape sequences taken out, progress bars collapsed to their last
// state, and never more than a bounded amount of it. Only text: nothing in it can become markup.

export interface OutputText {
  /** Whole lines, in pieces: a growing output changes only the last piece. */
  readonly blocks: readonly Block[];
  /** The line that has not ended yet, carriage returns included. */
  readonly line: string;
  /** An escape sequence whose end has not come yet. */
  readonly held: string;
  /** True where the beginning has been left out to stay within the limit. */
  readonly dropped: boolean;
}

export interface Block {
  readonly id: number;
  readonly text: string;
}

export const emptyOutput: OutputText = { blocks: [], line: "", held: "", dropped: false };

export const maxShownChars = 1024 * 1024;
const blockChars = 32 * 1024;
/** A line longer than this is cut into pieces. */
const maxLineChars = 64 * 1024;
/** A longer sequence is no terminal's: it is shown as the text it is. */
const maxEscapeChars = 4096;

// CSI; OSC up to BEL or ST; DCS, SOS, PM and APC up to ST; and the short ones.
const escapes =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-OQ-WYZ\\`-~])/g;
const unfinishedEscape =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
  /\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[PX^_][^\x1b]*\x1b?|[ -/]*)$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above; tab, line feed and carriage return stay
const controls = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g;

export function appendOutput(output: OutputText, chunk: string): OutputText {
  const { text, held } = stripEscapes(output.held + chunk);
  const pending = output.line + text;
  const end = pending.lastIndexOf("\n") + 1;
  let whole = end === 0 ? "" : pending.slice(0, end).split("\n").map(collapse).join("\n");
  let line = pending.slice(end);
  if (line.length > maxLineChars) {
    whole += collapse(line);
    line = "";
  }
  return { ...keepWithin(addText(output.blocks, whole), output.dropped), line, held };
}

/** The last line as a terminal would show it now. */
export function shownLine(output: OutputText): string {
  return collapse(output.line);
}

export function isEmpty(output: OutputText): boolean {
  return output.blocks.length === 0 && output.line === "";
}

function stripEscapes(raw: string): { text: string; held: string } {
  const stripped = raw.replace(escapes, "");
  const start = stripped.search(unfinishedEscape);
  const isHeld = start >= 0 && stripped.length - start <= maxEscapeChars;
  const text = isHeld ? stripped.slice(0, start) : stripped;
  return { text: text.replace(controls, ""), held: isHeld ? stripped.slice(start) : "" };
}

/** What a carriage return leaves of a line: the text after the last one that has any. */
function collapse(line: string): string {
  if (!line.includes("\r")) return line;
  return line.split("\r").findLast((part) => part !== "") ?? "";
}

function addText(blocks: readonly Block[], text: string): readonly Block[] {
  if (text === "") return blocks;
  const result = blocks.slice();
  const last = result.at(-1);
  let rest = text;
  if (last && last.text.length < blockChars) {
    rest = last.text + text;
    result.pop();
  }
  let id = last ? (rest === text ? last.id + 1 : last.id) : 0;
  while (rest !== "") {
    result.push({ id, text: rest.slice(0, 2 * blockChars) });
    rest = rest.slice(2 * blockChars);
    id += 1;
  }
  return result;
}

function keepWithin(blocks: readonly Block[], dropped: boolean) {
  let chars = blocks.reduce((sum, block) => sum + block.text.length, 0);
  let first = 0;
  while (chars > maxShownChars && first < blocks.length - 1) {
    chars -= blocks[first]!.text.length;
    first += 1;
  }
  return first === 0 ? { blocks, dropped } : { blocks: blocks.slice(first), dropped: true };
}
