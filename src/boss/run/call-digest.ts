import { hash } from "node:crypto";
import type { CallRequest } from "../../../runtime/host/host.js";

/** Alike for alike calls, whatever order their options were written in. Stored, so it must stay as it is. */
export function digestOf({ worker, request }: CallRequest): string {
  const text = JSON.stringify([
    ["request", listed(request)],
    ["worker", worker],
  ]);
  return hash("sha256", text, "base64url");
}

/** Each object as the list of its fields, by their names. */
function listed(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(listed);
  const fields: unknown[] = [];
  for (const key of inOrder(Object.keys(value))) {
    const field: unknown = Reflect.get(value, key);
    if (field !== undefined) fields.push([key, listed(field)]);
  }
  return fields;
}

/** They are few: the general way to sort takes longer than all the rest. */
function inOrder(keys: string[]): string[] {
  for (let end = 1; end < keys.length; end++) {
    for (let at = end; at > 0 && keys[at]! < keys[at - 1]!; at--) {
      const key = keys[at]!;
      keys[at] = keys[at - 1]!;
      keys[at - 1] = key;
    }
  }
  return keys;
}
