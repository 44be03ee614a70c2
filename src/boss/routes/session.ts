import { Hono } from "hono";
import { callerOf } from "../../access/caller.js";
import type { SessionView } from "../../wire/boss.js";

/** Who asks, as the boss sees it. Whoever is not let in gets a 401 before it comes here. */
export function sessionRoutes(): Hono {
  const app = new Hono();
  app.get("/session", (c) => {
    const { name, access, via } = callerOf(c.req.raw);
    return c.json({ login: via !== "loopback", name, access, via } satisfies SessionView);
  });
  return app;
}
