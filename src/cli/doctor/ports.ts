import { portUse } from "../port-owner.js";
import { type Finding, ok, wrong } from "./check.js";

export async function portFinding(role: "boss" | "worker", port: number): Promise<Finding> {
  const use = await portUse(port);
  const name = `port ${port}`;
  if (!use) return ok(name, `free for the ${role}`);
  const owner = use.owner ? ` (${use.owner})` : "";
  if (use.isBettertest) return ok(name, `a bettertest ${role} answers${owner}`);
  return wrong(
    name,
    `taken by another program${owner}`,
    `Stop it, or start the ${role} elsewhere: bettertest ${role} --port ${port + 10}`,
  );
}
