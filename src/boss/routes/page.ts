// The web page: a few files from the package, read once.

import { readFileSync } from "node:fs";
import { Hono } from "hono";

const types = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
};

const contentSecurityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const folder = new URL("../../../ui/", import.meta.url);

export function pageRoutes(): Hono {
  const app = new Hono();
  const serve = (path: string, file: string) => {
    const type = types[file.split(".").at(-1) as keyof typeof types];
    app.get(path, (c) => {
      try {
        return c.body(readFileSync(new URL(file, folder), "utf8"), 200, {
          "content-type": type,
          "content-security-policy": contentSecurityPolicy,
          "cache-control": "no-cache",
        });
      } catch {
        return c.text(
          "The page is missing from this installation. The API is at /api/state.\n",
          404,
        );
      }
    });
  };
  serve("/", "index.html");
  serve("/app.js", "app.js");
  serve("/app.css", "app.css");
  return app;
}
