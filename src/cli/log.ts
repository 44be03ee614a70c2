// Where log records become lines. Whatever is in them, a record is one line, or lines that cannot be taken
// for another record's first; and no terminal that shows them obeys anything in it.

import type { Log } from "../lib/log.js";
import { harmlessText } from "../terminal/text.js";

export type LogFormat = "text" | "json";

export function createLog(
  format: LogFormat,
  write: (text: string) => void = (text) => void process.stderr.write(text),
): Log {
  if (format === "text") return (message) => write(`${textOf(message)}\n`);
  return (message, { level = "info", fields = {} } = {}) => {
    const record = { ...fields, time: new Date().toISOString(), level, msg: message };
    const { time, level: _, msg, ...rest } = record;
    write(`${jsonLine({ time, level, msg, ...rest })}\n`);
  };
}

function textOf(message: string): string {
  return harmlessText(message.trimEnd()).replaceAll("\n", "\n  ");
}

/** JSON leaves some characters as they are that a terminal obeys, or that some readers take for line ends. */
function jsonLine(record: object): string {
  return JSON.stringify(record).replace(
    /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
