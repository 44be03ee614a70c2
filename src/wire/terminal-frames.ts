// What a terminal prints, and how it ends, as bytes on a connection; see kept.ts.

import { TerminalEnd, type TerminalOutput } from "./kept.js";

const frameKinds = { life: 0, stdout: 1, stderr: 2, end: 3 } as const;

export const lifeFrame = "\0\0\0\0\0";
const headBytes = 5;
const longestFrameBytes = 1 << 20;

export function encodeFrame(output: TerminalOutput): Uint8Array {
  const payload = output.kind === "end" ? Buffer.from(JSON.stringify(output.end)) : output.bytes;
  const head = Buffer.alloc(headBytes);
  head[0] = frameKinds[output.kind];
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, payload]);
}

/** Ends after `end`; throws where the bytes are no frames, or stop before it. */
export async function* decodeFrames(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<TerminalOutput> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    while (rest.length >= headBytes) {
      const length = rest.readUInt32BE(1);
      if (length > longestFrameBytes) throw new Error("what came is no terminal's output");
      if (rest.length < headBytes + length) break;
      const kind = rest[0];
      const bytes = rest.subarray(headBytes, headBytes + length);
      rest = rest.subarray(headBytes + length);
      if (kind === frameKinds.stdout) yield { kind: "stdout", bytes };
      else if (kind === frameKinds.stderr) yield { kind: "stderr", bytes };
      else if (kind === frameKinds.end) {
        yield { kind: "end", end: TerminalEnd.parse(JSON.parse(bytes.toString())) };
        return;
      } else if (kind !== frameKinds.life) throw new Error("what came is no terminal's output");
    }
  }
  throw new Error("the connection was cut");
}
