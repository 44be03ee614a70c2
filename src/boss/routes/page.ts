// The web page: a few files from the package.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Context, Hono } from "hono";

const types: Readonly<Record<string, string>> = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
};

/** Compressed by the build, the best first. */
const encodings = [
  { name: "br", ending: ".br" },
  { name: "gzip", ending: ".gz" },
] as const;

/** `scripts`: those that may run besides the boss's own files. */
const policy = (scripts = "") => ({
  "content-security-policy": `default-src 'none'; script-src 'self'${scripts}; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
});
const safe = policy();

/** Every address of the page; ui/route.ts reads them. */
const places = ["/", "/runs/*", "/history/*", "/compare/*", "/workers"];

const folder = new URL("../../../ui/", import.meta.url);

export function pageRoutes(): Hono {
  const app = new Hono();

  const page = (c: Context) => {
    const content = read("index.html");
    if (!content)
      return c.text("The page is missing from this installation. The API is at /api/runs.\n", 404);
    const etag = `"${createHash("sha256").update(content).digest("hex").slice(0, 16)}"`;
    // The one script that stands in the page itself.
    const early = /<script>(.*?)<\/script>/s.exec(Buffer.from(content).toString())?.[1] ?? "";
    const hash = createHash("sha256").update(early).digest("base64");
    const headers = { ...policy(` 'sha256-${hash}'`), etag, "cache-control": "no-cache" };
    if (c.req.header("if-none-match")?.includes(etag)) return c.body(null, 304, headers);
    return c.body(content, 200, { ...headers, "content-type": "text/html; charset=utf-8" });
  };
  for (const place of places) app.get(place, page);

  app.get("/assets/:name", (c) => {
    const name = c.req.param("name");
    const type = types[name.split(".").at(-1) ?? ""];
    if (!/^[\w-]+\.\w+$/.test(name) || !type) return c.notFound();
    const etag = `"${name}"`;
    // Its name changes with its content.
    const headers = {
      ...safe,
      etag,
      vary: "accept-encoding",
      "cache-control": "public, max-age=31536000, immutable",
    };
    if (c.req.header("if-none-match")?.includes(etag)) return c.body(null, 304, headers);
    const accepted = (c.req.header("accept-encoding") ?? "").split(/[\s,;]+/);
    for (const encoding of encodings) {
      const content = accepted.includes(encoding.name)
        ? read(`assets/${name}${encoding.ending}`)
        : null;
      if (!content) continue;
      const encoded = { ...headers, "content-type": type, "content-encoding": encoding.name };
      return c.body(content, 200, encoded);
    }
    const content = read(`assets/${name}`);
    return content ? c.body(content, 200, { ...headers, "content-type": type }) : c.notFound();
  });

  return app;
}

function read(file: string): Uint8Array<ArrayBuffer> | null {
  try {
    return new Uint8Array(readFileSync(new URL(file, folder)));
  } catch {
    return null;
  }
}
