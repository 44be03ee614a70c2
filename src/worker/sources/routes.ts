// The HTTP side of the store of sources. The contract is in wire/source.ts.

import { Readable } from "node:stream";
import { createInflate } from "node:zlib";
import { type Context, Hono } from "hono";
import { BadManifest, encodeManifest, isTreeHash, parseChanges } from "../../source/manifest.js";
import { pack } from "../../source/pack.js";
import { BadRequest, parseBody } from "../../wire/body.js";
import {
  ContentsRequest,
  GitRequest,
  longestListBytes,
  sourceHeaders,
  type TreeAnswer,
} from "../../wire/source.js";
import { bytesResponse } from "../../wire/stream.js";
import { WrongContent } from "./blobs.js";
import { GitFault, type GitMirrors } from "./git-mirrors.js";
import { SourceFault, type SourceName } from "./source-name.js";
import type { SourceStore } from "./store.js";

export interface SourceRoutes {
  readonly store: () => Promise<SourceStore>;
  readonly mirrors: () => Promise<GitMirrors>;
}

export function sourceRoutes({ store, mirrors }: SourceRoutes): Hono {
  const app = new Hono();

  app.onError((error, c) => {
    if (error instanceof BadRequest) return c.json({ error: error.message }, error.status);
    if (error instanceof BadManifest || error instanceof WrongContent)
      return c.json({ error: error.message }, 422);
    if (error instanceof SourceFault) return c.json({ error: error.message }, 507);
    if (error instanceof GitFault) return c.json({ error: error.message }, 422);
    return c.json({ error: error.message }, 500);
  });

  app.put("/trees/:tree", async (c) => {
    const name = nameOf(c);
    const base = c.req.header(sourceHeaders.base) ?? null;
    const sources = await store();
    const body = bodyOf(c);
    const { list, rest } = await splitList(body);
    const answer = await sources.offer(name, { base, changes: parseChanges(list) });
    if (answer.status !== "lacking") {
      await drain(rest);
      return c.json(answer satisfies TreeAnswer);
    }
    return c.json((await sources.receive(name, rest)) satisfies TreeAnswer);
  });

  app.post("/trees/:tree/contents", async (c) => {
    const name = nameOf(c);
    const sources = await store();
    return c.json((await sources.receive(name, bodyOf(c))) satisfies TreeAnswer);
  });

  app.get("/trees/:tree", async (c) => {
    const manifest = (await store()).manifestOf(nameOf(c));
    if (!manifest) return c.json({ error: "there is no such tree here" }, 404);
    return c.body(new Uint8Array(encodeManifest(manifest)), 200, {
      "content-type": "application/octet-stream",
    });
  });

  app.post("/trees/:tree/read", async (c) => {
    const name = nameOf(c);
    const { contents } = await parseBody(c.req.raw, ContentsRequest);
    const sources = await store();
    const files = sources.contentsOf(name, contents);
    if (!files)
      return c.json({ error: "there is no such tree here, or not with these files" }, 404);
    return bytesResponse(() => pack(files));
  });

  app.post("/sources/git", async (c) => {
    const key = keyOf(c);
    const request = await parseBody(c.req.raw, GitRequest);
    return c.json(await (await mirrors()).treeOf(request, key, c.req.raw.signal));
  });

  return app;
}

function nameOf(c: Context): SourceName {
  const tree = c.req.param("tree") ?? "";
  if (!isTreeHash(tree)) throw new BadRequest("a tree is named by a SHA-256 in hex");
  return { tree, key: keyOf(c) };
}

function keyOf(c: Context): string {
  const key = c.req.header(sourceHeaders.key) ?? "";
  if (key.length < 16 || key.length > 200) {
    throw new BadRequest(`${sourceHeaders.key}: must be a text of 16 to 200 characters`);
  }
  return key;
}

function bodyOf(c: Context): AsyncIterable<Uint8Array> {
  const { body } = c.req.raw;
  const plain: AsyncIterable<Uint8Array> = body ?? Readable.from([]);
  const encoding = c.req.header("content-encoding") ?? "identity";
  if (encoding === "identity") return plain;
  if (encoding !== "deflate")
    throw new BadRequest(`content-encoding: ${encoding} is not known here`);
  const source = Readable.from(plain);
  const inflated = createInflate();
  source.once("error", (error) => inflated.destroy(error));
  return source.pipe(inflated);
}

/** The list at the head of a stream, and what follows it. */
async function splitList(stream: AsyncIterable<Uint8Array>) {
  const chunks = stream[Symbol.asyncIterator]();
  let have = Buffer.alloc(0);
  const pieces: Uint8Array[] = [];
  let length = 0;
  const upTo = async (wanted: number) => {
    while (length < wanted) {
      const { done, value } = await chunks.next();
      if (done) throw new BadRequest("the list of the tree was cut");
      pieces.push(value);
      length += value.length;
    }
    have = Buffer.concat(pieces);
    pieces.splice(0, pieces.length, have);
  };
  await upTo(4);
  const listBytes = have.readUInt32BE(0);
  if (listBytes > longestListBytes) {
    throw new BadRequest(`the list of the tree is longer than ${longestListBytes} bytes`, {
      status: 413,
    });
  }
  await upTo(4 + listBytes);
  async function* rest(): AsyncGenerator<Uint8Array> {
    yield have.subarray(4 + listBytes);
    for (;;) {
      const { done, value } = await chunks.next();
      if (done) return;
      yield value;
    }
  }
  return { list: have.subarray(4, 4 + listBytes), rest: rest() };
}

async function drain(stream: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of stream);
}
