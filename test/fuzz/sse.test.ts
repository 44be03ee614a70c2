import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeSse, parseSse, type SseMessage } from "../../src/lib/sse.js";
import { cutAt, cuts, fuzzAsync, streamOf, textOf } from "./fuzz.js";

async function parse(bytes: Uint8Array, at: readonly number[]): Promise<SseMessage[]> {
  const messages: SseMessage[] = [];
  for await (const message of parseSse(streamOf(cutAt(bytes, at)))) messages.push(message);
  return messages;
}

/** By the standard's words, line by line; slow and plain. */
function parseNaively(text: string): SseMessage[] {
  const messages: SseMessage[] = [];
  let event = "";
  let id: string | undefined;
  let data: string[] = [];
  // What has no line end has not arrived.
  for (const ended of text.split("\n").slice(0, -1)) {
    const line = ended.replace(/\r$/, "");
    const [, field = "", value = ""] = /^([^:]*)(?:: ?([\s\S]*))?$/.exec(line) ?? [];
    if (line === "") {
      const message = { event: event === "" ? "message" : event, data: data.join("\n") };
      if (data.length > 0) messages.push(id === undefined ? message : { ...message, id });
      event = "";
      data = [];
    } else if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "id") id = value;
  }
  return messages;
}

const pieces = [
  "data",
  "event",
  "id",
  "retry",
  ":",
  ": ",
  " ",
  "\n",
  "\n\n",
  "\r\n",
  "\r",
  "a",
  "é",
  "🙂",
];

fuzzAsync(
  "whatever comes is parsed by the standard's rules, however it is cut",
  fc.record({ text: textOf(pieces, 16), cuts }),
  async ({ text, cuts }) => {
    const bytes = Buffer.from(text);
    assert.deepEqual(await parse(bytes, cuts), parseNaively(new TextDecoder().decode(bytes)));
  },
);

const field = fc
  .string({ unit: "grapheme", maxLength: 6 })
  .map((text) => text.replace(/[\r\n]/g, ""));

fuzzAsync(
  "what is encoded is parsed to the same",
  fc.record({
    message: fc.record({ event: field.map((text) => `e${text}`), id: field, data: textOf(pieces) }),
    cuts,
  }),
  async ({ message, cuts }) => {
    const data = message.data.replace(/\r\n|\r/g, "\n").replace(/[\ud800-\udfff]/gu, "\ufffd");
    const bytes = Buffer.from(encodeSse(message));
    assert.deepEqual(await parse(bytes, cuts), [{ ...message, data }]);
  },
);
