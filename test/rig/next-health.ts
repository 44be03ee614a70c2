import type { Rig } from "./rig.js";

/** What the feed says of health as soon as the boss is ready, or is not. */
export async function nextHealth(rig: Rig, ready: boolean): Promise<string> {
  for await (const { event, data } of rig.sse("/api/events")) {
    if (event === "health" && data.includes(`"ready":${ready}`)) return data;
  }
  throw new Error("the feed ended");
}
